"""The moment in the recording: facts, picture, clip; and only of recordings that may be shown."""

from __future__ import annotations

import io
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.inference.small import write_model
from tests.retrieval.footage import write_video
from tests.serving.conftest import Open, Tokens
from tests.serving.world import config_of, person
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.moments import Moment, write_moments
from xreid.serving.app import create_app
from xreid.serving.clips import EmptyError, Strip, encode
from xreid.serving.footage import box_at
from xreid.serving.site import Site

API = "/api/v1"
FPS, BOX = 10, (30.0, 40.0, 40.0, 80.0)
GREEN = (40, 160, 60)


def recording(path: Path, *, frames: int = 60) -> Path:
    """Every frame shows its number, from 0, as six black and white fields along the top."""

    def picture(i: int) -> np.ndarray:
        image = Image.new("RGB", (160, 160), (90, 95, 100))
        for bit in range(6):
            shade = 255 if i >> bit & 1 else 0
            image.paste((shade, shade, shade), (16 * bit, 0, 16 * bit + 16, 16))
        image.paste(person(1, step=i), (30 + i, 40))
        return np.asarray(image)[:, :, ::-1].copy()

    return write_video(path, (picture(i) for i in range(frames)), fps=FPS)


def number_of(pixels: np.ndarray) -> int:
    """Which frame of `recording` that is, from 0."""
    return sum(1 << bit for bit in range(6) if pixels[8, 16 * bit + 8].mean() > 127)


def moment_of(name: str, frame: int, source: str, *, stills: bool = False) -> Moment:
    """The person of `recording` in a frame, counted from 1."""
    return Moment(
        tracklet=name,
        file=f"frames/{name}/{frame:06d}.jpg",
        frame=frame,
        time_s=None if stills else 1000.0 + (frame - 1) / FPS,
        offset_s=None if stills else (frame - 1) / FPS,
        box=(BOX[0] + frame - 1, *BOX[1:]),
        score=0.9,
        sharpness=0.5,
        hidden=0.0 if frame == 30 else 0.5,
        source=source,
        joined=0.75 if frame == 30 else None,
    )


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording, one outside of its folder, a folder of stills; a tracklet of each and of what is none."""
    root = tmp_path_factory.mktemp("filmed")
    (root / "footage" / "stills").mkdir(parents=True)
    video = recording(root / "footage" / "gate.mp4")
    (root / "secret.mp4").write_bytes(video.read_bytes())
    (root / "footage" / "link.mp4").symlink_to(root / "secret.mp4")
    (root / "footage" / "words.txt").write_text("root:x:0:0:")
    for i in range(3):
        Image.new("RGB", (80, 60), (80 * i, 0, 0)).save(root / "footage" / "stills" / f"{i}.png")
    (root / "footage" / "stills" / "9.png").symlink_to(root / "cuts" / "frames" / "gate" / "000010.jpg")
    footage = root / "footage"
    sources = {
        "gate": str(video),
        "start": str(video),
        "outside": str(root / "secret.mp4"),
        "dots": str(footage / ".." / "secret.mp4"),
        "link": str(footage / "link.mp4"),
        "words": str(footage / "words.txt"),
        "gone": str(footage / "gone.mp4"),
        "stream": "rtsp://camera/1",
        "stills": str(footage / "stills"),
        "system": "/etc/passwd",
        "relative": "gate.mp4",
        "sly": "../secret.mp4",
        "folder": str(footage),
    }
    cuts = root / "cuts"
    rows, moments = [], []
    for name, source in sources.items():
        numbers = {"stills": (1, 2, 3), "start": (1,)}.get(name, (10, 20, 30, 40))
        for number in numbers:
            moments.append(moment_of(name, number, source, stills=name == "stills"))
            path = cuts / moments[-1].file
            path.parent.mkdir(parents=True, exist_ok=True)
            person(len(rows)).save(path)
        files = tuple(f"frames/{name}/{n:06d}.jpg" for n in numbers)
        rows.append(
            Tracklet(name=name, frames=files, modality=Modality.VISIBLE, camera="gate", start_s=1000.9)
        )
    write_moments(cuts / "moments.parquet", moments)
    rows.append(replace(rows[0], name="unknown"))
    table = TrackletTable(root=cuts, rows=tuple(rows))
    made = embed_tracklets(
        write_model(root / "model", cameras=()), table, out=root / "embeddings", config=EmbedConfig()
    )
    Gallery.create(root / "gallery").append(made, name="filmed")
    return root


@pytest.fixture
def shown(filmed: Path, tmp_path: Path) -> Iterator[TestClient]:
    """A server that may show the footage."""
    config = config_of(filmed, tmp_path / "state", footage=[filmed / "footage"], imports=None)
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        yield client


def url(client: TestClient, name: str, what: str = "moment") -> str:
    """The address of a tracklet's moment."""
    site = client.app.state.site  # type: ignore[attr-defined]
    return f"{API}/tracklets/{site.backend.gallery.find(name).id}/{what}"


