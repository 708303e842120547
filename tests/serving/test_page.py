"""The page in a real Chromium: each flow, by mouse and by keyboard, and nothing that leaves the server.

Set XREID_SCREENSHOTS to a folder to look at what was seen.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import Running, Tokens
from tests.serving.world import as_bytes, person
from xreid.retrieval.gallery import Gallery
from xreid.serving.case_page import check_case

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
_CHROMIUM = os.environ.get("XREID_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="no chromium found (set XREID_CHROMIUM)")
CONTRASTS = Path(__file__).with_name("contrast.js").read_text()
_WAIT_MS = 90_000  # on a machine that is busy with something else

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Start = Callable[..., Running]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


class Visit:
    """A page of a server, with everything that it asked for and complained of."""

    def __init__(self, browser: Any, server: Running, **settings: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 860}, "accept_downloads": True, **settings}
        self.server, self.context = server, browser.new_context(**settings)
        self.context.set_default_timeout(_WAIT_MS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.goto(server.url)

    def photo(self, name: str, *, whole: bool = False) -> None:
        """A screenshot, where somebody wants to look at it."""
        if folder := os.environ.get("XREID_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(400)
            self.page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=whole)

    def close(self, *, complaints: tuple[str, ...] = ()) -> None:
        """End the visit: nothing was asked of anybody else, and nothing went wrong unseen."""
        self.context.close()
        own = (self.server.url, f"blob:{self.server.url}", "data:")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert len(self.requests) > 8
        left = [text for text in self.complaints if not any(word in text for word in complaints)]
        assert left == []


def until(page: Any, truth: str) -> None:
    """Wait for an expression; Playwright's own way needs `eval`, which the page's policy forbids."""
    for _ in range(_WAIT_MS // 100):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not within {_WAIT_MS} ms: {truth}")


def search_from_first(page: Any) -> None:
    page.locator(".line").first.click()
    expect(page.locator(".hit").first).to_be_visible(timeout=_WAIT_MS)


def test_an_operator_finds_judges_and_exports(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.get_by_text("24 tracklets").first).to_be_visible(timeout=_WAIT_MS)
    assert page.title() == "xreid: gallery"
    visit.photo("1-start")
    search_from_first(page)
    expect(page.locator(".hit")).to_have_count(23)
    expect(page.locator(".hit").first.get_by_text("not calibrated")).to_be_visible()
    until(page, "document.querySelector('.hit video').readyState >= 2")
    until(page, "!document.querySelector('.hit video').paused")
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
    page.keyboard.press("Escape")
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
    expect(page.locator(".line").first).to_be_visible(timeout=_WAIT_MS)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    visit.photo("help")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    third = page.locator(".line b").nth(2).inner_text()
    expect(page.locator(".asked b")).to_have_text(third)
    expect(page.locator(".hit").first).to_be_visible(timeout=_WAIT_MS)
    page.keyboard.press("r")
    page.keyboard.press("ArrowDown")
    at = page.evaluate("[...document.querySelectorAll('.hit')].indexOf(document.activeElement)")
    assert at > 1, "one row down, not one card"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").locator(".frames img")).to_have_count(6)
    visit.photo("look")
    page.keyboard.press("Escape")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("s")
    expect(page.locator(".asked b")).to_have_text(re.search(r"Rank \d+, ([^,]+)", name)[1])  # type: ignore[index]
    visit.close()


def test_filters_and_several_tracklets(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".tracklets > p")).to_have_text("24 tracklets", timeout=_WAIT_MS)
    page.get_by_role("checkbox", name="gate street").check()
    expect(page.locator(".tracklets > p")).to_have_text("12 tracklets")
    search_from_first(page)
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
    expect(page.locator(".line").first).to_be_visible(timeout=_WAIT_MS)
    page.locator("input[type=file]").set_input_files(tmp_path / "lie.jpg")
    expect(page.get_by_role("alert")).to_contain_text("no image or video", timeout=_WAIT_MS)
    visit.photo("upload-refused")
    page.keyboard.press("Escape")
    page.locator("input[type=file]").set_input_files(tmp_path / "seen.png")
    stage = page.locator(".stage")
    expect(stage).to_be_visible(timeout=_WAIT_MS)
    until(page, "document.querySelector('.stage img').naturalWidth > 0")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.05 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.95 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator(".mark-box")).to_be_visible()
    visit.photo("upload-box")
    page.get_by_role("button", name="Search for this person").click()
    expect(page.locator(".asked")).to_contain_text("1 picture, from your file", timeout=_WAIT_MS)
    expect(page.locator(".hit").first).to_be_visible(timeout=_WAIT_MS)
    visit.photo("upload-results")
    visit.close(complaints=("415",))


def test_tokens_and_roles(chromium: Any, run_server: Start, tokens: Tokens) -> None:
    visit = Visit(chromium, run_server(token_file=tokens.file))
    page = visit.page
    page.get_by_label("your token").fill("xreid_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here", timeout=_WAIT_MS)
    visit.photo("sign-in")
    page.get_by_label("your token").fill(tokens.viewer)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("searching needs the role operator")).to_be_visible(timeout=_WAIT_MS)
    assert page.get_by_role("button", name="Log").count() == 0
    page.locator(".line").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("your token").fill(tokens.admin)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#who")).to_have_text("admin-1, admin", timeout=_WAIT_MS)
    search_from_first(page)
    page.get_by_role("button", name="Log").click()
    expect(page.locator(".log tbody tr").first).to_contain_text("search", timeout=_WAIT_MS)
    page.get_by_role("button", name="Check the chain").click()
    expect(page.locator("#told")).to_contain_text("entries hold", timeout=_WAIT_MS)
    visit.photo("log")
    page.get_by_role("button", name="Erase people").click()
    page.get_by_label("names of tracklets").fill("gate-00")
    page.get_by_role("button", name="What would go?").click()
    expect(page.get_by_text("1 tracklet would be erased.")).to_be_visible(timeout=_WAIT_MS)
    visit.photo("erase")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("1 tracklet erased.")).to_be_visible(timeout=_WAIT_MS)
    page.keyboard.press("Escape")
    expect(page.locator("#gallery-count")).to_have_text("23 tracklets", timeout=_WAIT_MS)
    visit.close(complaints=("401",))


def test_somebody_is_watched_for(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible(timeout=_WAIT_MS)
    search_from_first(page)
    page.get_by_role("button", name="Watch for this person").click()
    page.get_by_label("name for this person").fill("Red shirt")
    page.get_by_label("reason").fill("lost child")
    page.get_by_label("least score").fill("-1")
    page.get_by_label("also what is in the gallery already").check()
    visit.photo("watch-form")
    page.get_by_role("dialog").get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=_WAIT_MS)
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.locator(".job")).to_contain_text("lost child", timeout=_WAIT_MS)
    expect(page.locator(".hit")).to_have_count(23)
    page.locator(".hit").first.get_by_role("button", name="Wrong").click()
    expect(page.locator(".hit.rejected")).to_have_count(1, timeout=_WAIT_MS)
    visit.photo("watch")
    visit.close()


def test_footage_is_taken_in(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "fresh")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "fresh")))
    page = visit.page
    expect(page.get_by_text("This gallery is empty.")).to_be_visible(timeout=_WAIT_MS)
    visit.photo("empty-gallery")
    page.get_by_role("button", name="Footage").click()
    page.get_by_label("or a path in the import folder").fill("nowhere")
    page.get_by_label("name in the gallery").fill("people")
    page.get_by_label("that path is").select_option("embeddings")
    page.get_by_role("button", name="Take in").click()
    expect(page.get_by_role("alert")).to_contain_text("no 'nowhere'", timeout=_WAIT_MS)
    page.get_by_label("or a path in the import folder").fill("people")
    page.get_by_role("button", name="Take in").click()
    expect(page.locator(".job")).to_contain_text("24 tracklets appended", timeout=_WAIT_MS)
    expect(page.locator("#gallery-count")).to_have_text("24 tracklets", timeout=_WAIT_MS)
    visit.photo("footage")
    page.keyboard.press("1")
    expect(page.locator(".line").first).to_be_visible(timeout=_WAIT_MS)
    visit.close(complaints=("404",))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(chromium: Any, run_server: Start, scheme: str) -> None:
    settings = {
        "viewport": {"width": 390, "height": 800},
        "color_scheme": scheme,
        "has_touch": True,
        "is_mobile": True,
    }
    visit = Visit(chromium, run_server(), **settings)
    page = visit.page
    page.locator("summary", has_text="Cameras, times, tracklets").click()
    visit.photo(f"phone-{scheme}-list")
    search_from_first(page)
    page.locator("summary", has_text="Cameras, times, tracklets").click()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0, "nothing is wider than the phone"
    for button in page.locator(".hit").first.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 40
    visit.photo(f"phone-{scheme}-results", whole=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 380
    assert light == (scheme == "light")
    visit.close()


def test_in_the_dark(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server(), color_scheme="dark")
    search_from_first(visit.page)
    visit.page.keyboard.press("r")
    visit.page.keyboard.press("c")
    expect(visit.page.locator(".hit.confirmed")).to_have_count(1)
    visit.photo("dark")
    visit.close()


def test_whoever_wants_stillness_gets_it(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server(), reduced_motion="reduce")
    search_from_first(visit.page)
    visit.page.wait_for_timeout(1500)
    assert visit.page.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")
    visit.close()


def test_every_control_has_a_name(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    search_from_first(page)
    nameless = """() => [...document.querySelectorAll(
        'button, input:not([hidden]), select, textarea, video, [role]:not([role=status])')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.title))
      .map((e) => e.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    assert page.evaluate(CONTRASTS) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CONTRASTS) == []
    visit.close()


