"""What is drawn again while somebody works with it: focus, pressed clicks, typed words and folds stay."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running

pytestmark = needs_chromium
Start = Callable[..., Running]
FOCUSED = "document.activeElement.textContent"


class Jobs:
    """What a server says of a job that gets on by 1% each time somebody asks."""

    def __init__(self, visit: Visit) -> None:
        self.state = "running"
        self.asked: list[Any] = []
        self.cancelled: list[str] = []
        visit.route("**/api/v1/jobs", self.answer)
        visit.route("**/api/v1/jobs/*", self.cancel)

    def answer(self, route: Any) -> None:
        self.asked.append(route)
        facts = {"kind": "video", "owner": "bob", "made": "2026-11-20T10:00:00Z", "finished": ""}
        more = {"problem": {}, "result": {}, "step": "finding people", "done": len(self.asked), "total": 100}
        job = {"id": "0" * 16, "name": "gate", "state": self.state, **facts, **more}
        route.fulfill(body=json.dumps([job]), content_type="application/json")

    def cancel(self, route: Any) -> None:
        self.cancelled.append(route.request.method)
        route.fulfill(status=202, body="{}", content_type="application/json")


def test_a_job_is_cancelled_while_it_gets_on(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page, jobs = visit.page, Jobs(visit)
    page.get_by_role("button", name="Footage").click()
    cancel = page.locator(".job").get_by_role("button", name="Cancel")
    cancel.focus()
    told = page.locator(".job div").nth(1).inner_text()
    expect(page.locator(".job div").nth(1)).not_to_have_text(told)
    assert page.evaluate(FOCUSED) == "Cancel", "the focus stays when there is news"
    where = cancel.bounding_box()
    page.mouse.move(where["x"] + 5, where["y"] + 5)
    page.mouse.down()
    visit.until_there_are(len(jobs.asked) + 2, jobs.asked)  # so at least one of them was drawn
    page.mouse.up()
    visit.until_there_are(1, jobs.cancelled)
    assert jobs.cancelled == ["DELETE"]
    cancel.focus()
    jobs.state = "cancelled"
    expect(page.locator(".job button")).to_have_count(0)
    assert page.evaluate("document.activeElement.matches('.job')"), (
        "what had the focus has gone: it stays near by"
    )
    visit.close()


def test_an_alert_is_answered_by_keyboard(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from()
    page.get_by_role("button", name="Watch for this person").click()
    page.get_by_label("name for this person").fill("Red shirt")
    page.get_by_label("reason").fill("lost child")
    page.get_by_label("least score").fill("-1")
    page.get_by_label("also what is in the gallery already").check()
    page.get_by_role("dialog").get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("#tabs [data-view=Watch]").click()  # its name has the number of new alerts, by and by
    card = page.locator(".hit").nth(9)
    card.get_by_role("button", name="Right").focus()
    place = page.evaluate("scrollY")
    page.keyboard.press("Enter")
    expect(card).to_have_class("card hit confirmed")
    assert page.evaluate(FOCUSED) == "✓ Right"
    assert page.evaluate("scrollY") == place
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "✗ Wrong", "and one goes on from there"
    visit.close()


def test_what_is_typed_stays_when_a_judgement_is_stored(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator(".counts-said")).to_have_text("1 ✓ 0 ✗")
    waiting = visit.hold("**/judgements/*", "PUT")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    visit.until_there_are(1, waiting)
    title = page.get_by_label("Case", exact=True)
    title.fill("The man with the red b")
    waiting.pop().continue_()
    expect(page.locator("#told")).to_contain_text("rejected")
    expect(page.locator(".counts-said")).to_have_text("1 ✓ 1 ✗")
    expect(title).to_be_focused()
    expect(title).to_have_value("The man with the red b")
    visit.close()


def test_the_timeline_keeps_the_focus_and_the_fold(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    waiting = visit.hold("**/api/v1/cases", "POST")
    page.keyboard.press("r")
    page.keyboard.press("c")
    visit.until_there_are(1, waiting)
    blip = page.locator(".lane-track .blip[aria-label*='yard-11,']")
    blip.focus()
    waiting.pop().continue_()
    expect(page.locator("#told")).to_contain_text("confirmed")
    expect(page.locator(".lane-track .blip.is-confirmed")).to_have_count(1)
    expect(blip).to_be_focused()
    page.locator("summary", has_text="Where and when").click()
    expect(page.locator(".timeline")).to_be_hidden()
    page.get_by_label("Most results").select_option(label="top 12")
    expect(page.locator(".hit")).to_have_count(13)  # and the confirmed one
    expect(page.locator(".timeline")).to_be_hidden()
    visit.close()


def test_a_card_stays_in_hand_through_the_next_search(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.locator(".hit").nth(5).get_by_role("button", name="Confirm").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    assert page.evaluate(FOCUSED) == "✓ Confirm", "the button that was pressed"
    waiting = visit.hold("**/api/v1/search")
    page.get_by_label("Most results").select_option(label="top 12")
    visit.until_there_are(1, waiting)
    reject = page.locator(".hit").nth(6).get_by_role("button", name="Reject")
    reject.scroll_into_view_if_needed()
    where = reject.bounding_box()
    page.mouse.move(where["x"] + 5, where["y"] + 5)
    page.mouse.down()
    waiting.pop().continue_()
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    assert page.evaluate(FOCUSED) == "✗ Reject"
    page.mouse.up()
    visit.close()


def test_the_moment_is_gone_through_by_keyboard(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(2)
    page.locator(".hit[aria-label*='gate-00,']").focus()
    page.keyboard.press("m")
    slider = page.get_by_label("Frame of the tracklet")
    slider.focus()
    facts = page.locator(".moment .facts")
    expect(facts).to_contain_text("(frame 6)")
    page.keyboard.press("ArrowLeft")
    expect(facts).to_contain_text("(frame 5)")
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(facts).to_contain_text("(frame 4)")
    visit.close()


def test_a_check_that_fails_hides_nobody_on_the_list(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from()
    visit.route(
        "**/api/v1/watch-checks", lambda route: route.fulfill(status=422, body='{"detail": "no rate"}')
    )
    page.get_by_role("button", name="Watch for this person").click()
    page.get_by_label("name for this person").fill("Red shirt")
    page.get_by_label("reason").fill("lost child")
    page.get_by_label("least score").fill("-1")
    page.get_by_label("also what is in the gallery already").check()
    page.get_by_role("dialog").get_by_role("button", name="Watch", exact=True).click()
    expect(page.locator("#told")).to_contain_text(
        "Red shirt is on the list, but nothing was checked: no rate"
    )
    expect(page.get_by_role("dialog")).to_have_count(0)
    visit.close(complaints=("422",))
