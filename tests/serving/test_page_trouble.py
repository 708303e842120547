"""The page when things go wrong: the server away, a session over, people erased, long lists, a slow line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running, Tokens
from xreid.retrieval.gallery import Gallery

pytestmark = needs_chromium
Start = Callable[..., Running]


def test_thousands_of_tracklets(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    from tests.retrieval.sets import make_set

    Gallery.create(tmp_path / "many").append(make_set(3000, prefix="row-"), name="many")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "many"), checkpoint=None))
    page = visit.page
    expect(page.locator(".tracklets > p")).to_have_text("3,000 tracklets")
    assert page.locator(".line").count() < 60, "only what is in view is in the page"
    down = "(e) => { e.scrollTop = e.scrollHeight; return !!e.querySelector('[aria-posinset=\"3000\"]'); }"
    visit.until(f"({down})(document.querySelector('.window'))")  # page by page, to the end
    expect(page.locator(".line[aria-posinset='3000']")).to_be_visible()
    assert page.locator(".line").count() < 60
    expect(page.locator(".line .none").first).to_have_text("no picture")
    visit.search_from()
    page.get_by_label("Most results").select_option(label="top 200")
    expect(page.locator(".hit")).to_have_count(200)
    page.keyboard.press("r")
    page.keyboard.press("End")
    expect(page.locator(".hit").last).to_be_focused()
    assert page.locator("video").count() < 40, "clips are there while they are in view"
    visit.photo("thousands")
    visit.close(complaints=("404",))


def test_a_click_while_the_list_moves_counts(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    line = page.locator(".line").first
    expect(line).to_be_visible()
    where = line.bounding_box()
    page.mouse.move(where["x"] + 40, where["y"] + 20)
    page.mouse.down()
    page.locator(".window").evaluate("(e) => e.dispatchEvent(new Event('scroll'))")
    page.mouse.up()
    expect(page.locator(".hit").first).to_be_visible()
    visit.close()


def test_a_list_that_cannot_be_had_is_not_called_empty(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    visit.route(
        "**/api/v1/tracklets?*", lambda route: route.fulfill(status=503, body='{"detail": "too many"}')
    )
    page.get_by_role("radio", name="infrared").check()
    expect(page.locator(".rows [role=alert]")).to_contain_text("too many")
    expect(page.locator(".hit")).to_have_count(12)
    page.locator(".hit").first.get_by_role("button", name="Example").click()
    expect(page.locator(".asked")).to_have_count(2)  # and the list has marked what is searched for
    page.set_viewport_size({"width": 1280, "height": 700})
    expect(page.locator(".rows [role=alert]")).to_contain_text("too many")
    page.unroute("**/api/v1/tracklets?*")
    page.locator(".rows").get_by_role("button", name="Try again").click()
    expect(page.locator(".tracklets > p")).to_have_text("12 tracklets")
    expect(page.locator(".line").first).to_be_visible()
    visit.close(complaints=("503",))


def test_when_the_server_goes_and_comes_back(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    visit.go_offline()
    page.locator(".line").first.click()
    expect(page.locator(".lost")).to_contain_text("The server does not answer")
    expect(page.locator(".answer-box [role=alert]")).to_contain_text("cannot be reached")
    visit.photo("server-gone")
    visit.context.set_offline(False)  # what failed is asked again without a click
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator(".lost")).to_have_count(0)
    visit.close(complaints=("ERR_INTERNET_DISCONNECTED",))


def test_a_session_that_is_over_goes_on(chromium: Any, run_server: Start, tokens: Tokens) -> None:
    server = run_server(token_file=tokens.file)
    visit = Visit(chromium, server)
    page = visit.page
    page.get_by_label("your token").fill(tokens.operator)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#who")).to_have_text("operator-1, operator")
    visit.search_from()
    visit.route("**/api/v1/alerts*", lambda route: route.fulfill(json=[]))  # asked now and then: not first
    (cookie,) = visit.context.cookies()
    page.keyboard.press("r")
    server.site.sessions.end(cookie["value"])  # as a restart of the server does
    page.keyboard.press("c")
    again = page.get_by_role("dialog", name="Sign in again")
    expect(again).to_be_visible()
    page.keyboard.press("Escape")
    expect(again).to_be_visible()
    veil = page.evaluate("getComputedStyle(document.querySelector('dialog'), '::backdrop').backgroundColor")
    assert veil.startswith("rgb("), "nobody who comes by sees the pictures"
    visit.photo("session-over")
    again.get_by_label("your token").fill(tokens.operator)
    page.keyboard.press("Enter")
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    expect(page.locator(".counts-said")).to_have_text("1 ✓ 0 ✗")
    # Somebody else begins anew.
    (cookie,) = visit.context.cookies()
    server.site.sessions.end(cookie["value"])
    page.keyboard.press("2")
    again.get_by_label("your token").fill(tokens.viewer)
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("viewer-1, viewer")
    visit.close(complaints=("401",))


def test_people_erased_meanwhile(chromium: Any, run_server: Start) -> None:
    server = run_server()
    visit = Visit(chromium, server)
    page = visit.page
    visit.search_from()
    page.locator(".line").nth(2).click(modifiers=["Shift"])
    expect(page.locator(".hit")).to_have_count(22)
    names = ["gate-00", "yard-00"]
    server.site.backend.erase(names=names, identities=[], who="admin", reason="asked", dry_run=False)
    page.locator(".hit[aria-label*='yard-00,']").focus()
    page.keyboard.press("c")
    expect(page.locator("#told")).to_contain_text("Not stored: ")
    expect(page.locator(".hit.confirmed")).to_have_count(0)
    page.get_by_label("Most results").select_option(label="top 12")
    expect(page.locator(".answer-box [role=alert]")).to_contain_text("may have been erased")
    visit.photo("erased-meanwhile")
    page.get_by_role("button", name="Go on without what is gone").click()
    expect(page.locator(".asked")).to_have_count(1)
    expect(page.locator(".hit").first).to_be_visible()
    visit.close(complaints=("404", "422"))


def test_a_slow_search_says_so_and_is_overtaken(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    visit.route("**/api/v1/search", hold)
    expect(page.locator(".line").first).to_be_visible()
    page.locator(".line").first.click()
    expect(page.get_by_text("Searching 24 tracklets …")).to_be_visible()
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "true")
    visit.photo("slow")
    page.locator(".line").nth(1).click()  # does not wait for the first
    expect(page.locator(".hit")).to_have_count(23)
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".asked")).to_have_count(1)
    visit.close()
