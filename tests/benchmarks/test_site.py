"""The counting of benchmarks/site.py, by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.site import Cut, Filmed, minus, modality_scores, purity, same_questions, with_identities
from xreid.core.tracklets import Modality, Tracklet
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.tracking import Owner

BOX = (0.0, 0.0, 20.0, 50.0)
VIDEO = Filmed(
    name="v",
    path=Path("v.mp4"),
    tracks=Path("v.txt"),
    facts={
        "tracks": [
            {"track": 1, "person": "p1", "frames": 20},
            {"track": 2, "person": "p2", "frames": 20},
            {"track": 3, "person": "p3", "frames": 5},
        ],
        "segments": [
            {"first_frame": 1, "last_frame": 10, "modality": "vis"},
            {"first_frame": 11, "last_frame": 20, "modality": "ir"},
        ],
    },
)


def cut(name: str, frames: range, modality: Modality, owner: Owner | None) -> Cut:
    row = Tracklet(name=name, frames=("a.jpg",), modality=modality)
    return Cut(row=row, video="v", boxes=dict.fromkeys(frames, BOX), owner=owner)


CUTS = [
    cut("a", range(1, 11), Modality.VISIBLE, Owner(track=1, share=1.0)),
    cut("b", range(9, 21), Modality.INFRARED, Owner(track=1, share=0.75)),
    cut("c", range(1, 5), Modality.INFRARED, Owner(track=2, share=0.4)),
    cut("d", range(11, 21), Modality.INFRARED, None),
]


def test_whose_and_how_pure() -> None:
    assert purity(CUTS, [VIDEO]) == {
        "tracklets": 4,
        "true_tracks": 2,  # the third is too short to be kept
        "true_tracks_with_a_tracklet": 1,
        "strangers": 2,
        "pure_at_90_percent": 1,
    }
    table = with_identities(Path(), CUTS, [VIDEO])
    assert [row.identity for row in table] == ["p1", "p1", "stranger-c", "stranger-d"]


def test_modality_by_tracklet_and_by_crop() -> None:
    assert modality_scores(CUTS, [VIDEO]) == {
        "tracklets": 4,
        "tracklets_right": 3,  # c is called infrared in visible frames
        "tracklets_over_a_switch": 1,
        "crops": 36,
        "crops_right": 30,
    }


def test_a_question_without_a_tracklet_has_failed() -> None:
    good = np.ones(len(METRICS))
    result: Any = SimpleNamespace(query_names=("b", "d"), per_query=np.stack([good, good]))
    found = same_questions(result, CUTS, {("v", 1): "p1", ("v", 2): "p2"})
    assert found["without_tracklet"] == 1
    for name in ("Rank-1", "mAP"):
        assert found[name] == {"value": 0.5, "low": 0.0, "high": 1.0}, "either of two people may be drawn"
    assert found["by_question"] == {"v 1": [1.0, 1.0], "v 2": [0.0, 0.0]}


def test_what_changed_is_paired_by_question() -> None:
    people = [f"p{i}" for i in range(20)]
    ours = {"people": people, "by_question": {p: [0.5 + i / 100, 0.7] for i, p in enumerate(people)}}
    theirs = {"people": people, "by_question": {p: [i / 100, 0.8] for i, p in enumerate(people)}}
    found = minus(ours, theirs)
    assert found["Rank-1"] == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5}), "each by as much"
    assert found["mAP"] == pytest.approx({"value": -0.1, "low": -0.1, "high": -0.1})
    with pytest.raises(SystemExit, match="another site"):
        minus(ours, {"people": ["p0"], "by_question": {"p0": [0.0, 0.0]}})
