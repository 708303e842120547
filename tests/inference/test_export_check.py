"""The check counts what moved, and refuses it, on cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import IR, VIS, embedding_set, people, row
from xreid.core.errors import CheckpointError
from xreid.inference.export_check import Tolerance, compare_sets

LOOSE = Tolerance(points=100, cosine=-1)


def test_nothing_moved() -> None:
    embeddings = people()
    found = compare_sets(embeddings, embeddings, tolerance=Tolerance(points=0, cosine=0.9999))
    assert found.least_cosine == pytest.approx(1)
    assert found.failures == []
    found.require()
    assert [(d.gained, d.lost, d.moved, d.change) for d in found.directions] == [(0, 0, 0, 0)] * 2


def test_a_lost_query_by_hand() -> None:
    """Two people on a circle, angles in degrees; the export moves b's visible tracklet past a's."""
    rows = [
        row("a-ir", "a", "D1", IR),
        row("a-vis", "a", "D2", VIS),
        row("b-ir", "b", "D1", IR),
        row("b-vis", "b", "D2", VIS),
    ]

    def at(*degrees: float) -> np.ndarray:
        return np.array([[np.cos(d), np.sin(d)] for d in np.radians(degrees)])

    before = embedding_set(rows, at(0, 10, 90, 80))
    after = embedding_set(rows, at(0, 10, 90, 5))
    found = compare_sets(before, after, tolerance=Tolerance(points=10, cosine=0.9))
    i2v, v2i = found.directions
    # a-ir finds b-vis (5 degrees) before a-vis (10); b-ir still has a-vis (80) before b-vis (85)
    assert (i2v.rank1, i2v.gained, i2v.lost) == ((1.0, 0.0), 0, 2)
    assert i2v.mean_average_precision == (1.0, 0.5)
    assert i2v.moved == 1.0
    assert (v2i.rank1, v2i.gained, v2i.lost) == ((1.0, 0.5), 0, 1)
    assert found.least_cosine == pytest.approx(np.cos(np.radians(75)), abs=1e-6)
    assert found.failures == [
        "the least cosine is 0.25882",
        "I2V moved by 100.00 points",
        "V2I moved by 50.00 points",
    ]
    with pytest.raises(CheckpointError, match="I2V moved by 100.00 points.*Nothing was kept"):
        found.require()
    assert "Rank-1 100.00 -> 0.00" in found.text()


def test_gains_count_as_much_as_losses() -> None:
    noisy = people(noise=2.0)
    clean = replace(people(noise=0.0), table=noisy.table)
    found = compare_sets(noisy, clean, tolerance=replace(LOOSE, points=1))
    assert sum(d.gained for d in found.directions) > 0
    assert any("moved by" in failure for failure in found.failures)


def test_exactly_the_tolerance_is_allowed() -> None:
    """24 of 100 after 25 of 100 is 1.0000000000000009 points in floating-point numbers."""
    embeddings = people()
    found = compare_sets(embeddings, embeddings, tolerance=Tolerance(points=1, cosine=0))
    moved = replace(found.directions[0], rank1=(0.25, 0.24))
    assert moved.change > 1
    assert replace(found, directions=(moved,)).failures == []
    further = replace(moved, rank1=(0.25, 0.239))
    assert replace(found, directions=(further,)).failures == ["I2V moved by 1.10 points"]


def test_not_a_number_is_refused() -> None:
    embeddings = people()
    found = compare_sets(embeddings, embeddings, tolerance=LOOSE)
    assert replace(found, least_cosine=float("nan")).failures
