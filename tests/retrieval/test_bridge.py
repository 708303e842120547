"""People who walk over a cut, between two stretches of a recording or two files of a live camera."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.retrieval.footage import Image, draw_person, wall, write_video
from xreid.core.errors import DataError
from xreid.data import open_archive
from xreid.retrieval.bridge import STATE, Bridge, read_state
from xreid.retrieval.crops import Crop
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig, IngestReport
from xreid.retrieval.merge import merge
from xreid.retrieval.moments import moments

CONFIG = IngestConfig(detector="motion", segment_frames=100, camera="yard")
FIRST, SECOND = "yard_20261120T213000.000Z", "yard_20261120T213010.000Z"


def _walk(first: int, last: int, *, start: int) -> Iterable[Image]:
    """Somebody walks in at frame `start`, 4 pixels a frame, and stands from frame 118 on."""
    background, rng = wall(), np.random.default_rng(0)
    for i in range(first, last):
        image = background.copy()
        if i >= start:
            draw_person(image, x=20 + 4 * (min(i, 118) - start), foot=200, colour=(30, 30, 200))
        yield np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("start", [70, 96])
def test_a_stretch_goes_on_with_the_people_of_the_last(start: int, tmp_path: Path) -> None:
    """A cut after frame 100, also where only five boxes lie before it."""
    video = write_video(tmp_path / "yard.mkv", _walk(0, 130, start=start))
    report = ingest_video(video, tmp_path / "out", config=CONFIG)
    (row,) = open_archive(tmp_path / "out")
    frames = [one.frame for one in moments(tmp_path / "out", row.name)]
    assert report.tracklets == 1
    assert frames == list(range(frames[0], 131)), "no frame is missing, none is there twice"
    assert frames[0] <= start + 5


def _live(folder: Path, out: Path, names: Iterable[str]) -> IngestReport:
    """The files of a camera, one after the other, as `live` gives them to the workers."""
    for name, start in ((FIRST, "0"), (SECOND, "10")):
        if name in names:
            ingest_video(
                folder / f"{name}.mkv",
                out / "recordings" / name,
                config=IngestConfig(detector="motion", camera="yard", start=start),
                recording=name,
                before=folder / f"{FIRST}.mkv" if name == SECOND else None,
                bridge=out / "recordings" / FIRST if name == SECOND else None,
                goes_on=name == FIRST,
                may_be_empty=True,
            )
    return merge(out, waiting={FIRST} if SECOND not in names else ())


@pytest.mark.parametrize("start", [70, 96])
def test_two_files_of_a_live_camera_give_one_tracklet(start: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_video(tmp_path / f"{FIRST}.mkv", _walk(0, 100, start=start))
    write_video(tmp_path / f"{SECOND}.mkv", _walk(100, 150, start=start))
    early = _live(tmp_path, out, [FIRST])
    assert (early.tracklets, early.crops) == (0, 0), "who may go on is withheld"
    assert not (out / "tracklets.parquet").exists()
    assert merge(out).tracklets == (start == 70), "without a next file it is shown, if long enough"
    report = _live(tmp_path, out, [FIRST, SECOND])
    table = open_archive(out)
    (row,) = table
    seen = moments(out, row.name)
    times = [one.time_s for one in seen if one.time_s is not None]
    assert report.tracklets == report.visible == 1
    assert report.crops == len(row.frames) == len(seen)
    assert np.allclose(np.diff(times), 0.1), "every frame once, over the cut"
    assert times[0] <= (start + 5) / 10
    assert (row.start_s, row.end_s) == (times[0], times[-1])
    assert times[-1] == pytest.approx(14.9)
    assert all(table.frame_path(frame).is_file() for frame in row.frames)
    assert {Path(one.source).stem for one in seen} == {FIRST, SECOND}
    assert _live(tmp_path, out, [FIRST, SECOND]) == report, "again: the same"


def test_a_thing_over_a_cut_stays_a_thing(tmp_path: Path) -> None:
    """Put down in the first file, still there in the second; also beside what an older version wrote."""
    out, rng = tmp_path / "out", np.random.default_rng(0)
    frames = []
    for i in range(150):
        image = wall()
        image[120:200, 140 : 165 if i > 60 else 140] = 235
        frames.append(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    write_video(tmp_path / f"{FIRST}.mkv", frames[:100])
    write_video(tmp_path / f"{SECOND}.mkv", frames[100:])
    report = _live(tmp_path, out, [FIRST, SECOND])
    (row,) = open_archive(out)
    assert len({frame.split("/")[1] for frame in row.frames}) == 2, "joined"
    assert (row.quality, report.unmoved, report.tracklets) == (0, 1, 1)
    assert pq.read_table(out / "quality.parquet")["moves"].to_pylist() == [0]
    old = out / "recordings" / FIRST / "quality.parquet"
    pq.write_table(pq.read_table(old).drop_columns(["moves"]), old)
    assert merge(out) == report


def test_a_damaged_background_is_one_message(tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(b"PK\x03\x04 half of it")
    with pytest.raises(DataError, match="is damaged"):
        read_state(tmp_path / STATE)


def _crop(time_s: float, x: float) -> Crop:
    return Crop(frame=0, x=x, y=0, width=10, height=20, score=1, time_s=time_s, chroma=0)


def test_a_file_is_ingested_though_the_one_before_it_is_damaged(tmp_path: Path) -> None:
    write_video(tmp_path / f"{FIRST}.mkv", _walk(0, 100, start=70))
    write_video(tmp_path / f"{SECOND}.mkv", _walk(100, 130, start=70))
    out, notes = tmp_path / "out", list[str]()
    _live(tmp_path, out, [FIRST])
    (out / "recordings" / FIRST / STATE).write_bytes(b"torn")
    report = ingest_video(
        tmp_path / f"{SECOND}.mkv",
        out / "recordings" / SECOND,
        config=IngestConfig(detector="motion", camera="yard", start="10"),
        recording=SECOND,
        before=tmp_path / f"{FIRST}.mkv",
        bridge=out / "recordings" / FIRST,
        note=notes.append,
    )
    assert report.tracklets == 1
    assert any("do not go on from the file before" in note and "damaged" in note for note in notes)


def test_each_piece_goes_on_as_one_tracklet_and_each_tracklet_once() -> None:
    known = {t: {"left": (0.0, 0.0, 10.0, 20.0), "right": (50.0, 0.0, 10.0, 20.0)} for t in (1.0, 1.1, 1.2)}
    bridge = Bridge(known)
    for time_s, x in ((1.0, 1.0), (1.1, 0.0), (1.2, 0.0)):
        bridge.see(7, _crop(time_s, x))
    bridge.see(8, _crop(1.2, 2.0))  # also on the left, but less often
    bridge.see(9, _crop(1.1, 49.0))
    bridge.see(10, _crop(3.0, 50.0))  # at another time
    bridge.see(11, _crop(1.0, 25.0))  # elsewhere
    assert bridge.names() == {7: "left", 9: "right"}
