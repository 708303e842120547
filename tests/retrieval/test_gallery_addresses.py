"""Addresses of galleries, and expressions that no text can break out of."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality
from xreid.retrieval.columns import UNIX_FROM_S, Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_address import Address
from xreid.retrieval.gallery_expression import both, expression, ids_in, listed


def test_addresses() -> None:
    assert Address.parse("gallery") is None
    assert Address.parse("/data/people") is None
    assert Address.parse("http://host") == Address(uri="http://host:19530", name="xreid")
    assert Address.parse("https://host:443/site_a/") == Address(uri="https://host:443", name="site_a")
    assert Address.parse("http://[::1]:19530/x") == Address(uri="http://[::1]:19530", name="x")
    assert Address.parse("people.db") == Address(uri="people.db", name="xreid")


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host/x",
        "http://",
        "http://host:port/x",
        "http://host:70000/x",
        "http://user:secret@host/x",
        "http://host/a/b",
        "http://host/a-b",
        "http://host/x?token=1",
        'http://host/x"or',
        "http://host/9",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a gallery") as error:
        Gallery.open(text)
    assert "secret" not in str(error.value)


def test_a_server_that_does_not_answer_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymilvus", reason="the extra gallery is not installed")
    monkeypatch.setattr("xreid.retrieval.gallery_connection._TIMEOUT_S", 0.5)
    with pytest.raises(DataError, match=r"no Milvus server answers at http://127\.0\.0\.1:9"):
        Gallery.open("http://127.0.0.1:9/x")


texts = st.text(min_size=1, max_size=30)
_SAFE = re.compile(
    r'(?:infrared == (?:true|false)|\w+ (?:not )?in \[(?:"[0-9a-f]+"(?:, )?)*\]|[a-z_]+ [<>]=? -?[0-9.e+-]+|'
    r'identity != ""|array_contains\(labels, "[0-9a-f]{16}"\)|[() ]|and)*'
)


@given(
    cameras=st.lists(texts, max_size=3),
    names=st.lists(texts, max_size=3),
    labels=st.lists(texts, max_size=2),
    least=st.floats(0, 1),
    start=st.floats(allow_nan=False, allow_infinity=False),
)
def test_an_expression_holds_nothing_of_what_was_typed(
    cameras: list[str], names: list[str], labels: list[str], least: float, start: float
) -> None:
    rules = Filter(
        modality=Modality.INFRARED,
        cameras=tuple(cameras),
        except_cameras=tuple(names),
        identities=tuple(names),
        labels=tuple(labels),
        min_quality=least,
        from_s=start,
        known=True,
    )
    assert _SAFE.fullmatch(expression(rules, sets=(), hidden=("ab12",)))


def test_parts_of_expressions() -> None:
    assert expression(Filter(), sets=()) == ""
    assert expression(Filter(modality=Modality.VISIBLE), sets=()) == "(infrared == false)"
    assert expression(Filter(modality=Modality.INFRARED), sets=()) == "(infrared == true)"
    assert expression(Filter(to_s=UNIX_FROM_S), sets=()).endswith(f"(start_s >= {float(UNIX_FROM_S)})")
    assert "end_s <" not in expression(Filter(from_s=UNIX_FROM_S), sets=())
    assert both("a", "", "b") == "(a) and (b)"
    assert ids_in(["0" * 20, "x", '"] or id != "', "f" * 21]) == f'id in ["{"0" * 20}"]'
    for bad in ('"', "", "xyz", "AB"):
        with pytest.raises(ConfigError, match="no value of a filter"):
            listed([bad])


def test_filters_refuse_what_is_none() -> None:
    with pytest.raises(ConfigError, match="are no texts"):
        Filter(cameras="A")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no number"):
        Filter(from_s=float("nan"))
    with pytest.raises(ConfigError, match="out of range"):
        Filter(min_quality=2.0)
    assert Filter(other_cameras=True).of_query("A").except_cameras == ("A",)
    assert Filter(other_cameras=True).of_query(None) == Filter()


def test_a_database_that_another_process_holds_is_one_message(tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="the extra gallery is not installed")
    (tmp_path / "g.db").mkdir()
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "g.db" / "LOCK")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        with pytest.raises(
            DataError, match=rf"is held by process {child.pid} \(.*python.*one process at a time"
        ):
            Gallery.open(str(tmp_path / "g.db"))
        child.stdin.close()


def test_a_database_in_no_folder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="the extra gallery is not installed")
    with pytest.raises(DataError, match="is in no folder"):
        Gallery.create(str(tmp_path / "nowhere" / "g.db"))
    with pytest.raises(DataError, match="is no gallery"):
        Gallery.open(str(tmp_path / "g.db"))
    assert not (tmp_path / "g.db").exists()
