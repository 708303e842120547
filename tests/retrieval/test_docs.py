"""docs/footage.md: its Python block runs, and its commands parse."""

import re
import shlex
from pathlib import Path

import pytest

from tests.retrieval.sets import make_set
from xreid.cli.index import IndexOptions
from xreid.cli.ingest import IngestOptions
from xreid.cli.options import parse
from xreid.cli.search import SearchOptions, _long

PAGE = Path(__file__).parents[2] / "docs" / "footage.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ xreid (ingest|index|search) (.*)$", TEXT, flags=re.MULTILINE)


def test_the_python_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_set(12, prefix="gate-000").save(tmp_path / "embeddings" / "gate")
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(compile(block, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.count("gate-000") == 5


@pytest.mark.parametrize(("verb", "words"), COMMANDS)
def test_the_commands_parse(verb: str, words: str) -> None:
    options, places = {
        "ingest": (IngestOptions, ("video", "out")),
        "index": (IndexOptions, ("gallery", "embeddings")),
        "search": (SearchOptions, ("gallery",)),
    }[verb]
    argv = [_long(word) for word in shlex.split(words, comments=True)]
    parse(options, argv, verb=verb, positional=places)


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 9
