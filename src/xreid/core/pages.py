"""HTML pages of one look: each is one file with its style inside, which loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xreid.core.files import atomic_file


def render_template(name: str, values: Mapping[str, Any]) -> str:
    """A page, from a template of the package that extends core/page.html.

    Args:
        name: Path of the template inside the package, e.g. "evaluation/report.html".
        values: What the template names; all text is escaped, and a name without a value is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xreid", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(values)


def write_page(path: Path, html: str) -> None:
    """Write a page, atomically.

    Raises:
        XReidError: The folder cannot be written.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
