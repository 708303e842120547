"""The page in a real Chromium: each flow, by mouse and by keyboard, and nothing that leaves the server.

Set XREID_SCREENSHOTS to a folder to look at what was seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running, Tokens
from tests.serving.world import as_bytes, person
from xreid.retrieval.gallery import Gallery
from xreid.serving.case_page import check_case

pytestmark = needs_chromium
Start = Callable[..., Running]


def test_an_operator_finds_judges_and_exports(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.get_by_text("24 tracklets").first).to_be_visible()
    assert page.title() == "xreid: gallery"
    visit.photo("1-start")
    visit.search_from()
    expect(page.locator(".hit")).to_have_count(23)
    expect(page.locator(".hit").first.get_by_text("not calibrated")).to_be_visible()
    visit.until("document.querySelector('.hit video')?.readyState >= 2")
    visit.until("document.querySelector('.hit video')?.paused === false")
    visit.photo("2-results")
    # By keyboard: the third is confirmed, the fourth rejected.
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    expect(page.locator(".hit").nth(2).get_by_text("✓ confirmed")).to_be_visible()
    pressed = page.locator(".hit").nth(2).get_by_role("button", name="Confirm")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator(".hit.rejected")).to_have_count(1)
    expect(page.locator(".counts-said")).to_have_text("1 ✓ 1 ✗")
    focused = page.evaluate("document.activeElement.dataset.id")
    assert focused == page.locator(".hit").nth(3).get_attribute("data-id")
    confirmed = page.locator(".hit").nth(2).get_attribute("data-id")
    rejected = page.locator(".hit").nth(3).get_attribute("data-id")
    visit.photo("3-judged")
    # The next search has learnt from it.
    page.get_by_role("button", name="Search again").click()
    expect(page.locator("#taught")).to_contain_text("Searched with 2 tracklets")
    expect(page.locator(".hit").first).to_have_attribute("data-id", confirmed or "")
    assert page.locator(f".hit[data-id='{rejected}']").count() == 0
    visit.photo("4-searched-again", whole=True)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export").click()
    saved = tmp_path / "case.html"
    waiting.value.save_as(saved)
    assert check_case(saved) == []
    expect(page.locator("#export-hash")).to_have_text(re.compile("[0-9a-f]{64}"))
    visit.photo("5-exported")
    visit.escape()
    # The case is among the cases, and can be gone on with.
    page.keyboard.press("2")
    page.locator("button.row").click()
    expect(page.get_by_role("heading", name=re.compile("Confirmed 1"))).to_be_visible()
    visit.photo("6-case", whole=True)
    page.get_by_role("button", name="Go on searching").click()
    expect(page.locator(".hit").first).to_have_attribute("data-id", confirmed or "")
    visit.close()
    shown = chromium.new_page(viewport={"width": 1000, "height": 900})
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(saved.as_uri())
    expect(shown.get_by_role("heading", name="Confirmed, in order of time 1")).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    if folder := os.environ.get("XREID_SCREENSHOTS"):
        shown.screenshot(path=str(Path(folder, "7-exported-file.png")), full_page=True)
    shown.close()


def test_keys_look_search_and_help(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    visit.photo("help")
    visit.escape()
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    third = page.locator(".line b").nth(2).inner_text()
    expect(page.locator(".asked b")).to_have_text(third)
    expect(page.locator(".hit").first).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.press("ArrowDown")
    at = page.evaluate("[...document.querySelectorAll('.hit')].indexOf(document.activeElement)")
    assert at > 1, "one row down, not one card"
    page.keyboard.press("Enter")
    page.locator("summary", has_text="All frames (6)").click()
    expect(page.get_by_role("dialog").locator(".frames img")).to_have_count(6)
    visit.photo("look")
    visit.escape()
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("s")
    expect(page.locator(".asked b")).to_have_text(re.search(r"Rank \d+, ([^,]+)", name)[1])  # type: ignore[index]
    visit.close()


def test_filters_and_several_tracklets(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".tracklets > p")).to_have_text("24 tracklets")
    page.get_by_role("checkbox", name="gate street").check()
    expect(page.locator(".tracklets > p")).to_have_text("12 tracklets")
    visit.search_from()
    expect(page.locator(".hit")).to_have_count(11)
    page.locator(".line").nth(1).click(modifiers=["Shift"])
    expect(page.locator(".asked")).to_have_count(2)
    expect(page.locator(".hit")).to_have_count(10)
    page.get_by_role("radio", name="infrared").check()
    expect(page.get_by_text("The filters let nothing through")).to_be_visible()
    expect(page.get_by_text("No tracklet passes these filters.")).to_be_visible()
    visit.photo("nothing-passes")
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator(".hit")).to_have_count(22)
    visit.close()


def test_a_dropped_picture_is_searched_for(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    (tmp_path / "seen.png").write_bytes(as_bytes(person(2, size=(160, 320))))
    (tmp_path / "lie.jpg").write_bytes(b"no picture at all")
    expect(page.locator(".line").first).to_be_visible()
    page.locator("input[type=file]").set_input_files(tmp_path / "lie.jpg")
    expect(page.get_by_role("alert")).to_contain_text("no image or video")
    visit.photo("upload-refused")
    visit.escape()
    page.locator("input[type=file]").set_input_files(tmp_path / "seen.png")
    stage = page.locator(".stage")
    expect(stage).to_be_visible()
    visit.until("document.querySelector('.stage img').naturalWidth > 0")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.05 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.95 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".mark-box")).to_be_visible()
    visit.photo("upload-box")
    page.get_by_role("button", name="Search for this person").click()
    expect(page.locator(".asked")).to_contain_text("1 picture, from your file")
    expect(page.locator(".hit").first).to_be_visible()
    visit.photo("upload-results")
    visit.close(complaints=("415",))


def test_tokens_and_roles(chromium: Any, run_server: Start, tokens: Tokens) -> None:
    visit = Visit(chromium, run_server(token_file=tokens.file))
    page = visit.page
    page.get_by_label("your token").fill("xreid_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    visit.photo("sign-in")
    page.get_by_label("your token").fill(tokens.viewer)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("searching needs the role operator")).to_be_visible()
    assert page.get_by_role("button", name="Log").count() == 0
    page.locator(".line").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    visit.escape()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("your token").fill(tokens.admin)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#who")).to_have_text("admin-1, admin")
    visit.search_from()
    page.get_by_role("button", name="Log").click()
    expect(page.locator(".log tbody tr").first).to_contain_text("search")
    page.get_by_role("button", name="Check the chain").click()
    expect(page.locator("#told")).to_contain_text("entries hold")
    visit.photo("log")
    page.get_by_role("button", name="Erase people").click()
    page.get_by_label("names of tracklets").fill("gate-00")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("1 tracklet would be erased.")).to_be_visible()
    visit.photo("erase")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("1 tracklet erased.")).to_be_visible()
    visit.escape()
    expect(page.locator("#gallery-count")).to_have_text("23 tracklets")
    visit.close(complaints=("401", "404"))


def test_somebody_is_watched_for(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    visit.search_from()
    page.get_by_role("button", name="Watch for this person").click()
    page.get_by_label("name for this person").fill("Red shirt")
    page.get_by_label("reason").fill("lost child")
    page.get_by_label("least score").fill("-1")
    page.get_by_label("also what is in the gallery already").check()
    visit.photo("watch-form")
    page.get_by_role("dialog").get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("#tabs [data-view=Watch]").click()  # its name has the number of new alerts, by and by
    expect(page.locator(".job")).to_contain_text("lost child")
    expect(page.locator(".hit")).to_have_count(23)
    expect(page.locator(".hit .cause").first).to_have_text("above -1.000, the least score that was named")
    page.locator(".hit").first.get_by_role("button", name="Wrong").click()
    expect(page.locator(".hit.rejected")).to_have_count(1)
    visit.photo("watch")
    visit.close()


def test_footage_is_taken_in(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "fresh")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "fresh")))
    page = visit.page
    expect(page.get_by_text("This gallery is empty.")).to_be_visible()
    visit.photo("empty-gallery")
    page.get_by_role("button", name="Take in footage").click()
    page.get_by_label("or a path in the import folder").fill("nowhere")
    page.get_by_label("name in the gallery").fill("people")
    page.get_by_label("that path is").select_option("embeddings")
    page.get_by_role("button", name="Take in").click()
    expect(page.get_by_role("alert")).to_contain_text("no 'nowhere'")
    page.get_by_label("or a path in the import folder").fill("people")
    page.get_by_role("button", name="Take in").click()
    expect(page.locator(".job")).to_contain_text("24 tracklets appended")
    expect(page.locator("#gallery-count")).to_have_text("24 tracklets")
    visit.photo("footage")
    page.keyboard.press("1")
    expect(page.locator(".line").first).to_be_visible()
    visit.close(complaints=("404",))
