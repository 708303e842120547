"""Long rows of controls: Tab stops once in each, and arrow keys go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running

pytestmark = needs_chromium
Start = Callable[..., Running]
STOPS = """(place) => [...document.querySelector(place).querySelectorAll('button, input, a, [tabindex]')]
    .filter((e) => e.tabIndex >= 0 && !e.disabled && e.getClientRects().length).length"""
FOCUSED = "document.activeElement.dataset.key"
# What a mark of the timeline says, by the key of its element, lane by lane and in order of time.
MARKS = """() => [...document.querySelectorAll('.lane')].map((lane) => [...lane.querySelectorAll('.blip')]
    .map((e) => [e.dataset.key, e.getBoundingClientRect().left]))"""


def test_the_timeline_is_one_stop(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    gate, yard = page.evaluate(MARKS)
    assert [len(gate), len(yard)] == [12, 12]
    for lane in (gate, yard):
        assert [left for _, left in lane] == sorted(left for _, left in lane), "read in order of time"
    assert page.evaluate(STOPS, ".lanes-box") == 1
    page.keyboard.press("t")
    assert page.evaluate(FOCUSED) == gate[0][0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == gate[1][0]
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == yard[-1][0]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUSED) == yard[-1][0], "there is nothing beyond the last"
    page.keyboard.press("ArrowUp")
    near = min(gate, key=lambda one: abs(one[1] - yard[-1][1]))[0]
    assert page.evaluate(FOCUSED) == near, "the nearest in time, of the camera above"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUSED) == near
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == yard[0][0]
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.lanes-box')"), "one stop, then on"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == yard[0][0], "back to where it was left"
    page.keyboard.press("Enter")
    expect(page.locator(f".hit[data-key='{yard[0][0]}']")).to_be_focused()
    page.keyboard.press("c")  # draws the timeline again
    expect(page.locator(".lane-track .blip.is-confirmed")).to_have_count(1)
    assert page.evaluate(STOPS, ".lanes-box") == 1
    visit.close()


def test_tab_goes_through_one_result_and_on(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    assert page.evaluate(STOPS, ".hits") == 5, "the first result, and its four buttons"
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    expect(page.locator(".hit").nth(1)).to_have_class("card hit is-confirmed confirmed")
    assert page.evaluate(STOPS, ".hits") == 5
    for name in ("✓ Confirm", "✗ Reject", "Look", "+ Example"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
        assert (
            page.evaluate(
                "[...document.querySelectorAll('.hit')].findIndex((e) => e.matches(':focus-within'))"
            )
            == 1
        )
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.hits')")
    visit.close()


def test_alerts_are_answered_by_keys(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()  # before that no key is heard
    first = visit.page.evaluate("fetch('/api/v1/tracklets?limit=1').then((r) => r.json())")["items"][0]["id"]
    person = {
        "name": "Red shirt",
        "reason": "lost child",
        "tracklets": [first],
        "min_score": -1,
        "past": True,
    }
    for path, body in (("watch", person), ("watch-checks", {})):
        assert page.request.post(f"{visit.server.url}/api/v1/{path}", data=body).ok
    page.keyboard.press("3")
    expect(page.locator(".hit")).to_have_count(23)
    assert page.evaluate(STOPS, ".hits") == 5, "one alert, and its four buttons"
    page.locator(".hit").first.focus()
    page.keyboard.press("ArrowRight")
    second = page.evaluate(FOCUSED)
    assert second == page.locator(".hit").nth(1).get_attribute("data-key")
    page.keyboard.press("c")
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    assert page.evaluate(FOCUSED) == second, "it stays where it is"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator(".hit.rejected")).to_have_count(1)
    assert page.evaluate(STOPS, ".hits") == 5
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    visit.escape()
    expect(page.locator(".hit").nth(2)).to_be_focused()
    visit.close()


def test_many_cameras_are_one_stop(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full, "/api/v1/cameras")
    page = visit.page
    example = visit.page.evaluate("fetch('/api/v1/cameras').then((r) => r.json())")[0]
    many = [{**example, "name": f"cam{i}"} for i in range(300)]
    visit.route("**/api/v1/cameras", lambda route: route.fulfill(json=many))
    page.goto(full.url)
    expect(page.locator(".camera")).to_have_count(300)
    assert page.evaluate(STOPS, ".cameras") == 1
    page.get_by_role("checkbox", name="cam0", exact=False).first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('.cameras :checked').value") == "cam1"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.value") == "cam299"
    visit.close(complaints=("404", "422"))  # cameras that the server does not know
