"""How long uploads are kept, and how many: as long and as many as the settings say."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.serving.conftest import Open
from tests.serving.world import as_bytes, person
from xreid.core.errors import DataError
from xreid.serving import app
from xreid.serving.config import Limits

API = "/api/v1"


@pytest.mark.parametrize(("minutes", "status"), [(9, 200), (11, 404)])
def test_an_upload_is_kept_for_its_time(opened: Open, world: Path, minutes: int, status: int) -> None:
    client = opened(limits=Limits(keep_minutes=10))
    made = client.post(f"{API}/uploads?name=a.png", content=as_bytes(person(0))).json()["id"]
    then = time.time() - 60 * minutes
    os.utime(world / "state0" / "uploads" / made, (then, then))
    client.app.state.site.sweep()  # type: ignore[attr-defined]
    assert client.get(f"{API}/uploads/{made}").status_code == status


def test_no_more_is_taken_than_there_is_room(opened: Open, world: Path) -> None:
    client = opened(limits=Limits(uploads_mib=1))
    picture = as_bytes(person(0), "BMP")  # decoders stop at the end of the picture
    padded = picture + bytes(600_000)
    first = client.post(f"{API}/uploads?name=a.bmp", content=padded)
    assert first.status_code == 201, first.text
    second = client.post(f"{API}/uploads?name=b.bmp", content=padded)
    assert second.status_code == 507
    assert "no room" in second.text
    assert len(list((world / "state0" / "uploads").iterdir())) == 1, "nothing is left of it"
    assert client.delete(f"{API}/uploads/{first.json()['id']}").status_code == 204
    assert client.post(f"{API}/uploads?name=b.bmp", content=padded).status_code == 201


def test_a_damaged_case_is_said_once_and_not_each_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [DataError("case 1 is damaged")] * 3 + [None, DataError("case 1 is damaged")]
    swept: list[int] = []

    def sweep() -> None:
        swept.append(1)
        if len(swept) <= len(faults) and (fault := faults[len(swept) - 1]) is not None:
            raise fault

    async def past_all_of_them() -> None:
        task = asyncio.create_task(app._sweep(SimpleNamespace(sweep=sweep)))  # type: ignore[arg-type]
        while len(swept) <= len(faults) and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()

    monkeypatch.setattr(app, "_SWEEP_SECONDS", 0.0)
    asyncio.run(past_all_of_them())
    said = [(one.getMessage(), one.exc_info) for one in caplog.records if one.name == "xreid.serving"]
    line = "queries whose time is over stay until this is mended: case 1 is damaged."
    assert said == [(line, None)] * 2, "and again, once it has been mended in between"


def test_a_sweep_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[int] = []

    def sweep() -> None:
        swept.append(1)
        if len(swept) == 1:
            raise OSError("a case is damaged")

    async def twice() -> None:
        task = asyncio.create_task(app._sweep(SimpleNamespace(sweep=sweep)))  # type: ignore[arg-type]
        while len(swept) < 2 and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()

    monkeypatch.setattr(app, "_SWEEP_SECONDS", 0.0)
    asyncio.run(twice())
    assert len(swept) > 1


def test_pictures_that_are_no_longer_kept_leave_no_clip_behind(opened: Open, world: Path) -> None:
    client = opened(limits=Limits(keep_minutes=10))
    site = client.app.state.site  # type: ignore[attr-defined]
    entry = site.backend.gallery.page(limit=1)[0]
    address, frames = f"{API}/tracklets/{entry.id}", [entry.root / frame for frame in entry.tracklet.frames]
    assert client.get(f"{address}/clip.mp4").status_code == 200
    (kept,) = (world / "state0" / "clips").iterdir()
    for frame in frames:
        frame.rename(frame.with_suffix(".gone"))
    try:
        for what in ("clip.mp4", "frames/0"):
            answer = client.get(f"{address}/{what}")
            assert (answer.status_code, "no longer kept" in answer.text) == (404, True), what
    finally:
        for frame in frames:
            frame.with_suffix(".gone").rename(frame)
    site.sweep()
    assert kept.exists()
    os.utime(kept, (time.time() - 660, time.time() - 660))
    site.sweep()
    assert not kept.exists()
