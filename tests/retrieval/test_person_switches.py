"""Another person within a track: found by vectors, against hand-worked cases; threshold or calibration."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.retrieval.footage import walkers, write_mot, write_video
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.retrieval import person_switches as module
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.person_switches import agreement, switches_of


def _vectors(*people: tuple[int, int], noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """Windows of people: (person, number of windows), each person an axis of its own."""
    rng = np.random.default_rng(seed)
    rows = [np.eye(8)[person] + rng.normal(0, noise, 8) for person, length in people for _ in range(length)]
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (((0, 12),), []),
        (((0, 6), (1, 6)), [6]),
        (((0, 2), (1, 9)), [2]),
        (((0, 5), (1, 5), (0, 5)), [5, 10]),
        (((0, 4), (1, 4), (2, 4), (3, 4)), [4, 8, 12]),
        (((0, 6), (1, 1), (0, 6)), []),
        (((0, 3),), []),
        (((0, 1), (1, 1)), []),
    ],
)
def test_switches_are_found_where_they_are(people: tuple[tuple[int, int], ...], expected: list[int]) -> None:
    for seed in range(5):
        assert switches_of(_vectors(*people, seed=seed), limit=0.5) == expected


def test_agreement_is_the_cosine_of_the_sides_means() -> None:
    vectors = _vectors((0, 3), (1, 6))
    first, second = vectors[:3].mean(axis=0), vectors[3:7].mean(axis=0)
    expected = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert agreement(vectors, 3) == pytest.approx(expected, abs=1e-6)


class _Fitted:
    slope, offset = 10.0, -4.0


class _Calibration:
    kinds = {"vis-vis": _Fitted()}  # noqa: RUF012

    def kind(self, name: str) -> _Fitted:
        return self.kinds[name]


class _Model:
    calibration: Any = _Calibration()


def test_the_threshold_is_given_or_the_calibrations() -> None:
    assert module._limit(_Model(), Modality.VISIBLE, 0.7) == 0.7  # type: ignore[arg-type]
    assert module._limit(_Model(), Modality.VISIBLE, None) == pytest.approx(0.1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no calibration of ir-ir pairs.*--switch_score"):
        module._limit(_Model(), Modality.INFRARED, None)  # type: ignore[arg-type]


def test_an_ingest_splits_where_the_person_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that follows the red figure, then the green one; the model's place is taken by mean colours."""
    video = write_video(tmp_path / "walk.mp4", walkers(160))
    red = [(f, 1, 20 + 4 * min(f - 11, 35), 101, 34, 100) for f in range(16, 76)]
    green = [(f + 1, 1, 5 * (f - 100), 111, 34, 100) for f in range(100, 160)]
    tracks = write_mot(tmp_path / "mot.txt", red + green)

    def embedded(model: Any, table: Any) -> np.ndarray:
        import cv2

        pictures = [[cv2.imread(str(table.frame_path(frame))) for frame in row.frames] for row in table]
        means = np.array([np.mean([p.mean(axis=(0, 1)) for p in one], axis=0) for one in pictures]) - 110
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    class Loaded(_Model):
        class checkpoint:  # noqa: N801
            class preprocessing:  # noqa: N801
                frames = 6

    monkeypatch.setattr(module, "load_checkpoint", lambda *args: Loaded())
    monkeypatch.setattr(module, "_embedded", embedded)
    monkeypatch.setattr(
        "xreid.inference.checkpoint.describe_checkpoint", lambda folder: (folder, None, "hash")
    )
    config = IngestConfig(tracks=tracks, checkpoint=tmp_path / "run", switch_score=0.5)
    report = ingest_video(video, tmp_path / "out", config=config)
    table = open_archive(tmp_path / "out")
    assert (report.tracklets, report.person_switches) == (2, 1)
    assert [row.name for row in table] == ["walk-0001", "walk-0002"]
    assert abs(len(table[0].frames) - 60) <= 6, "within a window"
    assert table[1].frames[-1] == "frames/walk-0002/000160.jpg"
    whole = ingest_video(video, tmp_path / "whole", config=IngestConfig(tracks=tracks))
    assert (whole.tracklets, whole.person_switches) == (1, 0)
