"""What a score of a search means: a probability at a stated prior, and known or unknown at a threshold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, probability
from xreid.evaluation.pairs import KINDS, kind_of
from xreid.retrieval.columns import Filter
from xreid.retrieval.engine import Vectors
from xreid.retrieval.gallery import Found, Gallery

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


def nearest_by_ratio(
    gallery: Gallery,
    meaning: Meaning,
    vectors: Vectors,
    modalities: Sequence[Modality],
    *,
    k: int,
    rules: Sequence[Filter],
    exclude: Sequence[Collection[str]],
) -> list[list[Found]]:
    """The k tracklets of greatest log-likelihood ratio for each query, with their cosines; ties by id.

    Within a modality that is the order of the cosines, so the first k of each are enough. The logistic fit
    ranks (the isotonic one is constant beyond its ends).

    Raises:
        ProtocolError: The calibration does not cover a kind of pairs.
    """
    pools: list[list[tuple[float, str, Found]]] = [[] for _ in modalities]
    for answering in Modality:
        asked = [i for i, rule in enumerate(rules) if rule.modality in (None, answering)]
        if not asked:
            continue
        only = [replace(rules[i], modality=answering) for i in asked]
        best = gallery.nearest(vectors[asked], k=k, rules=only, exclude=[exclude[i] for i in asked])
        for i, found in zip(asked, best, strict=True):
            if found:
                kind = meaning.calibration.kind(kind_of(modalities[i], answering))
                scores = np.array([one.score for one in found])
                ratios = kind.llr(scores, method="logistic")
                pools[i] += [(-float(r), one.entry.id, one) for r, one in zip(ratios, found, strict=True)]
    return [[one for _, _, one in sorted(pool, key=lambda line: line[:2])[:k]] for pool in pools]
