"""Docstrings are for people: paragraphs, lists, listings and `code` mean something in them, no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_CODE = re.compile(r"(`[^`]*`)")
_SPECIAL = re.compile(r"[*|]|(?<=\w)_(?!\w)")  # emphasis, substitution, reference
_ITEM = re.compile(r"(?:[*-]|\d+\.) ")


def prepare(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText that says what it looks like."""
    text = list(listings(lines)) if what == "module" else lines
    lines[:] = list(lists([line if line.startswith("    ::|") else escape(line) for line in text]))
    lines[:] = [line.replace("    ::|", "    ", 1) for line in lines]


def listings(lines: list[str]) -> Iterator[str]:
    """Mark what a module's docstring indents, or sets in columns, as a literal block."""
    inside = False
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else ""
        of_list = _ITEM.match(before.lstrip()) or (before.startswith("  ") and not inside)
        listed = bool(line) and (is_row(line) or (line.startswith("  ") and not of_list))
        if listed and not inside:
            yield from ("", "::", "")
        if inside and line and not listed:
            yield ""
        inside = listed or (inside and not line)
        yield f"    ::|{line}" if listed else line


def is_row(line: str) -> bool:
    """A line in columns: something, at least two blanks, something."""
    return re.search(r"\S {2,}\S", line) is not None


def lists(lines: list[str]) -> Iterator[str]:
    """Put a blank line before a list that follows a paragraph."""
    before = ""
    for line in lines:
        first = _ITEM.match(line.lstrip()) and before and not _ITEM.match(before.lstrip())
        if first and indent(line) == indent(before):
            yield ""
        yield line
        before = line


def indent(line: str) -> int:
    """Blanks at the start of a line."""
    return len(line) - len(line.lstrip())


def escape(line: str) -> str:
    """Escape a line's special characters, outside of code and but for a list's bullet."""
    bullet = re.match(r"\s*(?:\* )?", line)
    start = bullet.group() if bullet else ""
    parts = _CODE.split(line[len(start) :])
    return start + "".join(p if p.startswith("`") else _SPECIAL.sub(r"\\\g<0>", p) for p in parts)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx, before napoleon adds markup of its own."""
    app.connect("autodoc-process-docstring", prepare, priority=100)
    return {"parallel_read_safe": True}
