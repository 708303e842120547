"""The page for everybody: phones, the dark, stillness, keyboards, screen readers, large letters, paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import xreid.core
import xreid.serving
from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running

pytestmark = needs_chromium
NAMELESS = """() => [...document.querySelectorAll(
    'button, input:not([hidden]), select, textarea, video, [role]:not([role=status])')]
  .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.title))
  .map((e) => e.outerHTML.slice(0, 120))"""
CONTRASTS = Path(__file__).with_name("contrast.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(chromium: Any, full: Running, scheme: str) -> None:
    settings = {
        "viewport": {"width": 390, "height": 800},
        "color_scheme": scheme,
        "has_touch": True,
        "is_mobile": True,
    }
    visit = Visit(chromium, full, **settings)
    page = visit.page
    page.locator("summary", has_text="Cameras, times, tracklets").click()
    visit.photo(f"phone-{scheme}-list")
    visit.search_from()
    assert not page.evaluate("document.querySelector('details.side').open"), "the list makes room for results"
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0, "nothing is wider than the phone"
    inside = (
        "[...document.querySelectorAll('.hit')].every((e) => e.getBoundingClientRect().right <= innerWidth)"
    )
    assert page.evaluate(inside)
    for button in page.locator(".hit").first.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 40
    visit.photo(f"phone-{scheme}-results", whole=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 380
    assert light == (scheme == "light")
    visit.close()


def test_in_the_dark(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full, color_scheme="dark")
    visit.search_from()
    visit.page.keyboard.press("r")
    visit.page.keyboard.press("c")
    expect(visit.page.locator(".hit.confirmed")).to_have_count(1)
    visit.photo("dark")
    visit.close()


def test_whoever_wants_stillness_gets_it(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full, reduced_motion="reduce")
    visit.search_from()
    visit.until("document.querySelector('.hit img')?.naturalWidth > 0")
    visit.page.wait_for_timeout(600)  # on a machine of usual speed a clip would be there by now
    assert visit.page.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")
    visit.close()


def test_every_control_has_a_name(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    assert page.evaluate(CONTRASTS) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CONTRASTS) == []
    visit.close()


def test_the_palette_can_be_read_by_everybody() -> None:
    """WCAG 2.2: 4.5 to 1 for text on each of the grounds that it stands on, 3 to 1 for what is no text."""
    house = Path(xreid.core.__file__).with_name("page.css").read_text()
    own = (Path(xreid.serving.__file__).parent / "static" / "app.css").read_text()
    for scheme in (0, 1):
        colours = _palette(house)[scheme] | {**_palette(own)[0], **_palette(own)[scheme]}
        for ground in ("page", "card"):
            for text in ("ink", "soft", "link", "vis", "ir", "hit", "miss"):
                assert _ratio(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)
            assert _ratio(colours["main"], colours[ground]) >= 3, "the focus and the chosen"
        for text, ground in (("on", "main"), ("warn-ink", "warn-bg"), ("card", "hit"), ("card", "miss")):
            assert _ratio(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)


def test_letters_twice_as_large(chromium: Any, full: Running) -> None:
    """200% of 1280 x 860 is a page of 640 x 430: all is there, nothing runs out of it."""
    visit = Visit(chromium, full, viewport={"width": 640, "height": 430}, device_scale_factor=2)
    page = visit.page
    page.locator("summary", has_text="Cameras, times, tracklets").click()
    visit.search_from()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    page.keyboard.press("r")
    page.keyboard.press("w")
    expect(page.locator(".shares tr").first).to_be_visible()
    assert page.evaluate("(d => d.scrollWidth - d.clientWidth)(document.querySelector('dialog'))") <= 0
    visit.photo("zoomed")
    visit.close()


def test_what_is_opened_has_names_and_contrast(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("w")
    expect(page.locator(".matches li")).to_have_count(3)
    page.locator("summary", has_text="All frames").click()
    page.locator("summary", has_text="All facts").click()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(CONTRASTS) == []
        visit.photo(f"look-{scheme}", whole=True)
    assert page.evaluate(NAMELESS) == []
    page.keyboard.press("c")  # makes its card anew
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    visit.escape()
    expect(page.locator(".hit.confirmed")).to_be_focused()  # the focus goes back to the result
    visit.close()


def test_a_case_on_paper(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator(".counts-said")).to_be_visible()
    page.keyboard.press("2")
    page.locator("button.row").first.click()
    expect(page.get_by_role("heading", name=re.compile("Confirmed 1"))).to_be_visible()
    page.emulate_media(media="print", color_scheme="dark")
    for hidden in ("Go on searching", "Export", "Delete", "Print"):
        expect(page.get_by_role("button", name=hidden, exact=True)).to_be_hidden()
    expect(page.locator(".mini img").first).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)", "dark on white, whatever the screen"
    visit.photo("paper", whole=True)
    visit.close()


def _palette(style: str) -> list[dict[str, str]]:
    """The colours of a style sheet by name: light, dark."""
    found = []
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]:
        found.append(dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block)))
    return found


def _ratio(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21, as WCAG defines it."""
    values = sorted(_luminance(colour) for colour in (one, other))
    return (values[1] + 0.05) / (values[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