def test_thousands_of_tracklets(chromium: Any, run_server: Start, tmp_path: Path) -> None:
    from tests.retrieval.sets import make_set

    Gallery.create(tmp_path / "many").append(make_set(3000, prefix="row-"), name="many")
    visit = Visit(chromium, run_server(gallery=str(tmp_path / "many"), checkpoint=None))
    page = visit.page
    expect(page.locator(".tracklets > p")).to_have_text("3,000 tracklets", timeout=_WAIT_MS)
    assert page.locator(".line").count() < 60, "only what is in view is in the page"
    window = page.locator(".window")
    for _ in range(40):
        window.evaluate("(e) => { e.scrollTop = e.scrollHeight; }")
        page.wait_for_timeout(150)
        if page.locator(".line[aria-posinset='3000']").count():
            break
    expect(page.locator(".line[aria-posinset='3000']")).to_be_visible(timeout=_WAIT_MS)
    assert page.locator(".line").count() < 60
    expect(page.locator(".line .none").first).to_have_text("no picture")
    search_from_first(page)
    visit.photo("thousands")
    visit.close(complaints=("404",))


def test_when_the_server_goes(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    expect(page.locator(".line").first).to_be_visible(timeout=_WAIT_MS)
    visit.context.set_offline(True)
    page.locator(".line").first.click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached", timeout=_WAIT_MS)
    visit.photo("server-gone")
    visit.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".hit").first).to_be_visible(timeout=_WAIT_MS)
    visit.close(complaints=("ERR_INTERNET_DISCONNECTED",))
