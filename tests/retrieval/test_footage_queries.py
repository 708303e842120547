"""Queries from pictures and from a box in a video; why a hit is a hit."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.inference.small import write_model
from tests.retrieval.footage import draw_person, walkers, wall, write_video
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.retrieval.follow_box import follow_box
from xreid.retrieval.footage_queries import SeenBy, embed_like, query_from_pictures, query_from_video
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import queries_from_gallery, together
from xreid.retrieval.search import search
from xreid.retrieval.why import NO_CHECKPOINT, explain


def _pictures(folder: Path, *, grey: bool = False, count: int = 3, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        image = cv2.resize(rng.integers(0, 255, (8, 4, 3), dtype=np.uint8), (32, 64))
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        cv2.imwrite(str(folder / f"{i + 1:02d}.png"), image)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return write_model(tmp_path / "model")


@pytest.fixture
def gallery(tmp_path: Path, model: LoadedModel) -> Gallery:
    """Four tracklets of random pictures, embedded."""
    rows = []
    for i in range(4):
        _pictures(tmp_path / "frames" / f"t{i}", grey=bool(i % 2), seed=i)
        rows.append(
            Tracklet(
                name=f"t{i}",
                frames=tuple(f"t{i}/{n + 1:02d}.png" for n in range(3)),
                modality=Modality.INFRARED if i % 2 else Modality.VISIBLE,
            )
        )
    table = TrackletTable(root=tmp_path / "frames", rows=tuple(rows))
    embedder = Embedder(model, table, config=EmbedConfig())
    gallery = Gallery.create(tmp_path / "g")
    vectors = embedder.embed(range(4))
    gallery.append(EmbeddingSet(vectors=vectors, table=table, origin=embedder.origin), name="set")
    return gallery


def test_a_folder_of_pictures_is_embedded_as_the_gallery_was(
    tmp_path: Path, gallery: Gallery, model: LoadedModel
) -> None:
    for name, modality in (("t0", Modality.VISIBLE), ("t1", Modality.INFRARED)):
        query = query_from_pictures(gallery, model, tmp_path / "frames" / name)
        assert query.tracklet.modality is modality
        assert query.tracklet.modality_confidence is not None
        assert query.vector @ gallery.vectors([gallery.find(name).id])[0] == pytest.approx(1, abs=1e-5)
        (result,) = search(gallery, [query])
        assert result.hits[0].entry.tracklet.name == name
    one = query_from_pictures(
        gallery,
        model,
        tmp_path / "frames" / "t0" / "01.png",
        seen=SeenBy(camera="7", start_s=5.0, modality=Modality.INFRARED),
    )
    assert (one.tracklet.camera, one.tracklet.start_s) == ("7", 5.0)
    assert one.tracklet.modality is Modality.INFRARED
    assert one.id is None


def test_pictures_that_are_none(tmp_path: Path, gallery: Gallery, model: LoadedModel) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("no picture")
    for path, message in ((tmp_path / "empty", "no picture"), (tmp_path / "none.jpg", "no picture")):
        with pytest.raises(DataError, match=message):
            query_from_pictures(gallery, model, path)
    with pytest.raises(DataError, match="cannot read"):
        query_from_pictures(gallery, model, tmp_path / "text.jpg")
    other = write_model(tmp_path / "other", seed=5)
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        query_from_pictures(gallery, other, tmp_path / "frames" / "t0")


def test_a_box_in_a_video_is_followed_cut_and_embedded(
    tmp_path: Path, gallery: Gallery, model: LoadedModel
) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(100))
    # Frame 30: the red figure stands at x = 20 + 4 * 20 = 100, 33 wide, 100 high, its feet at 200.
    query = query_from_video(
        gallery,
        model,
        video,
        at_s=3.0,
        box=(84, 100, 33, 100),
        folder=tmp_path / "out",
        seen=SeenBy(start_s=1000),
    )
    row = query.tracklet
    assert row.modality is Modality.VISIBLE
    assert len(row.frames) >= 30
    assert row.start_s == pytest.approx(1001, abs=0.6)
    assert row.end_s == pytest.approx(1005, abs=0.2)
    for frame in row.frames:
        crop = cv2.imread(frame)
        _, green, red = crop[crop.shape[0] // 4 : crop.shape[0] // 2].reshape(-1, 3).mean(axis=0)
        assert red > green + 30, f"{frame} shows the wall"


@pytest.mark.parametrize(
    ("at", "box", "message"),
    [
        (3.0, (900, 10, 30, 90), "no person in that frame"),
        (3.0, (10, 10, 3, 4), "no person in that frame"),
        (99.0, (84, 100, 33, 100), "after the end"),
        (-1.0, (84, 100, 33, 100), "before the video"),
    ],
)
def test_boxes_and_moments_that_are_not_there(
    tmp_path: Path, gallery: Gallery, model: LoadedModel, at: float, box: tuple[float, ...], message: str
) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(40))
    with pytest.raises(ConfigError, match=message):
        query_from_video(gallery, model, video, at_s=at, box=box, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_following_there_and_back_and_losing() -> None:
    greys = []
    for i in range(20):
        image = wall()
        draw_person(image, x=60 + 5 * i, foot=200, colour=(30, 30, 200))
        greys.append(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8))
    there = follow_box(greys, (43, 100, 34, 100))
    assert there[-1] is not None
    assert there[-1][0] == pytest.approx(43 + 5 * 19, abs=6)
    back = follow_box(greys[::-1], there[-1])
    assert back[-1] is not None
    assert back[-1][0] == pytest.approx(43, abs=8)
    blank = np.full_like(greys[0], 127)
    assert follow_box([greys[0], blank, blank], (43, 100, 34, 100)) == [(43, 100, 34, 100), None, None]
    assert follow_box([], (0, 0, 1, 1)) == []


def test_why_says_parts_that_add_up_and_the_frames_that_match_best(
    tmp_path: Path, gallery: Gallery, model: LoadedModel
) -> None:
    from tests.retrieval.test_meaning import CALIBRATION

    origin = gallery.origin
    assert origin is not None
    meaning = Meaning(calibration=replace(CALIBRATION, origin=origin), prior=0.1)
    # The query holds one picture of t0 and two of nobody: the best pair must be that picture with itself.
    mixed = _pictures(tmp_path / "mixed", seed=77)
    (mixed / "02.png").write_bytes((tmp_path / "frames" / "t0" / "03.png").read_bytes())
    query = query_from_pictures(gallery, model, mixed)
    (result,) = search(gallery, [query], meaning=meaning)
    embed = partial(embed_like, gallery, model, root=Path("/"))
    whys = explain(gallery, result, embed=embed, most=4)
    assert len(whys) == 4
    for hit, why in zip(result.hits, whys, strict=True):
        across = hit.entry.tracklet.modality is not query.tracklet.modality
        assert [part.name for part in why.parts] == ["prior", "looks"] + (["modality"] if across else [])
        total = sum(part.log_odds for part in why.parts)
        assert hit.verdict is not None
        assert 1 / (1 + math.exp(-total)) == pytest.approx(hit.verdict.combined)
        assert why.missing == ()
        assert len(why.frames) == 3
        assert [pair.score for pair in why.frames] == sorted((p.score for p in why.frames), reverse=True)
    best = next(w.frames[0] for h, w in zip(result.hits, whys, strict=True) if h.entry.tracklet.name == "t0")
    assert (best.asking.name, best.answering.name) == ("02.png", "03.png")
    assert best.score == pytest.approx(1, abs=1e-4)
    both = together([query, *queries_from_gallery(gallery, ["t1"])])
    (told,) = explain(gallery, search(gallery, [both])[0], most=1)
    assert told.parts == ()
    assert told.frames == ()
    assert NO_CHECKPOINT in told.missing
    assert "calibration" in told.missing[0]
