"""Writes docs/api: one page per public module, grouped by room, from what lies in the package."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

# Rooms in the order of the layers, bottom up; a room that is not named here comes last.
ROOMS = {
    "core": "Core",
    "models": "Models",
    "losses": "Losses",
    "methods": "Methods",
    "data": "Data",
    "simulation": "Simulation",
    "evaluation": "Evaluation",
    "inference": "Inference",
    "training": "Training",
    "retrieval": "Retrieval",
    "cli": "Command line",
}
INTRODUCTION = """\
Every public module, from its docstrings, grouped by the package's rooms. A room uses those above it in this
list and never those below.
"""


def write_pages(app: Sphinx) -> None:
    """Write the pages that changed, and delete those whose module is gone."""
    package = Path(__file__).parents[2] / "src" / "xreid"
    folder = app.srcdir / "api"
    pages = api_pages(package)
    for old in folder.rglob("*.rst"):
        if old.relative_to(folder).as_posix() not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def api_pages(package: Path) -> dict[str, str]:
    """The text of each page by its path in docs/api."""
    found = {p.parent.name for p in package.glob("*/__init__.py")}
    rooms = [room for room in ROOMS if room in found] + sorted(found - ROOMS.keys())
    pages = {"index.rst": heading("API reference") + INTRODUCTION + toctree(rooms)}
    for room in rooms:
        modules, title = public_modules(package / room), ROOMS.get(room, room.capitalize())
        rows = [f"   * - :doc:`{room}/{m.stem}`\n     - {first_line(m)}" for m in modules]
        table = "\n.. list-table::\n   :class: modules\n\n" + "\n".join(rows) + "\n"
        about = f".. module:: xreid.{room}\n\n{first_line(package / room / '__init__.py')}\n"
        pages[f"{room}.rst"] = heading(title) + about + table
        for module in modules:
            pages[f"{room}/{module.stem}.rst"] = module_page(room, title, module.stem)
    return pages


def module_page(room: str, title: str, module: str) -> str:
    """A page that no navigation lists: 150 entries are of no use in it, and double the time of a build."""
    back = f":doc:`API reference </api/index>` / :doc:`{title} </api/{room}>`\n\n"
    directive = f".. automodule:: xreid.{room}.{module}\n   :members:\n"
    return ":orphan:\n\n" + heading(f"{room}.{module}") + back + directive


def public_modules(room: Path) -> list[Path]:
    """The modules of a room, but for private ones, by name; packages in it count as one module."""
    return sorted(p for p in room.glob("*.py") if not p.stem.startswith("_"))


def first_line(module: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].replace("*", r"\*").replace("|", r"\|")


def heading(text: str) -> str:
    """A page's title."""
    return f"{text}\n{'=' * len(text)}\n\n"


def toctree(pages: list[str]) -> str:
    """A toctree that shows in the navigation only."""
    return "\n.. toctree::\n   :hidden:\n\n" + "".join(f"   {page}\n" for page in pages)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
