"""What the page says of an answer: how sure, why, when and where; and what an operator does with it."""

from __future__ import annotations

import re
from typing import Any

from tests.serving.browsing import Visit, expect, needs_chromium
from tests.serving.conftest import Running
from tests.serving.world import as_bytes, noise_video, person

pytestmark = needs_chromium


def hit(visit: Visit, name: str) -> Any:
    """The card of a tracklet."""
    return visit.page.locator(f".hit[aria-label*='{name},']")


def test_known_unknown_and_impossible(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()  # gate-00
    expect(page.locator(".summary")).to_contain_text(re.compile(r"\d+ above the threshold · .*unknown"))
    likely = page.locator(".hit.is-likely").first
    expect(likely.locator(".badge")).to_have_text("above the threshold")
    expect(likely.locator(".chance-line")).to_contain_text("the same person")
    # A minute later before the other camera, which is five minutes away.
    impossible = hit(visit, "yard-00")
    expect(impossible.locator(".badge")).to_have_text("not possible")
    expect(impossible.locator(".impossible").last).to_contain_text("not possible: ")
    expect(impossible).to_contain_text("by looks; space and time make the odds 1,000 times smaller")
    expect(page.locator(".lane-track .blip.is-impossible").first).to_be_visible()
    expect(page.locator(".lane-track .blip.is-query")).to_have_count(1)
    visit.photo("answers-known", whole=True)
    page.get_by_role("radio", name="infrared").check()
    expect(page.locator(".unknown-note")).to_contain_text("Unknown. No result is likely enough.")
    assert page.locator(".hit .badge.unknown, .hit .badge.impossible").count() == page.locator(".hit").count()
    visit.photo("answers-unknown")
    visit.close()


def test_on_whom_it_was_measured_stands_beside_each_probability(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    line = page.locator(".answer-box .measured")
    told = "* Probabilities measured on 2 people of drawn people; not checked on this site."
    expect(line).to_have_text(told)
    first = page.locator(".hit").first.bounding_box()
    assert line.bounding_box()["y"] < first["y"], "before the first figure"
    for figure in page.locator(".hit .chance-line").all():
        expect(figure.locator(".star")).to_have_count(1)
    page.locator(".hit .star").last.click()
    expect(line).to_be_focused()
    expect(line).to_be_in_viewport()
    page.locator(".hit").first.get_by_role("button", name="Look").click()
    expect(page.get_by_role("dialog").locator(".measured")).to_have_text(told)
    visit.close()


def test_why_from_result_to_result(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("w")
    box = page.get_by_role("dialog")
    expect(box.locator("h2")).to_have_text(re.compile("^Rank 1 of 23: "))
    expect(box.locator(".shares th")).to_contain_text(["Before looking", "Looks"])
    expect(box.locator(".sum")).to_have_text(re.compile(r"^Together: .*% the same person"))
    expect(box.locator(".matches li")).to_have_count(3)
    visit.until("[...document.querySelectorAll('.matches img')].every((one) => one.naturalWidth > 0)")
    visit.photo("why")
    page.keyboard.press("ArrowRight")
    expect(box.locator("h2")).to_have_text(re.compile("^Rank 2 of 23: "))
    expect(box.locator(".matches li")).to_have_count(3)
    page.keyboard.press("x")
    expect(box.get_by_role("button", name="Reject")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".counts-said")).to_have_text("0 ✓ 1 ✗")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")  # what was said of it is no reason for it
    expect(box.locator("h2")).to_have_text(re.compile("^Rank 2 of 23: "))
    expect(box.locator(".sum")).to_be_visible()
    visit.escape()
    visit.close()


def test_the_moment_in_the_recording(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(2)  # gate-01
    hit(visit, "gate-00").focus()
    page.keyboard.press("m")
    stage = page.locator(".moment-stage img")
    expect(stage).to_be_visible()
    visit.until("document.querySelector('.moment-stage img').naturalWidth === 160")
    expect(page.locator(".moment .facts")).to_contain_text("00:00.5 (frame 6)")
    page.get_by_role("button", name=re.compile("Play")).click()
    visit.until("document.querySelector('.moment-stage video')?.readyState >= 2")
    visit.photo("moment")
    visit.escape()
    hit(visit, "gate-03").focus()
    page.keyboard.press("Enter")  # what was open stays open
    expect(page.locator(".moment")).to_contain_text("Nobody wrote down")
    visit.close(complaints=("404",))


def test_what_a_tracklet_was_joined_from(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from(2)  # gate-01
    hit(visit, "gate-00").focus()
    page.keyboard.press("m")
    facts = page.locator(".moment .facts")
    expect(facts).to_contain_text("2 tracks")
    expect(facts).to_contain_text("cosine 0.93 with the one before")
    ends = page.locator(".moment .facts button")
    expect(ends).to_have_count(4)
    for number, frame in ((1, 4), (2, 5)):  # the last before it, the first after it
        ends.nth(number).click()
        expect(facts).to_contain_text(f"(frame {frame})")
        expect(ends.nth(number)).to_be_focused()
    visit.photo("joined")
    visit.close()


def test_labels_are_seen_added_filtered_and_removed(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    box.get_by_label("New label").fill("red bag")
    page.keyboard.press("Enter")
    expect(box.locator(".chip")).to_contain_text("red bag")
    visit.photo("labels")
    visit.escape()
    page.get_by_label("label", exact=True).fill("red bag")
    expect(page.locator(".tracklets > p")).to_have_text("1 tracklet")
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator(".hit")).to_contain_text("red bag")
    page.locator(".hit").get_by_role("button", name="Look").click()
    box.get_by_role("button", name="Take the label red bag off").click()
    expect(box.locator(".chip")).to_have_count(0)
    visit.escape()
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator(".hit")).to_have_count(23)
    visit.close()


def test_examples_reranking_and_the_way_back(chromium: Any, full: Running) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.keyboard.press("r")
    page.keyboard.press("e")
    expect(page.get_by_role("heading", name="one person, 2 examples")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(22)
    with page.expect_request("**/api/v1/search") as asked:
        page.get_by_label("Order", exact=True).select_option(label="re-ranked by their neighbours")
    assert asked.value.post_data_json["rerank"] == 100
    assert len(asked.value.post_data_json["tracklets"]) == 2
    expect(page.locator(".answer-box")).to_have_attribute("aria-busy", "false")
    page.reload()
    expect(page.locator(".asked")).to_have_count(2)
    expect(page.locator(".hit")).to_have_count(22)
    expect(page.get_by_label("Order", exact=True)).to_have_value("100")
    page.go_back()
    expect(page.get_by_label("Order", exact=True)).to_have_value("0")
    page.go_back()
    expect(page.locator(".asked")).to_have_count(1)
    page.get_by_role("button", name="New search").click()
    expect(page.get_by_role("heading", name="Whom do you look for?")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(0)
    visit.close()


def test_a_person_is_followed_through_a_clip(chromium: Any, full: Running, tmp_path: Any) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    visit.search_from()
    page.locator("input[type=file]").set_input_files(noise_video(tmp_path / "walk.mp4"))
    stage = page.locator(".stage")
    expect(stage).to_be_visible()
    visit.until("document.querySelector('.stage img').naturalWidth > 0")
    box, (left, top) = stage.bounding_box(), (50 / 160, 30 / 120)  # the person at the middle, one second in
    page.mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + (left + 0.25) * box["width"], box["y"] + 0.9 * box["height"], steps=3)
    page.mouse.up()
    expect(page.locator(".stretch [role=status]")).to_contain_text("follows the person from")
    before = page.locator(".mark-box").bounding_box()["x"]
    page.get_by_label("Moment of the video, seconds").fill("1.6")
    assert page.locator(".mark-box").bounding_box()["x"] > before + 5, "the box has gone with the person"
    visit.photo("followed")
    page.get_by_role("button", name="Add to what is searched for").click()
    expect(page.locator(".asked")).to_have_count(2)
    expect(page.locator(".hit").first).to_be_visible()
    visit.close()


def test_an_upload_is_broken_off(chromium: Any, full: Running, tmp_path: Any) -> None:
    visit = Visit(chromium, full)
    page = visit.page
    (tmp_path / "large.bmp").write_bytes(as_bytes(person(1, size=(900, 1000)), "BMP"))
    (tmp_path / "none.png").write_bytes(b"")
    uploads = full.site.config.state_folder / "uploads"

    def kept() -> set[str]:
        return {path.name for path in uploads.glob("*") if not path.name.startswith(".")}

    before = kept()
    expect(page.locator(".line").first).to_be_visible()
    page.locator("input[type=file]").set_input_files(tmp_path / "none.png")
    expect(page.get_by_role("alert")).to_contain_text("The file is empty")
    visit.escape()
    slow = visit.context.new_cdp_session(page)
    slow.send("Network.enable")
    rates = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": 20_000}  # two minutes
    slow.send("Network.emulateNetworkConditions", {"offline": False, **rates})
    page.locator("input[type=file]").set_input_files(tmp_path / "large.bmp")
    expect(page.get_by_text("Sending large.bmp (2.6 MiB)")).to_be_visible()
    with page.expect_event("requestfailed", lambda request: "/uploads" in request.url):
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert kept() == before
    visit.close()
