from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from xreid.cli.options import parse
from xreid.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Do a thing.

    Attributes:
        source: Where from.
        more: Further words.
        top_k: How many.
        mode: Which way.
        low: A number that may be negative.
        quiet: Say nothing.
    """

    source: Path
    more: list[str] = field(default_factory=list)
    top_k: int = 5
    mode: Literal["a", "b"] = "a"
    low: float | None = None
    quiet: bool = False


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("in", {}),
        ("--source in", {}),
        ("--source=my-in --top-k=1", {"source": Path("my-in"), "top_k": 1}),
        ("--source=in --top-k 7", {"top_k": 7}),
        ("in --top_k=7 --mode b", {"top_k": 7, "mode": "b"}),
        ("in --more x y --quiet", {"more": ["x", "y"], "quiet": True}),
        ("in --more x", {"more": ["x"]}),
        ("in --quiet false --top-k 1", {"quiet": False, "top_k": 1}),
        ("--quiet in x y", {"quiet": True, "more": ["x", "y"]}),
        ("in --low -1.5", {"low": -1.5}),
        ("in --low=-1.5", {"low": -1.5}),
        ("--source=in --more=x-y", {"more": ["x-y"]}),
        ('in --more=["x","y"]', {"more": ["x", "y"]}),
        ("in --more x --quiet --more y z --more=w", {"more": ["x", "y", "z", "w"], "quiet": True}),
        ('in x --more=["y"] --more z', {"more": ["x", "y", "z"]}),
        ("in --more=[x,y]", {"more": ["x", "y"]}),
        ("in --more w --more=[x,y] --more z", {"more": ["w", "x", "y", "z"]}),
    ],
)
def test_spellings(words: str, expected: dict[str, object]) -> None:
    parsed = parse(Options, words.split(), verb="do", positional=("source", "more"))
    assert parsed == Options(**{"source": Path("in"), **expected})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "source"),
        ("in --bogus 1", "--bogus"),
        ("in --top-k many", "top_k"),
        ("in --top-k", "top_k"),
        ("in --mode c", "mode"),
        ("in --quiet maybe", "maybe"),
        ("in -x", "-x"),
    ],
)
def test_mistakes_are_named(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(Options, words.split(), verb="do", positional=("source",))
    assert "\n" not in str(caught.value)
    assert "xreid do --help" in str(caught.value)


def test_a_file_gives_options_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("source: in\ntop_k: 9\nmode: b\n")
    parsed = parse(Options, ["--config", str(file), "--top-k", "2"], verb="do")
    assert parsed == Options(source=Path("in"), top_k=2, mode="b")
    parsed = parse(Options, ["--config", str(file), "else"], verb="do", positional=("source", "more"))
    assert parsed == Options(source=Path("else"), top_k=9, mode="b"), "its name is not taken for a place"
    file.write_text("source: in\nbogus: 9\n")
    with pytest.raises(ConfigError, match="bogus"):
        parse(Options, ["--config", str(file)], verb="do")


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Within.

    Attributes:
        most: How many.
    """

    most: int = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Around.

    Attributes:
        inner: What is within.
    """

    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize("words", [["--inner.most", "3"], ["--inner.most=3"]])
def test_options_within_options(words: list[str]) -> None:
    assert parse(Outer, words, verb="thing").inner.most == 3
