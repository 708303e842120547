"""Long lists: a million tracklets, and more results than the first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running
from xreid.retrieval.gallery import Gallery

pytestmark = needs_chromium
Start = Callable[..., Running]
MANY = 1_000_000


class Million:
    """A list of a million rows, as the server would tell it."""

    def __init__(self, visit: Visit, example: dict[str, Any]) -> None:
        self.example = example
        self.asked: list[int] = []
        visit.route("**/api/v1/tracklets?*", self.answer)

    def answer(self, route: Any) -> None:
        said = parse_qs(urlsplit(route.request.url).query)
        first, limit = (int(said.get(name, ["0"])[0]) for name in ("offset", "limit"))
        self.asked.append(first)
        rows = range(first, min(first + limit, MANY))
        items = [{**self.example, "name": f"row-{i}", "id": f"{i:020x}"} for i in rows]
        body = {"items": items, "total": MANY, "next": None}
        route.fulfill(body=json.dumps(body), content_type="application/json")


def test_a_million_tracklets_from_end_to_end(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full, "/api/v1/tracklets?limit=1")
    page = visit.page
    example = json.loads(page.inner_text("body"))["items"][0]
    million = Million(visit, example)
    page.goto(full.url)
    expect(page.locator(".tracklets > p")).to_have_text("1,000,000 tracklets")
    page.keyboard.press("/")
    page.keyboard.press("End")
    last = page.locator(f".line[aria-posinset='{MANY}']")
    expect(last).to_be_in_viewport()
    expect(last).to_have_class("line at")
    expect(page.locator(".rows")).to_have_attribute("aria-activedescendant", f"line-{MANY - 1:020x}")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    expect(page.locator(f".line[aria-posinset='{MANY - 7}']")).to_be_in_viewport()
    middle = "(e) => { e.scrollTop = (e.scrollHeight - e.clientHeight) / 2; }"
    page.locator(".window").evaluate(middle)
    expect(page.locator(f".line[aria-posinset='{MANY // 2}']")).to_be_in_viewport()
    assert page.locator(".line").count() < 60
    page.keyboard.press("Home")
    expect(page.locator(".line[aria-posinset='1']")).to_be_in_viewport()
    assert len(million.asked) <= 12, million.asked
    visit.close(complaints=("404",))


def test_more_results_than_the_first(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    from tests.retrieval.sets import make_set

    Gallery.create(tmp_path / "many").append(make_set(900, prefix="row-"), name="many")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "many"), checkpoint=None))
    page = visit.page
    visit.search_from()
    page.get_by_label("Most results").select_option(label="top 200")
    expect(page.locator(".hit")).to_have_count(200)
    more = page.locator("[data-key=more] button")  # a role would be looked for in thousands of elements
    expect(more).to_have_text("Show 200 more")
    more.click()
    expect(page.locator(".hit")).to_have_count(400)
    expect(page.locator(".hit").nth(200)).to_be_focused()
    assert "top=400" in page.evaluate("location.hash")
    assert page.locator("video").count() < 40, "clips are there while they are in view"
    page.reload()
    expect(page.locator(".hit")).to_have_count(400)
    more.click()
    expect(page.locator(".hit")).to_have_count(600)
    more.click()
    expect(page.locator(".hit")).to_have_count(800)
    expect(more).to_have_text("Show 99 more")
    more.click()
    expect(page.locator(".hit")).to_have_count(899)
    expect(more).to_have_count(0)
    visit.close(complaints=("404",))
