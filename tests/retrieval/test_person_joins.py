"""Broken tracks joined by looks: the threshold; whole ingests, with a model that sees mean colours; kills."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.retrieval.footage import Image, draw_person, wall, write_mot, write_video
from tests.retrieval.test_ingest import _digest
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.evaluation.calibration import Threshold
from xreid.retrieval import person_joins as module
from xreid.retrieval import person_switches
from xreid.retrieval.crops import Crop, frame_file
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig, SourceOptions
from xreid.retrieval.ingest_identity import require_same
from xreid.retrieval.many import ingest_recordings
from xreid.retrieval.moments import moments, tracks_of
from xreid.retrieval.one_person import OnePerson
from xreid.retrieval.person_joins import limit_of
from xreid.retrieval.sources import find_sources

RED, GREEN, BLUE = (30, 30, 200), (40, 170, 40), (190, 60, 30)


class _Fitted:
    slope, offset = 10.0, -4.0
    threshold = Threshold(far=0.001, score=0.6, tar=0.9, resolution="few")


class _Calibration:
    kinds = {"vis-vis": _Fitted()}  # noqa: RUF012

    def kind(self, name: str) -> _Fitted:
        return self.kinds[name]


class _Model:
    calibration: Any = _Calibration()


class _Uncalibrated:
    calibration = None


def _limit(model: Any, strangers: list[float], given: float | None = None, modality: str = "vis") -> float:
    return limit_of(model, Modality(modality), strangers, given=given)


def test_the_limit_is_the_calibrations_or_what_strangers_here_score() -> None:
    assert _limit(_Model(), []) == 0.6
    assert _limit(_Model(), [0.1, 0.5]) == 0.6
    assert _limit(_Model(), [0.1, 0.8]) == 0.8, "of few all must be less alike"
    assert _limit(_Model(), [*np.linspace(0.0, 0.7, 199), 0.95]) == pytest.approx(0.7, abs=0.01), (
        "of many 99%"
    )
    assert _limit(_Model(), [0.5], given=0.4) == 0.5
    assert _limit(_Model(), [], given=0.4) == 0.4
    assert _limit(_Model(), [0.2], modality="ir") == math.inf, "not calibrated for that"
    assert _limit(_Uncalibrated(), [0.2]) == math.inf
    assert _limit(_Uncalibrated(), [], given=0.4) == 0.4


def test_a_calibration_of_too_few_pairs_asks_for_20_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _Fitted, "threshold", Threshold(far=0.001, score=None, tar=None, resolution="too few")
    )
    assert _limit(_Model(), []) == pytest.approx(0.7)


def _street(count: int, *, second: tuple[int, int, int] = RED) -> Iterator[Image]:
    """Red walks to the right and is hidden in frames 41 to 53, then is `second`; blue walks to the left."""
    rng, background = np.random.default_rng(1), wall(size=(240, 480))
    for i in range(count):
        image = background.copy()
        if i >= 10 and not 40 <= i < 53:
            draw_person(image, x=30 + 4 * (i - 10), foot=110, colour=RED if i < 46 else second, height=80)
        if 15 <= i < 90:
            draw_person(image, x=440 - 4 * (i - 15), foot=225, colour=BLUE, height=90)
        yield np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def _body(picture: Any) -> Any:
    height, width = picture.shape[:2]
    return picture[height // 4 : height // 2, width // 3 : 2 * width // 3]


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose vectors are the mean colours of the crops' middles."""

    def embedded(model: Any, table: Any) -> dict[str, np.ndarray]:
        found = {}
        for row in table:
            pictures = [cv2.imread(str(table.frame_path(frame))) for frame in row.frames]
            mean = np.mean([_body(picture).mean(axis=(0, 1)) for picture in pictures], axis=0) - 110
            found[row.name] = (mean / np.linalg.norm(mean)).astype(np.float32)
        return found

    monkeypatch.setattr(module, "load_checkpoint", lambda *args: _Model())
    monkeypatch.setattr(module, "_embedded", embedded)
    monkeypatch.setattr("xreid.retrieval.person_switches.person_cuts", lambda *args, **kwargs: {})
    monkeypatch.setattr(
        "xreid.inference.checkpoint.describe_checkpoint", lambda folder: (folder, None, "hash")
    )


def _config(**options: Any) -> IngestConfig:
    return IngestConfig(detector="motion", checkpoint=Path("run"), max_gap_s=0.5, **options)


