"""What is made of uploads and recordings: as the gallery was made, of the asked stretch, of nobody erased."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.serving.conftest import Open
from tests.serving.test_uploads import send
from tests.serving.world import as_bytes, noise_video, person
from xreid.core.embeddings import EmbeddingSet
from xreid.inference.checkpoint import load_checkpoint
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.retrieval.gallery import Gallery
from xreid.serving.clips import Clips, Strip
from xreid.serving.problems import Refusal

API = "/api/v1"


def test_uploads_are_embedded_with_mirror_images_where_the_gallery_was(world: Path, opened: Open) -> None:
    table = EmbeddingSet.load(world / "imports" / "people").table
    model = load_checkpoint(world / "model")
    made = embed_tracklets(model, table, out=world / "flipped", config=EmbedConfig(flip=True, frames=3))
    assert made.origin.preprocessing["flip"] is True
    Gallery.create(world / "mirrored").append(made, name="people")
    client = opened(gallery=str(world / "mirrored"))
    row = client.get(f"{API}/tracklets?limit=1").json()["items"][0]
    upload = send(client, as_bytes(person(0))).json()["id"]
    answer = client.post(f"{API}/queries", json={"cuts": [{"upload": upload}], "modality": "vis"})
    assert answer.status_code == 201, answer.text
    body = {"queries": [answer.json()["id"]], "hit": row["id"], "pairs": 1}
    assert client.post(f"{API}/why", json=body).status_code == 200


def test_a_stretch_of_a_clip_ends_where_it_ends(client: TestClient, tmp_path: Path) -> None:
    """More pictures are asked for (8) than half a second holds (5)."""
    video = noise_video(tmp_path / "walk.mp4", frames=20, fps=10)
    upload = send(client, video.read_bytes(), name="walk.mp4").json()["id"]
    cut = {"upload": upload, "from_s": 0.5, "to_s": 1.0}
    assert client.post(f"{API}/queries", json={"cuts": [cut]}).json()["frames"] == 5


def test_a_clip_that_was_begun_before_an_erasure_is_not_kept(tmp_path: Path) -> None:
    clips = Clips(tmp_path)

    def made() -> AbstractContextManager[Strip]:
        pictures = [person(0), person(1)]
        return nullcontext(Strip(sizes=[picture.size for picture in pictures], images=pictures, fps=5.0))

    def erased_meanwhile() -> AbstractContextManager[Strip]:
        clips.forget()
        return made()

    with pytest.raises(Refusal, match="erased"):
        clips.kept("ab", erased_meanwhile)
    assert list(tmp_path.glob("*")) == []
    assert clips.kept("ab", made).is_file()
    assert clips.kept("ab", erased_meanwhile).is_file(), "one that is there is not made again"
