"""Real footage: what comes out is a regression record, looked at once by eye (docs/footage.md)."""

from pathlib import Path

import numpy as np
import pytest

from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.retrieval.frames import Anchor, open_frames
from xreid.retrieval.image_folder import FolderFrames, read_image
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.spectrum import CHROMA_LIMIT, chroma

pytestmark = pytest.mark.real


def test_night_pairs_infrared_boxes_serve_both_spectra(real_footage: Path, tmp_path: Path) -> None:
    pairs = real_footage / "street-night-pairs"
    report = ingest_video(pairs / "infrared", tmp_path / "ir", config=IngestConfig(stills=True))
    assert report.frames == 32
    assert 90 <= report.tracklets <= 130
    assert report.visible == 0, "three equal channels are infrared"
    config = IngestConfig(stills=True, tracks=tmp_path / "ir" / "tracks.txt")
    other = ingest_video(pairs / "visible", tmp_path / "vis", config=config)
    assert other.tracklets == other.visible == report.tracklets


def test_colour_tells_the_spectra_apart_by_a_wide_margin(real_footage: Path) -> None:
    pairs = real_footage / "street-night-pairs"
    for name, infrared in (("infrared", True), ("visible", False)):
        images = [read_image(file) for file in FolderFrames(pairs / name).files]
        values = [chroma(image) for image in images if image is not None]
        assert len(values) == 32
        assert max(values) < CHROMA_LIMIT / 2 if infrared else min(values) > 5 * CHROMA_LIMIT


@pytest.mark.parametrize(("name", "frames"), [("office-visible.mp4", 1394), ("campus-visible.avi", 795)])
def test_both_videos_decode_whole(name: str, frames: int, real_footage: Path) -> None:
    reading = open_frames(real_footage / name).read(Anchor(), count=10_000, warmup_s=0)
    count = 0
    for frame in reading:
        count += 1
        assert frame.time_s == pytest.approx((count - 1) / 10, abs=0.06)
    assert (count, reading.damaged, reading.concealed) == (frames, 0, 0)


@pytest.mark.slow
def test_office_gives_one_tracklet_for_each_of_six_people(real_footage: Path, tmp_path: Path) -> None:
    report = ingest_video(real_footage / "office-visible.mp4", tmp_path / "out")
    assert report.frames == 1394
    assert report.tracklets == report.visible == 6
    table = open_archive(tmp_path / "out")
    times = np.array([(row.start_s, row.end_s) for row in table])
    assert (times[1:, 0] > times[:-1, 1]).all(), "one after the other"
    assert all(row.modality is Modality.VISIBLE for row in table)
    assert min(len(row.frames) for row in table) > 100


@pytest.mark.slow
def test_campus_gives_many_short_tracklets(real_footage: Path, tmp_path: Path) -> None:
    report = ingest_video(real_footage / "campus-visible.avi", tmp_path / "out")
    assert 40 <= report.tracklets <= 70
    assert report.crops > 3400
