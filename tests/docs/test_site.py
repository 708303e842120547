"""What makes and checks the site: links, navigation, docstrings, API pages. `make docs` runs all of it."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import PAGES, ROOT

DOCS = ROOT / "docs"


def load(name: str) -> ModuleType:
    """A script of docs/ or docs/_ext, which are no packages."""
    folder = DOCS if name == "check_site" else DOCS / "_ext"
    spec = importlib.util.spec_from_file_location(f"docs_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def write(site: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (site / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return site


def test_a_sound_site_has_no_faults_and_lists_external_links(tmp_path: Path) -> None:
    page = '<a href="b.html#here">b</a><a href="#top">up</a><a href="https://example.org/x">out</a>'
    write(tmp_path, a=page, b='<p id="here">b</p>')
    wrong, external = load("check_site").problems_of(tmp_path)
    assert wrong == []
    assert dict(external) == {"https://example.org/x": {"a.html"}}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="missing.html">x</a>', "missing.html leads nowhere"),
        ('<a href="b.html#gone">x</a>', "b.html#gone names an anchor that is not there"),
        ('<a href="#gone">x</a>', "#gone names an anchor that is not there"),
        ('<img src="https://example.org/p.png">', "loads https://example.org/p.png"),
        ('<script src="//cdn.example.org/s.js"></script>', "loads //cdn.example.org/s.js"),
        ('<link rel="stylesheet" href="https://example.org/f.css">', "loads https://example.org/f.css"),
        ("<style>@import 'https://example.org/f.css';</style>", "loads https://example.org/f.css"),
        ('<p style="background:url(http://example.org/p.png)">x</p>', "loads http://example.org/p.png"),
        ('<img src="gone.png">', "gone.png leads nowhere"),
    ],
)
def test_faults_are_found(body: str, fault: str, tmp_path: Path) -> None:
    write(tmp_path, a=body, b="<p id='here'>b</p>")
    wrong, _ = load("check_site").problems_of(tmp_path)
    assert wrong == [f"a.html: {fault}"]


def test_a_style_sheet_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    (write(tmp_path, a="") / "s.css").write_text("@font-face { src: url('https://example.org/f.woff2') }")
    assert load("check_site").problems_of(tmp_path)[0] == ["s.css: loads https://example.org/f.woff2"]


def test_a_site_without_pages_is_a_fault(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    assert load("check_site").main([str(site)]) == 1


def test_navigation_takes_what_is_there_and_forgets_nothing(tmp_path: Path) -> None:
    for name in ("index", "start", "new"):
        (tmp_path / f"{name}.md").touch()
    groups = load("navigation").existing(
        {"A": ["start", "later"], "B": ["later"], "C": ["api/index"]}, tmp_path
    )
    assert groups == {"A": ["start"], "C": ["api/index"], "More": ["new"]}


def test_every_page_that_is_named_is_named_once() -> None:
    conf = ast.parse((DOCS / "conf.py").read_text())
    (groups,) = (
        ast.literal_eval(node.value)
        for node in conf.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "navigation"
    )
    named = [page for pages in groups.values() for page in pages]
    assert len(named) == len(set(named))
    unnamed = {page.stem for page in PAGES[1:]} - {*named, "index"}
    assert not unnamed, "give these pages a place in docs/conf.py, or they stand under More"


FENCED = "```text\n[m](../src/xreid/core/files.py)\n```\n"


@pytest.mark.parametrize(
    ("markdown", "target", "source"),
    [
        ("../src/xreid/models/heads.py#BNNeck", "xreid.models.heads.BNNeck", "models/heads.html#BNNeck"),
        ("../src/xreid/core/files.py", "xreid.core.files", "core/files.html"),
    ],
)
def test_links_to_source_files_become_links_to_the_reference(markdown: str, target: str, source: str) -> None:
    content = [f"See [`X`]({markdown}), [m](method.md).\n{FENCED}"]
    load("source_links").rewrite(None, "page", content)
    link = f'[`X`](#{target}) <a class="source" href="_modules/xreid/{source}">source</a>'
    assert content == [f"See {link}, [m](method.md).\n{FENCED}"]


def test_docstrings_become_restructured_text() -> None:
    lines = ["Takes *all* of a|b and `c*d`, see x_.", "Two rules:", "* one", "* two"]
    load("docstrings").prepare(None, "function", "f", None, None, lines)
    assert lines == [r"Takes \*all\* of a\|b and `c*d`, see x\_.", "Two rules:", "", "* one", "* two"]


def test_listings_of_a_module_keep_their_columns() -> None:
    lines = ["The folder:", "    a.txt   the a", "    b.txt   the b", "Until then nothing."]
    load("docstrings").prepare(None, "module", "m", None, None, lines)
    listing = ["::", "", "        a.txt   the a", "        b.txt   the b", ""]
    assert lines == ["The folder:", "", *listing, "Until then nothing."]


def test_every_public_module_has_a_page(tmp_path: Path) -> None:
    room = tmp_path / "xreid" / "engine"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text('"""Engines."""')
    (room / "steam.py").write_text('"""Steam *only*.\n\nMore."""')
    (room / "_private.py").write_text('"""Hidden."""')
    pages = load("api_pages").api_pages(tmp_path / "xreid")
    assert set(pages) == {"index.rst", "engine.rst", "engine/steam.rst"}
    assert "Engines." in pages["engine.rst"]
    assert r"Steam \*only\*." in pages["engine.rst"]
    assert ".. automodule:: xreid.engine.steam" in pages["engine/steam.rst"]
