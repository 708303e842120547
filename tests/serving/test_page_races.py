"""Answers that come late, in another order, or after nobody wants them any more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium, playwright
from tests.serving.conftest import Running
from xreid.retrieval.gallery import Gallery

pytestmark = needs_chromium
Start = Callable[..., Running]


def asked_name(visit: Visit) -> Any:
    """Whom the page says that it looks for."""
    return visit.page.locator(".asked b")


def name_of(visit: Visit, number: int) -> str:
    """Name of a tracklet of the list."""
    text: str = visit.page.locator(".line b").nth(number).inner_text()
    return text


def test_what_was_taken_in_while_the_jobs_were_asked_for_is_counted(
    chromium: Any, run_server: Start, made_world: Path, tmp_path: Path
) -> None:
    Gallery.create(tmp_path / "fresh")
    server = run_server(gallery=str(tmp_path / "fresh"))
    visit = Visit(chromium, server)
    page = visit.page
    expect(page.locator("#gallery-count")).to_have_text("0 tracklets")
    waiting = visit.hold("**/api/v1/jobs", "GET")
    page.keyboard.press("4")
    visit.until_there_are(1, waiting)
    _all_said(visit)
    server.site.backend.append(made_world / "imports" / "people", name="people", labels=())
    told = {"id": "0" * 16, "kind": "embeddings", "name": "people", "owner": "bob", "step": "", "problem": {}}
    done = {**told, "state": "done", "result": {"appended": 24}, "made": "2026-11-20T10:00:00Z", "total": 0}
    waiting[0].fulfill(json=[done])
    expect(page.locator(".job")).to_contain_text("24 tracklets appended")
    expect(page.locator("#gallery-count")).to_have_text("24 tracklets")
    visit.close()


def test_back_and_forward_faster_than_the_server(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(0)
    first = name_of(visit, 0)
    page.locator(".line").nth(1).click()
    expect(asked_name(visit)).to_have_text(name_of(visit, 1))
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    page.locator(".line").nth(2).click()
    expect(asked_name(visit)).to_have_text(name_of(visit, 2))
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    waiting = visit.hold("**/api/v1/tracklets/*", "GET")
    page.evaluate("history.back()")
    visit.until_there_are(1, waiting)
    page.evaluate("history.back()")
    visit.until_there_are(2, waiting)
    waiting[1].continue_()  # the newer one comes first
    expect(asked_name(visit)).to_have_text(first)
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    with page.expect_response("**/api/v1/tracklets/*"):
        _go_on(waiting[0])
    _all_said(visit)
    expect(asked_name(visit)).to_have_text(first)
    visit.until("location.hash.includes(document.querySelector('.line')?.id.slice(5))")
    # Forth and at once back: the address is where the page is, whatever still comes.
    page.evaluate("history.forward()")
    visit.until_there_are(3, waiting)
    page.evaluate("history.back()")
    visit.until("location.hash.includes(document.querySelector('.line')?.id.slice(5))")
    with page.expect_response("**/api/v1/tracklets/*"):
        _go_on(waiting[2])
    _all_said(visit)
    expect(asked_name(visit)).to_have_text(first)
    visit.close()


def test_an_answer_to_a_question_that_was_withdrawn(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    waiting = visit.hold("**/api/v1/search")
    page.locator(".line").first.click()
    visit.until_there_are(1, waiting)
    ended: list[Any] = []
    for what in ("requestfinished", "requestfailed"):
        page.on(what, lambda request: ended.append(request) if "/search" in request.url else None)
    page.go_back()  # before anybody was asked for
    expect(page.get_by_role("heading", name="Whom do you look for?")).to_be_visible()
    _go_on(waiting[0])
    visit.until_there_are(1, ended)
    _all_said(visit)
    expect(page.locator(".hit")).to_have_count(0)
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    # A filter that is set before the first answer counts for it.
    page.locator(".line").first.click()
    visit.until_there_are(2, waiting)
    page.get_by_role("radio", name="infrared").check()
    visit.until_there_are(3, waiting)
    assert waiting[2].request.post_data_json["filters"]["modality"] == "ir"
    _go_on(waiting[1])
    _go_on(waiting[2])
    expect(page.locator(".hit")).to_have_count(12)
    visit.close()


def test_nobody_is_judged_for_another_person(chromium: Any, run_server: Start) -> None:
    server = run_server()
    visit = Visit(chromium, server)
    page = visit.page
    visit.search_from(0)
    opened = visit.hold("**/api/v1/cases", "POST")
    page.keyboard.press("r")
    page.keyboard.press("c")
    visit.until_there_are(1, opened)
    searches = visit.hold("**/api/v1/search")
    page.locator(".line").nth(2).click()  # somebody else, before the case is open
    visit.until_there_are(1, searches)
    expect(page.locator(".hit")).to_have_count(0)  # results of the one before cannot be judged for this one
    with page.expect_response("**/judgements/*"):
        opened[0].continue_()
    searches[0].continue_()
    expect(page.locator(".hit")).to_have_count(23)
    expect(page.locator(".counts-said")).to_have_count(0)
    assert "case=" not in page.evaluate("location.hash")
    page.keyboard.press("r")
    page.keyboard.press("x")
    visit.until_there_are(2, opened)
    opened[1].continue_()
    expect(page.locator(".counts-said")).to_have_text("0 ✓ 1 ✗")
    expect(page.locator("#told")).to_contain_text("rejected")
    cases = server.site.cases.all()
    assert len(cases) == 2
    assert sorted(len(case.judged("confirmed")) for case in cases) == [0, 1]
    assert all(len(case.tracklets) == 1 and len(case.judgements) == 1 for case in cases)
    visit.close()


def test_what_was_said_while_a_search_ran_stands_in_its_answer(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(0)
    searches = visit.hold("**/api/v1/search")
    page.get_by_label("Most results").select_option(label="top 12")
    visit.until_there_are(1, searches)
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator("#told")).to_contain_text("confirmed")
    searches[0].continue_()
    expect(page.locator(".hit")).to_have_count(12)
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    # "Search again" waits for what is being stored.
    judged = visit.hold("**/judgements/*", "PUT")
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    visit.until_there_are(1, judged)
    rejected = page.locator(".hit.rejected").get_attribute("data-id")
    page.get_by_role("button", name="Search again").click()
    judged[0].continue_()
    visit.until_there_are(2, searches)
    searches[1].continue_()
    expect(page.locator("#taught")).to_contain_text("1 rejected kept out")
    expect(page.locator(f".hit[data-id='{rejected}']")).to_have_count(0)
    visit.close()


def test_nothing_that_was_not_stored_stands_on_a_card(chromium: Any, run_server: Start) -> None:
    """Confirmed and rejected in one go, and neither could be stored."""
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from(0)
    opened = visit.hold("**/api/v1/cases", "POST")
    page.keyboard.press("r")
    page.keyboard.press("c")
    page.keyboard.press("x")
    expect(page.locator(".hit.rejected")).to_have_count(1)
    for number in range(2):
        visit.until_there_are(number + 1, opened)
        opened[number].fulfill(status=503, body='{"detail": "the disk is full"}')
    expect(page.locator(".hit.rejected")).to_have_count(0)
    expect(page.locator("#told")).to_contain_text("Not stored: the disk is full")
    expect(page.locator(".hit.confirmed")).to_have_count(0)
    visit.close(complaints=("503",))


def test_a_judgement_in_a_dialog_that_is_older_than_the_results(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(0)
    searches = visit.hold("**/api/v1/search")
    page.get_by_label("Most results").select_option(label="top 12")
    visit.until_there_are(1, searches)
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    expect(box).to_be_visible()
    searches[0].continue_()
    expect(page.locator(".hit")).to_have_count(12)
    page.keyboard.press("c")
    expect(page.locator(".hit.confirmed")).to_have_count(1)
    expect(box.get_by_role("button", name="Confirm")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")  # the second time takes it back
    expect(page.locator(".hit.confirmed")).to_have_count(0)
    visit.close()


def test_changes_of_a_case_are_stored_in_their_order(chromium: Any, run_server: Start) -> None:
    server = run_server()
    visit = Visit(chromium, server)
    page = visit.page
    visit.search_from(0)
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator("#told")).to_contain_text("confirmed")
    changes = visit.hold("**/api/v1/cases/*", "PATCH")
    page.locator(".line").nth(2).click(modifiers=["Shift"])
    visit.until_there_are(1, changes)
    page.locator(".line").nth(4).click(modifiers=["Shift"])
    expect(page.locator(".asked")).to_have_count(3)
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    for number in (1, 0):  # the network turns them round, if it has both
        if len(changes) > number:
            with page.expect_response("**/api/v1/cases/*"):
                changes[number].continue_()
    visit.until_there_are(2, changes)
    if len(server.site.cases.all()[0].tracklets) < 3:
        with page.expect_response("**/api/v1/cases/*"):
            changes[1].continue_()
    assert len(server.site.cases.all()[0].tracklets) == 3
    visit.close()


def test_reasons_are_those_of_the_search(chromium: Any, full: Running) -> None:
    """What was said since does not change why a result is where it is."""
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(0)
    page.keyboard.press("r")
    page.keyboard.press("c")
    expect(page.locator("#told")).to_contain_text("confirmed")
    page.get_by_role("button", name="Search again").click()
    expect(page.locator("#taught")).to_contain_text("Searched with 2 tracklets")
    page.keyboard.press("r")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(page.locator("#told")).to_contain_text("rejected")
    score = page.locator(".hit").nth(4).inner_text()
    page.keyboard.press("ArrowRight")
    with page.expect_response("**/api/v1/why") as told:
        page.keyboard.press("w")
    shown = re.search(r"score (-?[\d.]+)", score)
    assert shown is not None
    assert f"{told.value.json()['score']:.3f}" == shown[1]
    assert json.loads(told.value.request.post_data)["judged"]["rejected"] == []
    visit.close()


def test_a_label_stands_on_its_card_at_once(chromium: Any, run_server: Start) -> None:
    visit = Visit(chromium, run_server())
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    box.get_by_label("New label").fill("red bag")
    page.keyboard.press("Enter")
    expect(box.locator(".chip")).to_contain_text("red bag")
    visit.escape()
    expect(page.locator(".hit").first).to_contain_text("red bag")
    visit.close()


def test_a_key_right_after_a_dialog_has_closed_is_heard(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    expect(page.locator(".line").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.evaluate(
        """() => {  // both before the browser tells that it has closed
            document.querySelector("dialog").close();
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "2", bubbles: true }));
        }"""
    )
    expect(page.locator("#tabs button[data-view='Cases']")).to_have_attribute("aria-current", "page")
    visit.close()


def _go_on(route: Any) -> None:
    """Let a request go on, where the page has not given it up."""
    with suppress(playwright.Error):
        route.continue_()


def _all_said(visit: Visit) -> None:
    """Wait until the page has taken in what came before: an answer to something newer has come."""
    visit.page.evaluate("fetch('/healthz').then(() => new Promise((done) => setTimeout(done)))")