@pytest.mark.usefixtures("colours")
def test_a_walk_that_broke_off_is_one_tracklet(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", _street(100))
    apart = ingest_video(video, tmp_path / "apart", config=_config(join=False))
    assert (apart.tracklets, apart.person_joins) == (3, 0)
    report = ingest_video(video, tmp_path / "out", config=_config())
    assert (report.tracklets, report.person_joins, report.crops) == (2, 1, apart.crops)
    assert "tracks joined to one that broke off before" in report.remarks()
    table, before = open_archive(tmp_path / "out"), open_archive(tmp_path / "apart")
    assert [row.name for row in table] == ["walk-0001", "walk-0002"]
    assert [row.name for row in before] == ["walk-0001", "walk-0002", "walk-0003"]
    red, first, second = table[0], before[0], before[2]
    assert len(red.frames) == len(first.frames) + len(second.frames)
    assert (red.start_s, red.end_s) == (first.start_s, second.end_s)
    assert red.quality not in (None, first.quality, second.quality), "of all its crops"
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)
    assert len(list((tmp_path / "out" / "frames").rglob("*.jpg"))) == report.crops, "moved, not copied"
    assert len(list((tmp_path / "out" / "frames").iterdir())) == 2, "no empty folder stays"
    told = [(m.frame, m.box) for m in moments(tmp_path / "out", "walk-0001")]
    apart_told = [(m.frame, m.box) for n in (0, 2) for m in moments(tmp_path / "apart", before[n].name)]
    assert told == apart_told, "nothing is made up where he was hidden"
    before_it, after_it = tracks_of(moments(tmp_path / "out", "walk-0001"))
    assert before_it.last.frame == moments(tmp_path / "apart", first.name)[-1].frame
    assert after_it.first.frame == moments(tmp_path / "apart", second.name)[0].frame
    assert 0.6 < (after_it.joined or 0) <= 1.0, "it says how alike they were"
    assert len(tracks_of(moments(tmp_path / "out", "walk-0002"))) == 1


@pytest.mark.usefixtures("colours")
def test_a_folder_of_another_choice_is_refused_and_one_without_a_model_is_not(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", _street(100))
    ingest_video(video, tmp_path / "with", config=_config())
    with pytest.raises(ConfigError, match="with other options; expected join false; got join true. Go on"):
        ingest_video(video, tmp_path / "with", config=_config(join=False))
    plain = IngestConfig(detector="motion")
    ingest_video(video, tmp_path / "without", config=plain)
    options = json.loads((tmp_path / "without" / "ingest.json").read_text())["options"]
    assert "join" not in options
    notes: list[str] = []
    ingest_video(video, tmp_path / "without", config=replace(plain, join=False), note=notes.append)
    assert notes == [f"{tmp_path / 'without'} already holds this ingest"]


@pytest.mark.usefixtures("colours")
def test_a_folder_from_before_there_was_a_choice_goes_on_without_joins(tmp_path: Path) -> None:
    video, out = write_video(tmp_path / "walk.mp4", _street(60)), tmp_path / "out"
    ingest_video(video, out, config=_config(join=False))
    record = json.loads((out / "ingest.json").read_text())
    record["options"] = {name: v for name, v in record["options"].items() if not name.startswith("join")}
    (out / "ingest.json").write_text(json.dumps(record))
    notes: list[str] = []
    ingest_video(video, out, config=_config(join=False), note=notes.append)
    assert notes == [f"{out} already holds this ingest"]
    told = r"expected join true; got join false. Go on as it was begun \(--join false\), or choose another"
    with pytest.raises(ConfigError, match=told):
        ingest_video(video, out, config=_config())
    record["report"] = None
    (out / "ingest.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match="is damaged"):
        ingest_video(video, out, config=_config(join=False))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"options": {"every": 2}},
            "with other options; expected every 1; got every 2. Go on .*--every 2\\), or",
        ),
        ({"options": {"fps": None}}, r"got fps none. Go on as it was begun \(without --fps\)"),
        (
            {"options": {"checkpoint": "a" * 64}},
            "expected checkpoint bbbbbbbb; got checkpoint aaaaaaaa. Choose",
        ),
        ({"options": {"tracks": {"name": "t.txt", "sha256": "c" * 64}}}, "got tracks t.txt cccccccc. Choose"),
        ({"versions": {"av": "1"}}, "by other versions; expected av 2; got av 1. Choose"),
        (
            {"source_sha256": "0", "options": {"every": 2}},
            "of another video and with other options; .*. Choose",
        ),
        ({"format": 1}, "of another kind. Choose"),
        ({"source": "y"}, "an ingest of a video of another name; expected source x; got source y. Choose"),
        (
            {"source": "y", "source_sha256": "0"},
            "an ingest of another video; expected source x; got source y. Choose",
        ),
        ({"before": "y"}, "after another video; expected before none; got before y. Choose"),
        ({"options": {"place": "my yard"}}, "as it was begun \\(--place 'my yard'\\), or"),
    ],
)
def test_what_differs_is_said(change: dict[str, Any], told: str) -> None:
    options = {
        "every": 1,
        "fps": 5.0,
        "checkpoint": "b" * 64,
        "tracks": None,
        "join": True,
        "join_score": None,
    }
    identity = {"format": 2, "source_sha256": "1", "source": "x", "before": None, "options": options}
    identity |= {"versions": {"av": "2"}}
    require_same(identity, identity, Path("out"), what="an ingest")
    found = {
        name: {**value, **change.get(name, {})} if isinstance(value, dict) else change.get(name, value)
        for name, value in identity.items()
    }
    with pytest.raises(ConfigError, match=told):
        require_same(found, identity, Path("out"), what="an ingest")


