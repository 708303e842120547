"""The code blocks of README.md and docs/*.md, and how they are run.

A block is run unless an HTML comment stands right above it: `<!-- not run: KIND, reason -->`, KIND one of
KINDS. `python -m tests.docs.blocks` lists those blocks with their reasons. What is not run is still read: its
commands must parse, its Python must compile.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
KINDS = {
    "archive": "needs a real archive, which is restricted",
    "gpu": "needs a GPU, or several machines",
    "hub": "needs weights from outside",
    "minutes": "takes minutes",
    "install": "changes the installation",
    "network": "needs the network",
}
RUN = ("bash", "console", "python")
SHOWN = ("csv", "json", "latex", "text", "yaml", "toml", "make", "html")
_OPERATORS = {"|", "||", "&&", ";", ">", ">>", "<", "<<", "&"}
_FENCE = re.compile(
    r"^(?: *<!--(?P<comment>[^\n]*?)-->\n)?"
    r"(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: where it stands, its language, its text, and why it is not run (empty: it is)."""

    page: Path
    line: int
    language: str
    text: str
    kind: str = ""
    reason: str = ""

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in RUN and not self.kind

    def commands(self) -> list[str]:
        """The commands of a bash block, and those of a console block, where `$ ` stands before them."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order.

    Raises:
        ValueError: A mark or a language that nobody knows.
    """
    return list(_blocks(page, page.read_text(encoding="utf-8")))


def _blocks(page: Path, text: str) -> Iterator[Block]:
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        language, indent = match["language"].strip(), match["indent"]
        if language not in (*RUN, *SHOWN) and not language.startswith("{"):
            known = ", ".join((*RUN, *SHOWN))
            raise ValueError(f"{page.name}:{line}: a block of language {language!r}; known: {known}")
        body = "".join(part.removeprefix(indent) for part in match["text"].splitlines(keepends=True))
        kind, reason = _mark(f"{page.name}:{line}", match["comment"] or "")
        yield Block(page=page, line=line, language=language, text=body, kind=kind, reason=reason)


def _mark(place: str, comment: str) -> tuple[str, str]:
    if not comment.strip().startswith("not run"):
        return "", ""
    match = re.fullmatch(r" not run: (\w+), (\S.*) ", comment)
    if match is None or match[1] not in KINDS:
        raise ValueError(f"{place}: expected `<!-- not run: KIND, reason -->`, KIND of {', '.join(KINDS)}")
    return match[1], match[2]


def run_block(block: Block, folder: Path) -> None:
    """Run a block in the current folder, which is `folder`; AssertionError where a command fails."""
    if block.language == "python":
        exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
        return
    words = [shlex.split(command, comments=True) for command in block.commands()]
    if all(w[0] == "xreid" and not _OPERATORS & set(w) for w in words):
        for w in words:
            run_xreid(on_fewer_people(w[1:]), place=block.place)
    else:
        run_shell("\n".join(block.commands()), folder, place=block.place)


def on_fewer_people(words: list[str]) -> list[str]:
    """The command as it stands, but of the 50 people of the first pages only ten: drawing them takes seconds.

    That 50 are enough for a batch as it stands is a test of its own.
    """
    if words[0] == "simulate" and "small" in words:
        return [*words, "--train_identities", "6", "--test_identities", "4"]
    return [*words, "--batch.identities", "3"] if words[:2] == ["train", "people"] else words


def run_xreid(words: list[str], *, place: str) -> None:
    """Run one command in this process: importing torch anew for each would take most of the time."""
    from xreid.cli.main import main

    code = main(words)
    assert code == 0, f"{place}: `xreid {shlex.join(words)}` exits with {code}"


def run_shell(script: str, folder: Path, *, place: str) -> None:
    """Run a script in bash, with this Python's `xreid`."""
    command = folder / ".bin" / "xreid"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m xreid.cli.main "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, f"{place}: exit {done.returncode}\n{script}\n{done.stderr[-2000:]}"


class _ParsedError(Exception):
    """Raised once a verb has read its options."""


def read_block(block: Block) -> None:
    """Check what can be checked without running: the Python compiles, options of `xreid` exist.

    What is said after an installation that was not made may name presets that are not there.
    """
    if block.language == "python":
        compile(block.text, block.place, "exec")
        return
    if block.kind == "install":
        return
    for command in block.commands():
        words = shlex.split(command, comments=True)
        for name in ("xreid", "xreid.cli.main"):
            if name in words and not _OPERATORS & set(words):
                parse_only(words[words.index(name) + 1 :], place=block.place)


def parse_only(words: list[str], *, place: str) -> None:
    """Run a verb up to the point where its options are read."""
    from xreid.cli.main import VERBS, main

    if not words or words[0].startswith("--") or words[1:] == ["--help"]:
        return
    assert words[0] in VERBS, f"{place}: xreid has no verb {words[0]!r}"
    module = importlib.import_module(f"xreid.cli.{words[0]}")
    if not hasattr(module, "parse"):
        module = importlib.import_module("xreid.cli.sub_verbs")  # which reads the options of its verbs
    original = module.parse

    def parse(*arguments: Any, **named: Any) -> Any:
        original(*arguments, **named)
        raise _ParsedError

    module.parse = parse  # type: ignore[attr-defined]
    try:
        with contextlib.suppress(_ParsedError):
            raise AssertionError(f"{place}: `xreid {shlex.join(words)}` exits with {main(words)}")
    finally:
        module.parse = original  # type: ignore[attr-defined]


def listing() -> str:
    """The blocks that are not run, with their reasons."""
    found = [block for page in PAGES for block in blocks_of(page) if block.language in RUN]
    marked = [block for block in found if not block.is_run]
    rows = [f"{b.place:<22} {b.kind:<8} {b.reason}" for b in marked]
    return "\n".join([*rows, f"{len(found) - len(marked)} blocks are run, {len(marked)} are not"])


if __name__ == "__main__":
    print(listing())
