"""One process at a time; whoever ends lets go."""

from pathlib import Path

import pytest

from xreid.core.errors import ConfigError, XReidError
from xreid.core.locks import only_process


@pytest.mark.parametrize("file", [None, ".lock"])
def test_the_second_is_refused_until_the_first_has_ended(file: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with only_process(folder, file=file, doing="cooking", todo="Wait."):
        with (
            pytest.raises(ConfigError, match=r"another process is cooking. Wait\."),
            only_process(folder, file=file, doing="cooking", todo="Wait."),
        ):
            raise AssertionError("two at once")
        assert [path.name for path in folder.iterdir()] == ([] if file is None else [file])
    with pytest.raises(ZeroDivisionError), only_process(folder, file=file, doing="x", todo=""):
        raise ZeroDivisionError
    with only_process(folder, file=file, doing="cooking", todo="Wait."):
        pass


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(XReidError, match="cannot write"),
        only_process(tmp_path / "file", doing="x", todo=""),
    ):
        pass