@pytest.mark.usefixtures("colours")
def test_whoever_looks_otherwise_is_another(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", _street(100, second=GREEN))
    report = ingest_video(video, tmp_path / "out", config=_config())
    assert (report.tracklets, report.person_joins) == (3, 0)
    alike = write_video(tmp_path / "alike.mp4", _street(100, second=BLUE))
    lax = ingest_video(alike, tmp_path / "lax", config=_config(join_score=-1.0))
    assert lax.person_joins == 0, "red and blue are strangers here, so nobody as unlike is joined"


@pytest.mark.usefixtures("colours")
def test_given_tracks_are_taken_at_their_word(tmp_path: Path) -> None:
    video = write_video(tmp_path / "walk.mp4", _street(100))
    rows = [(f, 1 + (f > 46), 4 * (f - 11) + 15, 28, 30, 84) for f in range(11, 101) if not 41 <= f < 54]
    tracks = write_mot(tmp_path / "mot.txt", rows)
    report = ingest_video(video, tmp_path / "out", config=_config(tracks=tracks))
    assert (report.tracklets, report.person_joins) == (2, 0)


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("stop", [1, 20])
def test_killed_while_a_walk_is_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    video = write_video(tmp_path / "walk.mp4", _street(100))
    ingest_video(video, tmp_path / "whole", config=_config())
    real, moved = Path.rename, list[Path]()

    def rename(self: Path, target: Path) -> Path:
        if self.suffix == ".jpg":
            moved.append(self)
            if len(moved) == stop:
                raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            ingest_video(video, tmp_path / "killed", config=_config())
    monkeypatch.setattr(module, "person_joins", lambda *args, **kwargs: pytest.fail("it was decided"))
    ingest_video(video, tmp_path / "killed", config=_config())
    assert _digest(tmp_path / "killed") == _digest(tmp_path / "whole")


@pytest.mark.usefixtures("colours")
def test_a_walk_put_together_goes_on_in_the_next_file(tmp_path: Path) -> None:
    frames = list(_street(110))
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "gate_20261120T213000Z.mp4", frames[:80])
    write_video(tmp_path / "videos" / "gate_20261120T213008Z.mp4", frames[80:])
    sources = find_sources([str(tmp_path / "videos")], options=SourceOptions(), config=_config())
    report = ingest_recordings(sources.recordings, tmp_path / "out", config=_config())
    assert not report.failed
    assert report.total.person_joins == 1
    table = open_archive(tmp_path / "out")
    assert len(table) == 2, "red and blue, each once"
    red = max(table, key=lambda row: len(row.frames))
    files = {Path(moment.source).name: 0 for moment in moments(tmp_path / "out", red.name)}
    assert sorted(files) == ["gate_20261120T213000Z.mp4", "gate_20261120T213008Z.mp4"]
    assert len(red.frames) > 70
    broke_off, went_on = tracks_of(moments(tmp_path / "out", red.name))
    assert went_on.first.source == broke_off.last.source != went_on.last.source, "the cut itself parts nobody"


def test_killed_after_a_box_that_changed_its_person_was_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Track 1 jumps to somebody else at frame 9, and whom it followed goes on as track 2 while it does."""
    frames = {"v-0001": range(1, 17), "v-0002": range(11, 16)}
    tracks = {
        name: [Crop(frame=f, x=0, y=0, width=9, height=9, score=1, time_s=f / 10, chroma=9) for f in numbers]
        for name, numbers in frames.items()
    }
    for name, numbers in frames.items():
        for number in numbers:
            (tmp_path / frame_file(name, number)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / frame_file(name, number)).write_text(f"{name} {number}")
    joined = {("v-0001", "v-0002"): 0.9}
    monkeypatch.setattr(person_switches, "person_cuts", lambda *_, **__: {"v-0001": [9]})
    monkeypatch.setattr(module, "person_joins", lambda *_, **__: joined)
    work = tmp_path / ".ingest"
    sorting = OnePerson(out=tmp_path, work=work, config=_config(), prefix="v")
    for _ in range(2):  # killed after the first time
        found = sorting.tracklets(tracks, changes=[], begun=(), next_id=3)
        assert {name: [crop.frame for crop in rows] for name, rows in found.crops.items()} == {
            "v-0001": [*range(1, 9), *range(11, 16)],
            "v-0003": list(range(9, 17)),
        }
        for name, rows in found.crops.items():
            for crop in rows:
                of = "v-0002" if name == "v-0001" and crop.frame > 8 else "v-0001"
                assert (tmp_path / frame_file(name, crop.frame)).read_text() == f"{of} {crop.frame}"
