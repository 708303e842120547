"""Links of the pages to source files lead, on the site, to the API page, with the source beside it.

A page says `[text](../src/xreid/models/heads.py#BNNeck)`: on GitHub that opens the file, here it becomes a
link to the documentation of `BNNeck` (a wrong name is an error) and a small one to its source.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_FENCE = re.compile(r"^(```.*?^```)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(\.\./src/(xreid[\w/]*)\.py(?:#([\w.]+))?\)")


def rewrite(app: Sphinx, docname: str, content: list[str]) -> None:
    """Rewrite the links of a page, outside of code blocks."""
    parts = _FENCE.split(content[0])
    content[0] = "".join(part if part.startswith("```") else _LINK.sub(api_link, part) for part in parts)


def api_link(match: re.Match[str]) -> str:
    """The Markdown that replaces a link to a source file."""
    text, path, name = match.groups()
    target = ".".join([path.replace("/", "."), *([name] if name else [])])
    source = f"_modules/{path}.html" + (f"#{name}" if name else "")
    return f'[{text}](#{target}) <a class="source" href="{source}">source</a>'


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True}
