"""The site's navigation comes from conf.py, so that the pages stay plain Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata


def append_navigation(app: Sphinx, docname: str, content: list[str]) -> None:
    """Add one hidden toctree per group of `navigation` to the start page."""
    if docname == app.config.root_doc:
        groups = existing(app.config.navigation, app.srcdir)
        content[0] += "".join(toctree(caption, pages) for caption, pages in groups.items())


def existing(groups: dict[str, list[str]], folder: Path) -> dict[str, list[str]]:
    """The groups without pages that are not there, and the pages that no group names."""
    found = {p.stem for p in folder.glob("*.md")} - {"index"}
    named = {page for pages in groups.values() for page in pages}
    kept = {caption: [p for p in pages if p in found or "/" in p] for caption, pages in groups.items()}
    return {caption: pages for caption, pages in (kept | {"More": sorted(found - named)}).items() if pages}


def toctree(caption: str, pages: list[str]) -> str:
    """A hidden toctree in MyST's spelling."""
    return "\n\n" + "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.add_config_value("navigation", {}, "env", types=[dict])
    app.connect("source-read", append_navigation)
    return {"parallel_read_safe": True}
