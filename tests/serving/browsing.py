"""A browser that visits a server, and a world with everything that a page can show.

Set XREID_SCREENSHOTS to a folder to look at what was seen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.test_meaning import kind
from tests.serving.conftest import Running
from tests.serving.world import FRAMES, NIGHT_S, noise_video, write_tracklets
from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration
from xreid.inference.checkpoint import load_checkpoint
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.moments import Moment, write_moments

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = os.environ.get("XREID_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found (set XREID_CHROMIUM)")
WAIT_MS = 240_000  # on a machine that is busy with something else
expect.set_options(timeout=WAIT_MS)
# What the page says for four seconds, or nine, a slow machine may not have looked at by then.
WORDS_STAY = """(() => {
  const later = setTimeout, brief = [4000, 9000];
  globalThis.setTimeout = (what, ms, ...more) => later(what, brief.includes(ms) ? 900000 : ms, ...more);
})()"""
# The last keys and clicks with what they met, for whoever reads of a failure.
LAST_ACTS = """(() => {
  const acts = globalThis.lastActs = [];
  const name = (one) => `${one?.nodeName} ${one?.id ?? ""} ${one?.className ?? ""}`;
  const note = (event) => {
    const what = [performance.now().toFixed(), event.type, event.key ?? "", "on", name(event.target)];
    acts.push([...what, "with focus on", name(document.activeElement)].join(" "));
    if (acts.length > 30) acts.shift();
  };
  for (const type of ["keydown", "pointerdown", "click", "focusin"]) addEventListener(type, note, true);
})()"""
# Those, what has the focus, what is busy, and the words: of dialogs first, since they stand last in the page.
SEEN = """() => {
  const name = (one) => `${one.nodeName} ${one.id} ${one.className} ${one.dataset.key ?? ""}`;
  const busy = [...document.querySelectorAll("[aria-busy=true]")].map((one) => `busy: ${name(one)}`);
  const dialogs = [...document.querySelectorAll("dialog")];
  const boxes = dialogs.map((one) => `dialog, open: ${one.open}: ${one.innerText}`);
  const focus = `focus on: ${name(document.activeElement)}`;
  return [...(globalThis.lastActs ?? []), focus, ...busy, ...boxes, document.body.innerText.slice(0, 2000)];
}"""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROBE = re.compile(r"/healthz\?routed$")
GRAPH = {
    "cameras": {"gate": {"place": "street"}, "yard": {"place": "court"}},
    "edges": [{"from": "gate", "to": "yard", "least_s": 300, "typical_s": 900}],
}


@contextmanager
def browser() -> Iterator[Any]:
    """A Chromium."""
    with playwright.sync_playwright() as play:
        launched = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=WAIT_MS)
        yield launched
        launched.close()


OPEN: list[Visit] = []  # visits that were not closed: of a test that has failed


class Visit:
    """A page of a server, with everything that it asked for and complained of."""

    def __init__(self, chromium: Any, server: Running, address: str = "/", **settings: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 860}, "accept_downloads": True, **settings}
        self.server, self.context = server, chromium.new_context(**settings)
        self.context.set_default_timeout(WAIT_MS)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.waiting: list[Any] = []  # requests that have not ended
        self.context.on("request", self._asked)
        for ended in ("requestfinished", "requestfailed"):
            self.context.on(ended, lambda request: request in self.waiting and self.waiting.remove(request))
        self.context.add_init_script(WORDS_STAY)
        self.context.add_init_script(LAST_ACTS)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        OPEN.append(self)
        self.page.goto(server.url + address)

    def _asked(self, request: Any) -> None:
        self.requests.append(request.url)
        self.waiting.append(request)

    def photo(self, name: str, *, whole: bool = False) -> None:
        """A screenshot, where somebody wants to look at it."""
        if folder := os.environ.get("XREID_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(400)
            self.page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=whole)

    def until(self, truth: str) -> None:
        """Wait for an expression; Playwright's own way needs `eval`, which the page's policy forbids."""
        for _ in range(WAIT_MS // 100):
            if self.page.evaluate(truth):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"not within {WAIT_MS} ms: {truth}\n{self.state()}")

    def hold(self, address: str, method: str = "POST") -> list[Any]:
        """Requests that wait in a list until the test lets them go on."""
        waiting: list[Any] = []

        def one(route: Any) -> None:
            if route.request.method == method:
                waiting.append(route)
            else:
                route.fallback()

        self.route(address, one)
        return waiting

    def route(self, address: str, answer: Callable[[Any], Any]) -> None:
        """Answer what the page asks for.

        Chromium tells the page's process some time after Playwright was told that it is done: until then
        requests pass by (1 of 240 on a busy machine).
        """
        met: list[Any] = []
        self.page.route(address, answer)
        self.page.route(PROBE, lambda route: (met.append(route), route.fulfill(status=204)))
        while not met:
            self.page.evaluate("fetch('/healthz?routed').then(() => true)")
        self.page.unroute(PROBE)

    def go_offline(self) -> None:
        """Take the network away; requests pass for some time after Playwright was told that it is gone."""
        self.context.set_offline(True)
        while self.page.evaluate("fetch('/healthz').then(() => true, () => false)"):
            pass

    def until_there_are(self, count: int, found: Sized) -> None:
        """Wait for what a route of the test collects."""
        for _ in range(WAIT_MS // 100):
            if len(found) >= count:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"not within {WAIT_MS} ms: {len(found)} instead of {count}\n{self.state()}")

    def state(self) -> str:
        """What the page shows and what was done to it last, for a failure's message."""
        return "\n".join([*self.traffic(), *self.page.evaluate(SEEN)])

    def traffic(self) -> list[str]:
        """What was asked for last, and what went wrong."""
        said = [f"complaint: {text}" for text in self.complaints[-20:]]
        said += [f"asked for: {url}" for url in self.requests[-20:]]
        return [*said, *(f"not ended: {one.method} {one.url}" for one in self.waiting[-20:]), self.page.url]

    def search_from(self, number: int = 0) -> None:
        """Search from a tracklet of the list."""
        self.page.locator(".line").nth(number).click()
        expect(self.page.locator(".hit").first).to_be_visible(timeout=WAIT_MS)

    def escape(self) -> None:
        """Close the dialog by key; until it is gone keys are its own, and the focus is not back."""
        self.page.keyboard.press("Escape")
        expect(self.page.locator("dialog")).to_have_count(0, timeout=WAIT_MS)

    def close(self, *, complaints: tuple[str, ...] = ()) -> None:
        """End the visit: nothing was asked of anybody else, and nothing went wrong unseen."""
        self.context.close()
        OPEN.remove(self)
        own = (self.server.url, f"blob:{self.server.url}", "data:")
        assert [url for url in self.requests if not url.startswith(own)] == []
        assert len(self.requests) > 8
        left = [text for text in self.complaints if not any(word in text for word in complaints)]
        assert left == []


