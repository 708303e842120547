"""Thresholds for several examples of one person.

The mean over several examples spreads less among strangers than the score of a single pair. A cut at the mean
of the pairs' own thresholds therefore accepts far fewer strangers than was stated, and misses people for it
(measured: docs/search.md). So it is measured, on the people of the calibration, how far below that mean the
cut belongs. Units: log-likelihood ratios of the logistic fit, called margins:

    margin of a pair = slope * (cosine - threshold)        slope and threshold of its kind
    accepted         = mean margin over the examples > several(examples, far) <= 0
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, KindCalibration, SeveralCut
from xreid.evaluation.pairs import KINDS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

SIZES = (2, 3, 4, 6, 8, 12)
FEWEST_PEOPLE = 10  # with so many tracklets, or nothing is said about that number of examples
_DRAWS, _MOST = 20, 20_000_000  # a person's draws of examples; values of one number of examples


def known_cuts(kind: KindCalibration) -> dict[float, float]:
    """False-accept rate -> cosine, of all rates that a calibration knows."""
    known = {0.1: kind.stranger_cuts[0], 0.01: kind.stranger_cuts[1]}
    if kind.threshold.score is not None:
        known[kind.threshold.far] = kind.threshold.score
    return known


def threshold_at(kind: KindCalibration, far: float) -> float:
    """The cosine that a share `far` of the pairs of strangers exceeds, interpolated over its logarithm.

    Raises:
        ConfigError: The rate is outside of what was measured.
    """
    known = known_cuts(kind)
    rates = sorted(known)
    if not rates[0] <= far <= rates[-1]:
        raise ConfigError(
            "the calibration says nothing about that false-alarm rate",
            expected=f"{rates[0]:g} to {rates[-1]:g} per tracklet",
            got=f"{far:g}",
            todo="Calibrate on more people (`xreid calibrate --far`), or name a least score.",
        )
    return _over_log(far, known)


def several(calibration: Calibration, examples: int, far: float) -> float:
    """The least mean margin at which that many examples accept; 0 for one, or where nothing was measured.

    Between numbers of examples and rates that were measured: interpolated, over 1 / examples and log far.
    More examples than measured count as the most that were; rates outside as the nearest inside.
    """
    by_rate: dict[float, dict[int, float]] = {}
    for cut in calibration.several:
        by_rate.setdefault(cut.far, {1: 0.0})[cut.examples] = cut.margin
    if not by_rate or examples < 2:
        return 0.0
    return _over_log(far, {rate: _over_inverse(examples, cuts) for rate, cuts in by_rate.items()})


def fit_several(embeddings: EmbeddingSet, kinds: Mapping[str, KindCalibration]) -> tuple[SeveralCut, ...]:
    """Measure the cuts on the people of a calibration, at the rates that all of its kinds know.

    Examples are drawn from a person's tracklets; strangers are all tracklets of others. The draws are the
    same whenever the tracklets are.

    Args:
        embeddings: float32 [N, D] of unit length, with identities.
        kinds: The fitted kinds of pairs; pairs of other kinds are left out.
    """
    rates = sorted(set.intersection(*(set(known_cuts(kind)) for kind in kinds.values())))
    infrared = np.array([row.modality is Modality.INFRARED for row in embeddings.table])
    found = []
    for size in SIZES:
        drawn = list(_drawn(embeddings, size))
        for far in rates if drawn else ():
            lines = _lines(kinds, far)
            values = [_strangers(embeddings, infrared, mine, others, lines) for mine, others in drawn]
            margins = np.concatenate(values)
            if len(margins) * far >= 1:
                cut = min(0.0, float(np.quantile(margins, 1 - far)))
                found.append(SeveralCut(examples=size, far=far, margin=cut))
    return tuple(found)


def _drawn(embeddings: EmbeddingSet, size: int) -> Iterator[tuple[Ints, Ints]]:
    """Examples of one person and all tracklets of others, as rows; none where too few people have so many."""
    who = np.array([row.identity or "" for row in embeddings.table])
    people = [np.flatnonzero(who == name) for name in embeddings.table.identities()]
    able = [mine for mine in people if len(mine) >= size]
    if len(able) < FEWEST_PEOPLE:
        return
    rng = np.random.default_rng(size)
    draws = max(1, min(_DRAWS, _MOST // (len(able) * len(who))))
    for mine in able:
        others = np.flatnonzero(who != who[mine[0]])
        for _ in range(min(draws, math.comb(len(mine), size))):
            yield rng.choice(mine, size, replace=False), others


def _lines(kinds: Mapping[str, KindCalibration], far: float) -> Floats:
    """float64 [3, 2]: slope and threshold by the infrared tracklets in a pair; NaN: not calibrated."""
    found = np.full((len(KINDS), 2), np.nan)
    for name, kind in kinds.items():
        found[KINDS.index(name)] = kind.slope, threshold_at(kind, far)
    return found


def _strangers(
    embeddings: EmbeddingSet, infrared: npt.NDArray[np.bool_], mine: Ints, others: Ints, lines: Floats
) -> Floats:
    """Mean margins of the examples with each stranger's tracklet; without those that are not calibrated."""
    cosines = embeddings.vectors[mine] @ embeddings.vectors[others].T
    slopes, thresholds = np.moveaxis(lines[infrared[mine][:, None].astype(int) + infrared[others]], -1, 0)
    means = (slopes * (cosines - thresholds)).mean(axis=0)
    return np.asarray(means[~np.isnan(means)], dtype=np.float64)


def _over_log(far: float, values: Mapping[float, float]) -> float:
    rates = sorted(values)
    return float(np.interp(math.log(far), [math.log(r) for r in rates], [values[r] for r in rates]))


def _over_inverse(examples: int, cuts: Mapping[int, float]) -> float:
    sizes = sorted(cuts, reverse=True)
    return float(np.interp(1 / examples, [1 / size for size in sizes], [cuts[size] for size in sizes]))
