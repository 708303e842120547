"""Cuts for several examples: the stated rate holds on other people, and more of one person's are found."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from tests.evaluation.problems import people
from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, SeveralCut
from xreid.evaluation.calibration_fit import fit_calibration
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.protocols import HITSZ_VCM
from xreid.evaluation.several import SIZES, fit_several, several, threshold_at


@cache
def fitted(seed: int, *, size: int = 60) -> tuple[EmbeddingSet, Calibration]:
    embeddings = people(size, cameras=4, noise=1.5, seed=seed)
    return embeddings, fit_calibration(embeddings, HITSZ_VCM, far=0.01)[0]


def watch(
    embeddings: EmbeddingSet, calibration: Calibration, *, examples: int, far: float, lower: float
) -> tuple[float, float]:
    """A loop over people: shares of strangers and of their own other tracklets above the cut."""
    rows, strangers, own = embeddings.table.rows, [], []
    for person in embeddings.table.identities():
        mine = [i for i, row in enumerate(rows) if row.identity == person][:examples]
        for j in set(range(len(rows))) - set(mine):
            margin = 0.0
            for i in mine:
                kind = calibration.kinds[kind_of(rows[i].modality, rows[j].modality)]
                cosine = float(embeddings.vectors[i] @ embeddings.vectors[j])
                margin += kind.slope * (cosine - threshold_at(kind, far)) / len(mine)
            (own if rows[j].identity == person else strangers).append(margin > lower)
    return float(np.mean(strangers)), float(np.mean(own))


@pytest.mark.parametrize("far", [0.1, 0.01])
def test_the_stated_rate_holds_on_other_people_and_more_is_found(far: float) -> None:
    _, calibration = fitted(0)
    other, _ = fitted(1)
    cut = several(calibration, 3, far)
    assert cut < 0
    before, missed = watch(other, calibration, examples=3, far=far, lower=0.0)
    rate, found = watch(other, calibration, examples=3, far=far, lower=cut)
    assert before < far / 2, "the mean of the thresholds cuts too high"
    assert far / 2 < rate < far * 2
    assert found > missed + 0.02


def test_more_examples_cut_lower_and_one_where_it_did() -> None:
    _, calibration = fitted(0)
    cuts = [several(calibration, n, 0.01) for n in range(1, 10)]
    assert cuts[0] == 0
    assert all(later < earlier for earlier, later in pairwise(cuts[:8]))
    assert cuts[8] == cuts[7] == several(calibration, 99, 0.01), "more than measured counts as the most"


def test_between_what_was_measured_by_hand() -> None:
    cuts = ((2, 0.1, -1.0), (4, 0.1, -2.0), (2, 0.001, -3.0), (4, 0.001, -6.0))
    known = tuple(SeveralCut(examples=n, far=far, margin=margin) for n, far, margin in cuts)
    calibration = replace(fitted(0, size=20)[1], several=known)
    third = (1 / 3 - 1 / 4) / (1 / 2 - 1 / 4)  # 1/3 lies at a third of the way from 1/4 to 1/2
    assert several(calibration, 3, 0.1) == pytest.approx(-2.0 + third)
    assert several(calibration, 2, 0.01) == pytest.approx(-2.0)  # 0.01 lies midway between 0.1 and 0.001
    assert several(calibration, 2, 1e-6) == -3.0
    assert several(replace(calibration, several=()), 4, 0.01) == 0.0


def test_too_few_people_or_tracklets_say_nothing() -> None:
    embeddings, calibration = fitted(0)
    few = [i for i, row in enumerate(embeddings.table) if row.identity in embeddings.table.identities()[:9]]
    assert fit_several(embeddings.take(few), calibration.kinds) == ()
    assert {cut.examples for cut in calibration.several} == {n for n in SIZES if n <= 8}  # 4 cameras, twice
    assert {cut.far for cut in calibration.several} == {0.1, 0.01}


def test_kinds_that_are_missing_are_left_out() -> None:
    embeddings, calibration = fitted(0)
    kinds = {name: kind for name, kind in calibration.kinds.items() if name != "ir-ir"}
    found = fit_several(embeddings, kinds)
    assert found != calibration.several
    assert all(math.isfinite(cut.margin) for cut in found)
    visible = [i for i, row in enumerate(embeddings.table) if row.modality is Modality.VISIBLE]
    alone = fit_several(embeddings.take(visible), {"vis-vis": kinds["vis-vis"]})
    assert {cut.examples for cut in alone} == {2, 3, 4}