def leave(*, ask: bool) -> Iterator[str]:
    """Leave the pages of a test that has failed; what was to be seen there.

    Args:
        ask: Whether the pages may be asked: not where the test was stopped while it waited for one.
    """
    while OPEN:
        visit = OPEN.pop()
        try:
            yield visit.state() if ask else "\n".join(visit.traffic())
            visit.context.close()
        except playwright.Error as error:
            yield f"{error}\n" + "\n".join(visit.traffic())


def write_full_world(made: Path, folder: Path) -> dict[str, Any]:
    """A calibrated gallery with a camera graph, moments and the recording; settings of its server."""
    table = write_tracklets(folder / "tracklets")
    (folder / "footage").mkdir()
    video = noise_video(folder / "footage" / "gate.mp4")
    write_moments(folder / "tracklets" / "moments.parquet", _moments("gate-00", video))
    made_set = embed_tracklets(
        load_checkpoint(made / "model"), table, out=folder / "embeddings", config=EmbedConfig()
    )
    plain = json.loads(json.dumps(_calibration(made_set).to_json()))
    Gallery.create(folder / "gallery").append(replace(made_set, calibration=plain), name="people")
    (folder / "graph.json").write_text(json.dumps(GRAPH))
    paths = {"gallery": str(folder / "gallery"), "graph": folder / "graph.json"}
    return {**paths, "footage": [folder / "footage"]}


def _calibration(made: EmbeddingSet) -> Calibration:
    """An untrained model's cosines say nothing: the nearest visible pairs are taken for known, no others."""
    visible = np.array([row.modality is Modality.VISIBLE for row in made.table.rows])
    vectors = made.vectors.astype(float)
    same = (vectors[visible] @ vectors[visible].T)[np.triu_indices(visible.sum(), 1)]
    cut = float(np.quantile(same, 0.7))
    slope = 2.0 / max(float(same.std()), 1e-9)
    near = kind(slope, 3.0 - slope * cut, cut=cut)
    never = kind(1.0, -4.0, cut=1.5)
    return Calibration(
        method="logistic",
        kinds={"vis-vis": near, "vis-ir": never, "ir-ir": never},
        origin=made.origin,
        source="drawn people",
        identities=("a", "b"),
        tracklets=40,
        protocol="generic v1",
        fit_prior=0.5,
    )


def _moments(name: str, video: Path) -> list[Moment]:
    """Where `noise_video` shows its person."""
    return [
        Moment(
            tracklet=name,
            file=f"frames/{name}/{step:06d}.jpg",
            frame=step + 1,
            time_s=NIGHT_S + step / 10,
            offset_s=step / 10,
            box=(10.0 + 4 * step, 30.0, 40.0, 80.0),
            score=0.9,
            sharpness=0.5 + 0.05 * step,
            hidden=0.0,
            source=str(video),
            joined=0.93 if step == 4 else None,
        )
        for step in range(FRAMES)
    ]
