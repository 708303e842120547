"""The shared look of the pages: one self-contained file, escaped, with nothing left out silently."""

import re
from pathlib import Path

import jinja2
import pytest

from xreid.core.pages import render_template, write_page

TEMPLATES = ("evaluation/report.html", "retrieval/search.html", "cli/demo_page.html")
SOURCE = Path(__file__).parents[2] / "src" / "xreid"


def test_every_page_extends_the_shared_one_and_has_no_style_of_its_own() -> None:
    for name in TEMPLATES:
        text = (SOURCE / name).read_text()
        assert text.startswith('{% extends "core/page.html" %}')
        assert "<style" not in text
    pages = {str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*.html") if "<html" in p.read_text()}
    assert pages == {"core/page.html", "serving/static/index.html"}, "the latter is the application's"
    assert '"/static/page.css"' in (SOURCE / "serving" / "static" / "index.html").read_text()


def test_the_style_loads_nothing_and_prints_on_white() -> None:
    style = (SOURCE / "core" / "page.css").read_text()
    assert not re.search(r"url\(|@import|http", style)
    dark = re.findall(r"@media ([^{]*prefers-color-scheme: dark[^{]*)", style)
    assert [d.strip() for d in dark] == ["screen and (prefers-color-scheme: dark)"]


def test_every_class_of_the_templates_is_in_the_style() -> None:
    style = (SOURCE / "core" / "page.css").read_text()
    known = set(re.findall(r"\.([a-z][a-z0-9]*)", style))
    for path in [*(SOURCE / name for name in TEMPLATES), SOURCE / "evaluation" / "parts.html"]:
        text = re.sub(r"[a-z]*\{[{%].*?[%}]\}", " ", path.read_text())
        used = {name for names in re.findall(r'class="([^"]*)"', text) for name in names.split()}
        assert used
        assert used <= known, path.name


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render_template("retrieval/search.html", {})


def test_a_page_is_written_whole(tmp_path: Path) -> None:
    write_page(tmp_path / "new" / "page.html", "<p>é</p>")
    assert (tmp_path / "new" / "page.html").read_bytes() == "<p>é</p>".encode()
