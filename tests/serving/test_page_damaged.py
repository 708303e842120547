"""A damaged case on the page: seen, explained, deleted by those who may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running, Tokens

pytestmark = needs_chromium
Start = Callable[..., Running]


def _broken(running: Running, *tracklets: str) -> tuple[str, Path]:
    """A case whose file somebody has damaged: its id and its file."""
    cases = running.site.cases
    case = cases.open(title="Hat", note="", owner="anna", tracklets=tracklets, queries=())
    path = cases.folder / f"{case.id}.json"
    path.write_text(path.read_text().replace('"owner"', '"owned"'))
    return case.id, path


def test_it_is_deleted_when_somebody_says_so_twice(chromium: Any, run_server: Start) -> None:
    running = run_server()
    name, path = _broken(running)
    visit = Visit(chromium, running, "/#/cases")
    page = visit.page
    expect(page.locator(".failed")).to_contain_text(f"cases/{name}.json is damaged")
    page.get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog", name="Delete the damaged case?")
    expect(asked).to_contain_text("everything that was confirmed and rejected in it are lost")
    expect(asked.get_by_role("button", name="Keep")).to_be_focused()
    visit.photo("damaged-asked")
    visit.escape()
    expect(asked).to_have_count(0)
    assert path.exists(), "Escape keeps it"
    # The same at its own address.
    page.evaluate(f"location.hash = '#/cases/{name}'")
    expect(page.get_by_role("heading", name="Damaged case")).to_be_visible()
    visit.photo("damaged-opened")
    page.get_by_role("button", name="Delete").click()
    asked.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("No case yet.")).to_be_visible()
    assert not path.exists()
    entry = page.evaluate("fetch('/api/v1/audit?limit=1').then((r) => r.json())")["entries"][0]
    assert (entry["what"], entry["case"], entry["damaged"]) == ("case deleted", name, True)
    visit.close(complaints=("422",))


def test_a_viewer_sees_it_and_cannot_delete_it(chromium: Any, run_server: Start, tokens: Tokens) -> None:
    running = run_server(token_file=tokens.file)
    _broken(running)
    visit = Visit(chromium, running, "/#/cases")
    page = visit.page
    page.get_by_label("your token").fill(tokens.viewer)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".failed")).to_contain_text("is damaged")
    assert page.get_by_role("button", name="Delete").count() == 0
    visit.close(complaints=("401",))


def test_a_sound_case_is_not_called_damaged_where_the_gallery_is(chromium: Any, run_server: Start) -> None:
    running = run_server()
    case = running.site.cases.open(title="Hat", note="", owner="anna", tracklets=(), queries=())
    visit = Visit(chromium, running, "/#/cases")
    page = visit.page
    expect(page.locator("button.row")).to_be_visible()
    fault = {"status": 422, "detail": "gallery gallery.json is not JSON"}
    visit.route(f"**/api/v1/cases/{case.id}", lambda route: route.fulfill(status=422, json=fault))
    page.locator("button.row").click()
    expect(page.get_by_role("alert")).to_contain_text("gallery.json is not JSON")
    expect(page.get_by_role("heading", level=1)).to_have_text("Case")
    assert page.get_by_role("button", name="Delete").count() == 0
    visit.close(complaints=("422",))


def test_who_was_erased_in_part_leaves_the_page_too(chromium: Any, run_server: Start) -> None:
    running = run_server()
    visit = Visit(chromium, running)
    page = visit.page
    visit.search_from()
    expect(page.locator(".hit")).to_have_count(23)
    gone = page.locator(".hit").nth(4)
    name = str(gone.get_attribute("aria-label")).split(", ")[1]
    _broken(running, str(gone.get_attribute("data-id")))  # it tells of them, and cannot be cleaned
    page.keyboard.press("5")
    page.get_by_role("button", name="Erase people").click()
    page.get_by_label("names of tracklets").fill(name)
    page.get_by_role("button", name="What would go?").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("alert")).to_contain_text("not complete")
    visit.escape()
    page.keyboard.press("1")
    expect(page.locator(".hit")).to_have_count(22)
    expect(page.locator(f".hit[aria-label*=' {name},']")).to_have_count(0)
    expect(page.locator("#gallery-count")).to_have_text("23 tracklets")
    visit.close(complaints=("404", "500"))
