import errno
import os
import pickle
from pathlib import Path

import pytest

from xreid.core.errors import ConfigError, DataError, XReidError
from xreid.core.files import atomic_file, atomic_folder, read_json, sha256_of_file, write_json
from xreid.core.seeding import numpy_generator, stream_seed, torch_generator


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []
    with atomic_file(target) as temporary:
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask(), "readable by the same people as any new file"


def test_a_full_disk_is_one_message_and_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(XReidError, match="No space left.*nothing half-written"), atomic_file(target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    for content in ("one", "two"):
        with atomic_folder(target) as temporary:
            (temporary / "x").write_text(content)
            (temporary / "x").chmod(0o600)  # as safetensors leaves its files
        assert (target / "x").read_text() == content
        assert (target / "x").stat().st_mode & 0o777 == 0o666 & ~_umask()
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        raise RuntimeError
    assert (target / "x").read_text() == "two"
    assert list(tmp_path.iterdir()) == [target]


def test_json_errors_name_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert read_json(tmp_path / "a.json") == {"b": 1}
    with pytest.raises(DataError, match=r"missing\.json"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match=r"bad\.json is not JSON"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", float("nan"))


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "abc").startswith("ba7816bf8f01cfea")


def test_errors_cross_process_boundaries() -> None:
    error = ConfigError("bad", expected="a", got="b", todo="Do c.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ConfigError
    assert str(again) == str(error) == "bad; expected a; got b. Do c."


def test_streams_are_independent_and_stable() -> None:
    assert stream_seed(0, "augment", 1) == stream_seed(0, "augment", 1)
    assert len({stream_seed(s, n, i) for s in range(3) for n in "ab" for i in range(5)}) == 30
    assert numpy_generator(0, "x").integers(1 << 30) == numpy_generator(0, "x").integers(1 << 30)
    assert torch_generator(0, "x").initial_seed() == stream_seed(0, "x")
    assert stream_seed(7, "frozen") == 2455718192060047246, "a change would break resumed runs"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