def test_the_facts_of_a_moment(shown: TestClient, filmed: Path) -> None:
    assert shown.get(f"{API}/gallery").json()["footage"] is True
    best = shown.get(url(shown, "gate")).json()
    assert best == {
        "file": "gate.mp4",
        "tracklet_frame": 2,
        "frame": 30,
        "offset_s": 2.9,
        "time_s": 1002.9,
        "box": [59.0, 40.0, 40.0, 80.0],
        "camera": "gate",
        "from_s": 0.9,
        "to_s": 3.9,
        "tracks": [
            {"from_s": 1000.9, "to_s": 1001.9, "first": 0, "last": 1, "cosine": None},
            {"from_s": 1002.9, "to_s": 1003.9, "first": 2, "last": 3, "cosine": 0.75},
        ],
        "shown": True,
        "why_not": "",
    }
    (whole,) = shown.get(url(shown, "start")).json()["tracks"]
    assert (whole["first"], whole["last"], whole["cosine"]) == (0, 0, None)
    assert shown.get(url(shown, "gate", "moment?frame=0")).json()["frame"] == 10
    elsewhere = ("outside", "dots", "relative", "sly", "stream")
    told = {name: shown.get(url(shown, name)).json()["file"] for name in elsewhere}
    assert told == {
        "outside": "secret.mp4",
        "dots": "secret.mp4",
        "relative": "gate.mp4",
        "sly": "secret.mp4",
        "stream": "rtsp://camera/1",
    }, "nobody learns where the server keeps its files"
    assert shown.get(url(shown, "gate", "moment?frame=4")).status_code == 404
    assert "ingest" in shown.get(url(shown, "unknown")).json()["expected"]
    assert shown.get(f"{API}/tracklets/{'ab' * 10}/moment").status_code == 404


@pytest.mark.parametrize(("frame", "number"), [(0, 10), (1, 20), (2, 30), (3, 40)])
def test_the_picture_is_that_frame_with_the_box(shown: TestClient, frame: int, number: int) -> None:
    answer = shown.get(url(shown, "gate", f"moment.jpg?frame={frame}"))
    assert answer.headers["content-type"] == "image/jpeg"
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=int)
    assert pixels.shape == (160, 160, 3)
    assert number_of(pixels) == number - 1
    left = round(BOX[0]) + number - 1
    red, _, blue = pixels[70, left - 1]
    assert red - blue > 100, "the box is drawn at the person's edge"
    middle = pixels[75, left + 20]
    assert np.abs(middle - GREEN).max() < 40, "the person stands in it"


def test_the_first_frame_of_a_recording_is_shown(shown: TestClient) -> None:
    answer = shown.get(url(shown, "start", "moment.jpg"))
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=int)
    assert number_of(pixels) == 0


def test_a_relative_path_is_looked_for_in_every_folder(filmed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folders = [tmp_path / "empty", filmed / "footage"]
    config = config_of(filmed, tmp_path / "state", footage=folders, imports=None)
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        assert client.get(url(client, "relative")).json()["shown"] is True


def test_the_clip_moves_with_the_person(shown: TestClient) -> None:
    address = url(shown, "gate", "moment.mp4?frame=2&seconds=2")
    whole = shown.get(address)
    assert whole.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(whole.content)) as container:
        frames = [f.to_ndarray(format="rgb24").astype(int) for f in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate or 0)
    assert len(frames) == 20
    assert rate == pytest.approx(FPS)
    assert [number_of(frame) for frame in frames] == list(range(20, 40))
    orange = [
        np.argwhere((f[100, :, 0] - f[100, :, 2] > 90) & (f[100, :, 0] > 150)).min()
        for f in (frames[0], frames[-1])
    ]
    assert orange[1] - orange[0] == pytest.approx(19, abs=2)
    part = shown.get(address, headers={"range": "bytes=10-29"})
    assert (part.status_code, part.content) == (206, whole.content[10:30])
    log = shown.get(f"{API}/audit").json()["entries"]
    assert [e["what"] for e in log] == ["moment shown"] * 2, "a piece of it may be nearly all of it"
    assert log[0]["recording"].endswith("gate.mp4")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("outside", "outside"),
        ("dots", "outside"),
        ("link", "outside"),
        ("system", "outside"),
        ("sly", "outside"),
        ("gone", "not there"),
        ("words", "format"),
        ("stream", "stream"),
        ("folder", "not there"),
    ],
)
def test_what_may_not_be_shown_is_not(shown: TestClient, name: str, word: str) -> None:
    facts = shown.get(url(shown, name)).json()
    assert facts["shown"] is False
    assert word in facts["why_not"]
    for what in ("moment.jpg", "moment.mp4"):
        answer = shown.get(url(shown, name, what))
        assert answer.status_code == 409
        assert word in answer.json()["detail"]
    assert shown.get(f"{API}/audit").json()["entries"] == []


