"""Footage and embedding sets taken in: once, with progress, stopped, and gone on with after a restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.retrieval.footage import walkers, write_video
from tests.serving.conftest import Open
from tests.serving.world import config_of
from tests.waiting import until
from xreid.retrieval.gallery import Gallery
from xreid.serving import steps

API = "/api/v1"


def waited(client: TestClient, job: str, *, states: tuple[str, ...] = ("done", "failed", "cancelled")) -> Any:
    """The job, once it is in one of the states."""
    found: dict[str, Any] = {}

    def reached() -> bool:
        found.update(client.get(f"{API}/jobs/{job}").json())
        return found["state"] in states

    until(reached)
    return found


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Jobs that embed nothing until this is set, or they are stopped: none is over before it is seen."""
    go, real = threading.Event(), steps._worker

    def worker(request: dict[str, Any], step: steps.Step, *, called: str) -> None:
        if called == "embed":
            until(lambda: go.is_set() or step.stop.is_set())
        real(request, step, called=called)

    monkeypatch.setattr(steps, "_worker", worker)
    yield go
    go.set()


@pytest.fixture
def empty(tmp_path: Path) -> str:
    Gallery.create(tmp_path / "fresh")
    return str(tmp_path / "fresh")


def test_an_embedding_set_is_taken_in_once(opened: Open, empty: str) -> None:
    client = opened(gallery=empty)
    body = {"kind": "embeddings", "name": "people", "path": "people", "labels": ["night"]}
    begun = client.post(f"{API}/jobs", json=body, headers={"idempotency-key": "k1"})
    assert begun.status_code == 202
    done = waited(client, begun.json()["id"])
    assert (done["state"], done["result"]["appended"]) == ("done", 24)
    assert client.get(f"{API}/tracklets?label=night").json()["total"] == 24
    for headers in ({"idempotency-key": "k1"}, {}, {"idempotency-key": "k2"}):
        again = client.post(f"{API}/jobs", json=body, headers=headers)
        assert (again.status_code, again.json()["id"]) == (200, begun.json()["id"]), headers
    other = client.post(f"{API}/jobs", json={**body, "labels": []}, headers={"idempotency-key": "k1"})
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "..",
        ".",
        "../gallery",
        "/etc",
        "people/../../gallery",
        "people\0",
        "link",
        "none",
        "people/vectors.npy",
    ],
)
def test_paths_stay_in_the_import_folder(opened: Open, made_world: Path, tmp_path: Path, path: str) -> None:
    imports = tmp_path / "in"
    imports.mkdir()
    (imports / "people").symlink_to(made_world / "imports" / "people")
    (imports / "link").symlink_to(tmp_path / "gallery")
    client = opened(imports=imports)
    answer = client.post(f"{API}/jobs", json={"kind": "embeddings", "name": "x", "path": path})
    assert answer.status_code in (404, 422), answer.text
    assert client.get(f"{API}/jobs").json() == []


def test_what_cannot_be_taken_in_says_why(opened: Open, world: Path) -> None:
    client = opened()
    for body, status in (
        ({"kind": "video", "name": "x"}, 422),
        ({"kind": "video", "name": "x", "path": "people", "upload": "0" * 16}, 422),
        ({"kind": "video", "name": "../x", "path": "people"}, 422),
        ({"kind": "video", "name": "x", "path": "people/embedding.json"}, 415),
        ({"kind": "video", "name": "x", "upload": "0" * 16}, 404),
        ({"kind": "video", "name": "x", "path": "people/vectors.npy", "start": "yesterday"}, 415),
        ({"kind": "embeddings", "name": "x", "upload": "0" * 16}, 422),
    ):
        assert client.post(f"{API}/jobs", json=body).status_code == status, body
    without = opened(imports=None, checkpoint=None)
    assert (
        without.post(f"{API}/jobs", json={"kind": "embeddings", "name": "x", "path": "y"}).status_code == 409
    )
    assert without.post(f"{API}/jobs", json={"kind": "video", "name": "x", "path": "y"}).status_code == 409


def test_a_video_becomes_tracklets(opened: Open, empty: str, tmp_path: Path, held: threading.Event) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(130)).read_bytes()
    client = opened(gallery=empty)
    upload = client.post(f"{API}/uploads?name=walk.mp4", content=video).json()["id"]
    body = {
        "kind": "video",
        "name": "gate",
        "upload": upload,
        "camera": "gate",
        "place": "street",
        "start": "2026-11-20T21:30:00+01:00",
    }
    begun = client.post(f"{API}/jobs", json=body)
    assert begun.status_code == 202, begun.text
    assert client.delete(f"{API}/uploads/{upload}").status_code == 409
    held.set()
    done = waited(client, begun.json()["id"])
    assert done["state"] == "done", done
    assert done["result"]["appended"] >= 1
    row = client.get(f"{API}/tracklets").json()["items"][0]
    assert (row["camera"], row["place"], row["modality"]) == ("gate", "street", "vis")
    assert row["start_s"] > 1_790_000_000
    assert client.get(f"{API}/tracklets/{row['id']}/clip.mp4").status_code == 200
    assert client.post(f"{API}/jobs", json=body).json()["id"] == begun.json()["id"]


@pytest.mark.usefixtures("held")
def test_a_job_is_stopped_and_leaves_nothing(opened: Open, empty: str, tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(130)).read_bytes()
    client = opened(gallery=empty)
    upload = client.post(f"{API}/uploads?name=walk.mp4", content=video).json()["id"]
    job = client.post(f"{API}/jobs", json={"kind": "video", "name": "gate", "upload": upload}).json()["id"]
    waiting = client.post(
        f"{API}/jobs", json={"kind": "video", "name": "b", "upload": upload, "every": 2}
    ).json()["id"]
    waited(client, job, states=("running",))
    assert client.delete(f"{API}/jobs/{waiting}").json()["state"] == "cancelled"
    client.delete(f"{API}/jobs/{job}")
    assert waited(client, job)["state"] == "cancelled"
    assert client.delete(f"{API}/jobs/{job}").status_code == 409
    assert client.get(f"{API}/gallery").json()["tracklets"] == 0
    site = client.app.state.site  # type: ignore[attr-defined]
    assert not list(site.jobs.folder.glob("*.work"))


def test_a_failed_job_says_why(opened: Open, empty: str, tmp_path: Path) -> None:
    video = write_video(tmp_path / "empty.mp4", list(walkers(10)) * 3).read_bytes()
    client = opened(gallery=empty)
    upload = client.post(f"{API}/uploads", content=video).json()["id"]
    job = client.post(f"{API}/jobs", json={"kind": "video", "name": "gate", "upload": upload}).json()["id"]
    done = waited(client, job)
    assert done["state"] == "failed"
    assert "tracklet" in done["problem"]["detail"]


def test_interrupted_jobs_go_on(empty: str, world: Path) -> None:
    from dataclasses import asdict

    from xreid.core.files import write_json
    from xreid.serving.app import create_app
    from xreid.serving.jobs import new_job
    from xreid.serving.site import Site

    config = config_of(world, world / "state", gallery=empty)
    job = new_job(
        kind="embeddings",
        name="people",
        owner="anna",
        content="c",
        source=str(world / "imports" / "people"),
        state="running",
    )
    write_json(config.state_folder / "jobs" / f"{job.id}.json", asdict(job))
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        assert waited(client, job.id)["result"]["appended"] == 24
