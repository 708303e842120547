"""What a score of a search means: a probability at a stated prior, and known or unknown at a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from xreid.core.errors import ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, probability
from xreid.evaluation.pairs import KINDS, kind_of
from xreid.evaluation.several import several
from xreid.evaluation.site_check import SiteCheck
from xreid.retrieval.camera_graph import Transition, log_factor
from xreid.retrieval.evidence import Floats, margins_of, ratios_of

Order = Literal["cosine", "calibrated"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the calibration says of one hit.

    Attributes:
        probability: That it shows the query's person, by looks alone, at the prior; None where the
            calibration does not cover this kind of pair.
        accepted: Whether the score is above the stored threshold; None where there is none.
        ratio: Log-likelihood ratio of the looks (natural logarithm); None as for `probability`.
        combined: The probability with space and time taken in; that of the looks where nothing was judged.
        across: How much of the ratio comes from the pair being one across visible and infrared: the ratio,
            less what the same cosines mean within the hit's modality. 0 where no example is of the other one;
            None where the calibration does not cover pairs within it.
        strangers: What share of the place's own strangers are at least as alike (by the example that
            most of them are as alike to; 0.5: half or more); None where none were found.
    """

    probability: float | None
    accepted: bool | None
    strangers: float | None = None
    ratio: float | None = None
    combined: float | None = None
    across: float | None = None


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A calibration, applied to searches.

    Attributes:
        calibration: Of the gallery's model.
        prior: Probability that a tracklet shows the query's person before the two are compared; None for one
            such tracklet among those searched.
        order: Hits by cosine, or by calibrated log-likelihood ratio, which compares scores within a modality
            with scores across; a search keeps to cosine where that does not hold (`ordered`).
        named: Whether it was named, and is not what the gallery's embeddings carry.
        check: What the place's own strangers say of it; where it breaks there, no probability is given.
    """

    calibration: Calibration
    check: SiteCheck | None = None
    prior: float | None = None
    order: Order = "cosine"
    named: bool = False

    def prior_of(self, searched: int) -> float:
        """The prior of a search among that many tracklets."""
        return min(0.5, 1 / max(1, searched)) if self.prior is None else self.prior

    def verdicts(
        self,
        cosines: Floats,
        asking: Sequence[Modality],
        answering: Sequence[Modality],
        *,
        searched: int,
        transitions: Sequence[Transition | None] = (),
    ) -> list[Verdict]:
        """What the cosines between the examples of a query and its hits mean.

        Args:
            cosines: float64 [M, N].
            asking: Modalities of the M examples; their log-likelihood ratios are averaged.
            answering: Modalities of the N hits.
            searched: Tracklets that were searched.
            transitions: What space and time say of each hit; empty where nobody judged.
        """
        ratios = ratios_of(self.calibration, cosines, asking, answering).mean(axis=0)
        margins = margins_of(self.calibration, cosines, asking, answering).mean(axis=0)
        margins -= self._several(len(asking))
        across = ratios - self._within(cosines, answering)
        ratios[self.doubted(asking, answering)] = np.nan
        alike = self._strangers(cosines, asking, answering)
        judged = transitions or [None] * len(answering)
        prior = self.prior_of(searched)
        return [
            self._verdict(float(ratio), float(margin), float(gain), float(share), transition, prior=prior)
            for ratio, margin, gain, share, transition in zip(
                ratios, margins, across, alike, judged, strict=True
            )
        ]

    def doubted(self, asking: Sequence[Modality], answering: Sequence[Modality]) -> list[bool]:
        """Which hits get no probability, because the calibration breaks here for a kind of their pairs."""
        doubted = frozenset() if self.check is None else self.check.doubted
        return [any(kind_of(one, hit) in doubted for one in set(asking)) for hit in answering]

    def ordered(self, asking: Sequence[Modality], answering: Sequence[Modality]) -> Meaning:
        """The same, by cosine where the calibrated order would compare by what does not hold here.

        Args:
            asking: Modalities of what is searched with.
            answering: Modalities that may be found.
        """
        trusted = self.order == "cosine" or not any(self.doubted(asking, answering))
        return self if trusted else replace(self, order="cosine")

    def _strangers(
        self, cosines: Floats, asking: Sequence[Modality], answering: Sequence[Modality]
    ) -> Floats:
        """float64 [N]: the share of strangers at least so alike, of the example where it is highest."""
        found = np.full(cosines.shape, np.nan)
        for a in set(asking) if self.check is not None else ():
            for b in set(answering):
                kind = self.check.kinds.get(kind_of(a, b)) if self.check is not None else None
                where = np.ix_([m is a for m in asking], [m is b for m in answering])
                if kind is not None:
                    found[where] = kind.share_above(cosines[where])
        return np.asarray(found.max(axis=0))

    def _several(self, examples: int) -> float:
        """How far below the mean of the stored thresholds so many examples accept."""
        rates = {kind.threshold.far for kind in self.calibration.kinds.values()}
        return max(several(self.calibration, examples, far) for far in rates)

    def _within(self, cosines: Floats, answering: Sequence[Modality]) -> Floats:
        """float64 [N]: the mean ratios, had all examples been of each hit's own modality; NaN: unknown."""
        found = np.full(len(answering), np.nan)
        for one in set(answering):
            which = [i for i, modality in enumerate(answering) if modality is one]
            some = cosines[:, which]
            ratios = ratios_of(self.calibration, some, [one] * len(some), [one] * len(which))
            found[which] = ratios.mean(axis=0)
        return found

    def _verdict(
        self,
        ratio: float,
        margin: float,
        across: float,
        alike: float,
        transition: Transition | None,
        *,
        prior: float,
    ) -> Verdict:
        accepted = None if math.isnan(margin) else margin > 0
        strangers = None if math.isnan(alike) else alike
        if math.isnan(ratio):
            return Verdict(probability=None, accepted=accepted, strangers=strangers)
        return Verdict(
            probability=float(probability(ratio, prior=prior)),
            accepted=accepted,
            strangers=strangers,
            ratio=ratio,
            combined=float(probability(ratio + log_factor(transition), prior=prior)),
            across=None if math.isnan(across) else across,
        )

    def lines(self, asking: Sequence[Modality], answering: Modality) -> tuple[Floats, Floats]:
        """Slope and offset of the logistic fit for each example, float64 [M] each.

        The logistic fit ranks (the isotonic one is constant beyond its ends).

        Raises:
            ProtocolError: The calibration does not cover a kind of pairs.
        """
        kinds = [self.calibration.kind(kind_of(one, answering)) for one in asking]
        return np.array([kind.slope for kind in kinds]), np.array([kind.offset for kind in kinds])

    def require_groups(self) -> Calibration:
        """The calibration, for grouping tracklets into persons.

        Raises:
            ProtocolError: It breaks here.
        """
        if self.check is not None and self.check.broken:
            raise ProtocolError(
                "tracklets cannot be grouped into persons: the calibration does not hold here",
                got=f"too many strangers pass it among {' and '.join(self.check.broken)} pairs",
                todo="Calibrate on people of these cameras; see `xreid gallery strangers`.",
            )
        return self.calibration

    def holds(self) -> bool | None:
        """Whether the stated rates hold here for all kinds of pairs; None: unknown of one or more."""
        if self.check is None:
            return None
        return False if self.check.broken else True if set(self.held) >= set(self.calibration.kinds) else None

    @property
    def held(self) -> tuple[str, ...]:
        """The kinds of pairs whose rates were seen to hold here."""
        kinds = {} if self.check is None else self.check.kinds
        return tuple(name for name, kind in kinds.items() if kind.word == "holds")

    def here(self) -> str:
        """What the check at this place says, in a sentence or two."""
        check = self.check
        if check is None:
            how = "gallery strangers --calibration" if self.named else "gallery strangers"
            return f"Nobody has checked whether that holds here (`xreid {how}`)."
        day, told = check.made[:10], f"{check.tracklets:,} tracklets"
        if check.broken:
            return (
                f"It does NOT hold here: far more strangers among {' and '.join(check.broken)} pairs pass "
                f"than was stated (checked {day} on {told}), so no probability stands there."
            )
        if self.held:
            rest = "" if self.holds() else "; too few pairs of strangers to say so of the others"
            return f"Checked here {day} on {told}: its rates hold for {' and '.join(self.held)} pairs{rest}."
        return f"Checked here {day} on {told}: too few pairs of strangers to say whether it holds."

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
            "the prior named beside it; it holds for people and cameras like those, and is no proof. "
            f"{self.here()}{without if lacking else ''} {unknown}"
        )
