"""What every part of the page has: headings in order, landmarks, names that say what is seen, contrast."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running
from tests.serving.test_page_access import CONTRASTS, NAMELESS
from xreid.retrieval.gallery import Gallery

pytestmark = needs_chromium
Start = Callable[..., Running]
# Levels of the headings that are shown, in the order of the page.
HEADINGS = """() => [...document.querySelectorAll('h1, h2, h3, h4')]
    .filter((e) => e.getClientRects().length).map((e) => Number(e.tagName[1]))"""
# Buttons whose name does not hold the words on them: who speaks to the page says what is seen.
MISNAMED = """() => [...document.querySelectorAll('button[aria-label]')]
    .filter((e) => { const said = e.innerText.trim().toLowerCase().replace(/[^a-z ]/g, '').trim();
                     return said && !e.getAttribute('aria-label').toLowerCase().includes(said); })
    .map((e) => e.outerHTML.slice(0, 120))"""
# What scrolls, and no key can scroll.
STUCK = """() => [...document.querySelectorAll('main *:not(textarea)')]
    .filter((e) => /auto|scroll/.test(getComputedStyle(e).overflow))
    .filter((e) => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1)
    .filter((e) => e.tabIndex < 0 && !e.querySelector('button, input, [tabindex="0"]'))
    .map((e) => e.outerHTML.slice(0, 120))"""
EMPTY_LISTS = (
    "[...document.querySelectorAll('[role=listbox]')].filter((e) => !e.querySelector('[role=option]')).length"
)
HEADLESS = "[...document.querySelectorAll('main th')].filter((e) => !e.textContent.trim()).length"


def _faults(page: Any, where: str) -> list[str]:
    """What is wrong with what the page shows."""
    found = []
    levels = page.evaluate(HEADINGS)
    if levels.count(1) != 1:
        found.append(f"{levels.count(1)} main headings")
    if any(after > before + 1 for before, after in pairwise(levels)):
        found.append(f"headings leave out a level: {levels}")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {one}" for one in page.evaluate(CONTRASTS)]
    for name, expression in (("misnamed", MISNAMED), ("nameless", NAMELESS), ("cannot be scrolled", STUCK)):
        found += [f"{name}: {one}" for one in page.evaluate(expression)]
    for name, expression in (
        ("list boxes without options", EMPTY_LISTS),
        ("columns without a head", HEADLESS),
    ):
        if count := page.evaluate(expression):
            found.append(f"{count} {name}")
    for landmark in ("header", "nav", "main"):
        if page.locator(f"{landmark}:visible").count() != 1:
            found.append(f"not one {landmark}")
    return [f"{where}: {one}" for one in found]


def test_every_part_of_a_page_that_is_used(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    faults = _faults(page, "start")
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator(".counts-said")).to_be_visible()
    faults += _faults(page, "results")
    first = page.locator(".hit").first.get_attribute("data-id")
    person = {"name": "Hat", "reason": "lost", "tracklets": [first], "min_score": -1, "past": True}
    for path, body in (("watch", person), ("watch-checks", {})):
        assert page.request.post(f"{visit.server.url}/api/v1/{path}", data=body).ok
    for key, there in (("3", ".hit"), ("4", "table"), ("5", ".log tbody tr"), ("2", "button.row")):
        page.keyboard.press(key)
        expect(page.locator(there).first).to_be_visible()
        faults += _faults(page, f"part {key}")
    page.locator("button.row").first.click()
    expect(page.get_by_role("button", name="Go on searching")).to_be_visible()
    faults += _faults(page, "a case")
    assert faults == []
    visit.close()


def test_every_part_of_a_page_with_nothing_to_show(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "fresh")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "fresh")))
    page = visit.page
    faults = []
    for key, words in (
        ("1", "This gallery is empty."),
        ("2", "No case yet."),
        ("3", "Nobody is watched for."),
        ("4", "Nothing yet."),
        ("5", "Who did what"),
    ):
        expect(page.locator("#gallery-count")).to_have_text("0 tracklets")
        page.keyboard.press(key)
        expect(page.get_by_text(words).first).to_be_visible()
        faults += _faults(page, words)
    assert faults == []
    visit.close()


def test_the_skip_link_keeps_what_is_searched_for(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    address = page.evaluate("location.hash")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".content")).to_be_focused()
    assert page.evaluate("location.hash") == address
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('.asked')"), "Tab goes on in the content"
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Cases")).to_be_visible()
    expect(page.locator("#view")).to_be_focused()  # what had the focus has gone: Tab goes on in the new part
    visit.close()


def test_who_types_into_a_form_that_opens_types_into_it(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.get_by_role("button", name="Watch for this person").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("name for this person")).to_be_focused()
    page.keyboard.type(
        "Red coat"
    )  # on the button "Close", the space would close it, and the rest be commands
    expect(page.get_by_label("name for this person")).to_have_value("Red coat")
    visit.close()


def test_who_was_erased_is_no_more_on_the_page(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from()
    page.locator(".line").nth(2).click(modifiers=["Shift"])
    expect(page.locator(".hit")).to_have_count(22)
    gone, stays = (page.locator(".asked b").nth(i).get_attribute("title") for i in (0, 1))
    page.keyboard.press("5")
    page.get_by_role("button", name="Erase people").click()
    page.keyboard.type(str(gone))
    page.get_by_role("button", name="What would go?").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("1 tracklet erased.")).to_be_visible()
    visit.escape()
    page.keyboard.press("1")
    expect(page.locator(".asked")).to_have_count(1)
    expect(page.locator(".asked b")).to_have_attribute("title", str(stays))
    expect(page.locator(".hit")).to_have_count(22)
    expect(page.get_by_text(re.compile(re.escape(str(gone))))).to_have_count(0)
    visit.close(complaints=("404",))


def test_while_the_erased_are_looked_up_the_page_works_and_loses_nobody(
    chromium: Any, run_server: Start
) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from()
    shown = page.locator(".hit").first.get_attribute("data-id")
    asked = page.locator(".asked b").get_attribute("title")
    waiting = visit.hold("**/api/v1/tracklets/*", "GET")
    page.keyboard.press("5")
    page.get_by_role("button", name="Erase people").click()
    page.keyboard.type("yard-11")
    page.get_by_role("button", name="What would go?").click()
    page.get_by_role("button", name="Erase for good").click()
    visit.until_there_are(1, waiting)
    visit.escape()
    page.keyboard.press("1")
    page.locator(f".blip[data-key='{shown}']").press("Enter")
    expect(page.locator(f".hit[data-id='{shown}']")).to_be_focused()
    with page.expect_response("**/api/v1/search"):
        waiting[0].fulfill(status=503, json={"detail": "too much to do"})  # nobody is gone by that
    expect(page.locator(".asked b")).to_have_attribute("title", str(asked))
    visit.close(complaints=("404", "503"))


def test_letters_of_twice_the_size(chromium: Any, full: Running) -> None:
    """As somebody has set in the browser: all is there, and nothing runs out of the page."""
    visit = Visit(chromium, full, viewport={"width": 390, "height": 800})
    page = visit.page
    house = page.request.get(f"{full.url}/static/page.css").text()
    large = {"body": house + "\nhtml { font-size: 200%; }", "content_type": "text/css"}
    visit.route("**/static/page.css", lambda route: route.fulfill(**large))
    page.reload()
    page.get_by_role("button", name="the list").click()
    expect(page.locator(".line").first).to_be_visible()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    cut = "(e) => [...e.querySelectorAll('.line > div')].some((one) => one.scrollHeight > 4.875 * 32)"
    assert not page.locator(".rows").evaluate(cut), "rows grow with the letters"
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_be_visible()
    assert page.evaluate(wide) <= 0
    page.keyboard.press("r")
    page.keyboard.press("w")
    expect(page.locator(".shares tr").first).to_be_visible()
    assert page.evaluate("(d => d.scrollWidth - d.clientWidth)(document.querySelector('dialog'))") <= 0
    visit.photo("letters-twice")
    visit.close()
