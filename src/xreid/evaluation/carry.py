"""How well a stored threshold carries: the rates it was set for, and those it reaches on other data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xreid.evaluation.calibration import Calibration
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import Floats, Ints
from xreid.evaluation.pair_means import estimate_of, pair_means
from xreid.evaluation.pairs import PairScores, Reals


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A threshold on other data than it was set on.

    Attributes:
        kind: Kind of pairs.
        threshold: Cosine; pairs strictly above it are accepted.
        target_far: The false-accept rate it was set for.
        far: The one it has here.
        tar_there: Share of the pairs of one person it accepted where it was set.
        tar: The share it accepts here.
        positives: Pairs of one person here.
        negatives: Pairs of two people here.
    """

    kind: str
    threshold: float
    target_far: float
    far: Estimate
    tar_there: float
    tar: Estimate
    positives: int
    negatives: int

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def carried(pairs: PairScores, calibration: Calibration, *, bootstrap: Bootstrap) -> tuple[Carried, ...]:
    """What each stored threshold does on these pairs; without the kinds that have none or do not occur."""
    rows = []
    for kind in pairs.kinds:
        stored = calibration.kinds.get(kind)
        chosen = pairs.of_kind(kind)
        positives, negatives = int((chosen & pairs.positive).sum()), int((chosen & pairs.negative).sum())
        if stored is None or stored.threshold.score is None or not positives or not negatives:
            continue
        cut = stored.threshold.score

        def above(scores: Reals, same: bool, cut: float = cut) -> tuple[Ints, Floats]:
            return np.zeros(len(scores), dtype=np.int64), (scores > cut)[None].astype(np.float64)

        means = pair_means(pairs, lambda block: block.scores, above, bootstrap=bootstrap, chosen=kind)
        rows.append(
            Carried(
                kind=kind,
                threshold=cut,
                target_far=stored.threshold.far,
                far=estimate_of(means.negative[:, 0, 0], bootstrap),
                tar_there=stored.threshold.tar or 0.0,
                tar=estimate_of(means.positive[:, 0, 0], bootstrap),
                positives=positives,
                negatives=negatives,
            )
        )
    return tuple(rows)