def test_without_footage_there_are_only_facts(filmed: Path, tmp_path: Path) -> None:
    config = config_of(filmed, tmp_path / "state", imports=None)
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        facts = client.get(url(client, "gate")).json()
        assert (facts["frame"], facts["shown"]) == (30, False)
        assert "--footage" in client.get(url(client, "gate", "moment.mp4")).json()["todo"]


def test_a_recording_named_relative_is_looked_for_in_the_folders(shown: TestClient) -> None:
    assert shown.get(url(shown, "relative")).json()["shown"] is True
    assert shown.get(url(shown, "relative", "moment.jpg")).status_code == 200


def test_stills_are_shown_as_pictures(shown: TestClient) -> None:
    facts = shown.get(url(shown, "stills", "moment?frame=1")).json()
    assert (facts["offset_s"], facts["shown"]) == (None, True)
    answer = shown.get(url(shown, "stills", "moment.jpg?frame=1"))
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=int)
    assert np.abs(pixels[2, 2] - (80, 0, 0)).max() < 8
    assert shown.get(url(shown, "stills", "moment.mp4?frame=1")).status_code == 409


def test_viewers_get_the_facts_operators_the_pictures(filmed: Path, tmp_path: Path, tokens: Tokens) -> None:
    values: dict[str, Any] = {"footage": [filmed / "footage"], "imports": None, "token_file": tokens.file}
    config = config_of(filmed, tmp_path / "state", **values)
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        for what, code in (("moment", 200), ("moment.jpg", 403), ("moment.mp4", 403)):
            answer = client.get(url(client, "gate", what), headers=tokens.header("viewer"))
            assert answer.status_code == code
            assert client.get(url(client, "gate", what)).status_code == 401
        assert (
            client.get(url(client, "gate", "moment.jpg"), headers=tokens.header("operator")).status_code
            == 200
        )


def test_a_clip_longer_than_its_recording_is_all_of_it(shown: TestClient) -> None:
    whole = shown.get(url(shown, "gate", "moment.mp4?frame=2&seconds=20"))
    with av.open(io.BytesIO(whole.content)) as container:
        numbers = [number_of(f.to_ndarray(format="rgb24").astype(int)) for f in container.decode(video=0)]
    assert numbers == sorted(set(numbers)), "each picture once"
    assert numbers[0] <= 1 < 58 <= numbers[-1]


def test_a_folder_of_footage_that_is_none_is_told_at_the_start(opened: Open, tmp_path: Path) -> None:
    from xreid.core.errors import ConfigError

    with pytest.raises(ConfigError, match="--footage"):
        opened(footage=[tmp_path / "nowhere"])


def test_a_box_between_sightings() -> None:
    known = [(1.0, (0.0, 0.0, 10.0, 20.0)), (1.4, (8.0, 4.0, 10.0, 20.0)), (4.0, (50.0, 0.0, 10.0, 20.0))]
    assert box_at(known, 1.2) == pytest.approx((4, 2, 10, 20))
    assert box_at(known, 1.0) == known[0][1]
    assert box_at(known, 0.6) == known[0][1]
    assert box_at(known, 1.8) == known[1][1], "the next one is too far away to draw a line to"
    assert box_at(known, 2.8) is None
    assert box_at(known, 9.0) is None
    assert box_at([], 1.0) is None


def test_pictures_go_one_by_one_to_the_encoder(tmp_path: Path) -> None:
    made: list[weakref.ref[Image.Image]] = []
    most = 0

    def images() -> Iterator[Image.Image]:
        nonlocal most
        for i in range(60):
            image = Image.new("RGB", (64, 48), (4 * i, 0, 0))
            made.append(weakref.ref(image))
            most = max(most, sum(one() is not None for one in made))
            yield image

    encode(Strip(sizes=[(64, 48)], images=images(), fps=10.0), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
    assert most <= 3, "not all of a clip are held at once"
    with pytest.raises(EmptyError):
        encode(Strip(sizes=[], images=iter(()), fps=10.0), tmp_path / "none.mp4")
