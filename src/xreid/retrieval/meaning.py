"""What a score of a search means: a probability at a stated prior, and known or unknown at a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, probability
from xreid.evaluation.pairs import KINDS, kind_of
from xreid.retrieval.engine import Nearest, Vectors
from xreid.retrieval.gallery import Gallery

Order = Literal["cosine", "calibrated"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the calibration says of one hit.

    Attributes:
        probability: That both tracklets show one person, at the prior; None where the calibration does not
            cover this kind of pair.
        accepted: Whether the score is above the stored threshold; None where there is none.
    """

    probability: float | None
    accepted: bool | None


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A calibration, applied to searches.

    Attributes:
        calibration: Of the gallery's model.
        prior: Probability that a tracklet shows the query's person before the two are compared; None for one
            such tracklet among those searched.
        order: Hits by cosine, or by calibrated log-likelihood ratio, which compares scores within a modality
            with scores across.
    """

    calibration: Calibration
    prior: float | None = None
    order: Order = "cosine"

    def prior_of(self, searched: int) -> float:
        """The prior of a search among that many tracklets."""
        return min(0.5, 1 / max(1, searched)) if self.prior is None else self.prior

    def verdict(self, score: float, pair: tuple[Modality, Modality], *, searched: int) -> Verdict:
        """What this score of this pair of modalities means."""
        kind = self.calibration.kinds.get(kind_of(*pair))
        if kind is None:
            return Verdict(probability=None, accepted=None)
        llr = kind.llr(score, method=self.calibration.method)
        cut = kind.threshold.score
        return Verdict(
            probability=float(probability(llr, prior=self.prior_of(searched))),
            accepted=None if cut is None else score > cut,
        )

    def note(self) -> str:
        """What a reader must know beside the answers."""
        made = self.calibration
        cut = [kind.threshold for kind in made.kinds.values() if kind.threshold.score is not None]
        rates = sorted({f"{100 * threshold.far:g}%" for threshold in cut})
        unknown = (
            f"“Unknown” stands below the threshold that {' or '.join(rates)} of the pairs of strangers pass: "
            "the more tracklets are searched, the more strangers pass it."
            if rates
            else "It holds no threshold (too few people), so no answer is called unknown."
        )
        lacking = [name for name in KINDS if name not in made.kinds]
        without = f" It does not cover {' and '.join(lacking)} pairs: no probability stands there."
        return (
            "The score is the cosine between two embeddings. The probability that both tracklets show one "
            f"person comes from it by a calibration on {len(made.identities):,} people of {made.source}, at "
            "the prior named beside it; it holds for people and cameras like those, and is no proof."
            f"{without if lacking else ''} {unknown}"
        )


def _columns(mask: npt.NDArray[np.bool_], start: int, stop: int) -> npt.NDArray[np.bool_]:
    return mask[:, start:stop]


def nearest_by_ratio(
    gallery: Gallery,
    meaning: Meaning,
    vectors: Vectors,
    modalities: Sequence[Modality],
    *,
    k: int,
    allowed: npt.NDArray[np.bool_],
) -> list[Nearest]:
    """The k allowed rows of greatest log-likelihood ratio for each query, with their cosines.

    Within a modality that is the order of the cosines, so the first k of each are enough. The logistic fit
    ranks (the isotonic one is constant beyond its ends).

    Raises:
        ProtocolError: The calibration does not cover a kind of pairs.
    """
    found: list[list[tuple[float, int, float]]] = [[] for _ in modalities]
    for answering in Modality:
        fits = gallery.columns.infrared == (answering is Modality.INFRARED)
        may = allowed & fits
        if not may.any():
            continue
        nearest = gallery.engine.top(vectors, k=k, allowed=partial(_columns, may))
        for pool, asking, best in zip(found, modalities, nearest, strict=True):
            kind = meaning.calibration.kind(kind_of(asking, answering))
            ratios = kind.llr(best.scores, method="logistic")
            pool += [
                (-float(r), int(row), float(s))
                for r, row, s in zip(ratios, best.rows, best.scores, strict=True)
            ]
    chosen = [sorted(pool)[:k] for pool in found]
    return [
        Nearest(
            rows=np.array([row for _, row, _ in pool], dtype=np.int64),
            scores=np.array([score for _, _, score in pool], dtype=np.float32),
        )
        for pool in chosen
    ]
