"""Everything that tells how a threshold or a probability can be trusted, for one set of embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, require_fits, require_other_people
from xreid.evaluation.carry import Carried, carried
from xreid.evaluation.directions import Direction
from xreid.evaluation.identification import Identification, Splits, identification
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.mixed import MixedGallery, mixed_gallery
from xreid.evaluation.pairs import PairScores, kind_of, pair_scores
from xreid.evaluation.protocols import Protocol
from xreid.evaluation.reliability import Reliability, reliability
from xreid.evaluation.verification import Verification, verification

EQUAL_PRIOR = 0.5


@dataclass(frozen=True, kw_only=True)
class OpenSet:
    """Open-set figures of one direction.

    Attributes:
        direction: Who asked whom.
        verification: TAR at FAR.
        identification: FNIR at FPIR; None where there are too few people to leave some out.
        reliability: Naive, calibrated and constant probabilities, at even odds and at the pairs' own share.
        carried: What the stored thresholds do here.
    """

    direction: Direction
    verification: Verification
    identification: Identification | None
    reliability: tuple[Reliability, ...]
    carried: tuple[Carried, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "direction": self.direction.name,
            "verification": self.verification.to_json(),
            "identification": None if self.identification is None else self.identification.to_json(),
            "reliability": [row.to_json() for row in self.reliability],
            "stored_thresholds": [row.to_json() for row in self.carried],
        }


@dataclass(frozen=True, kw_only=True)
class OpenSetReport:
    """Open-set figures of some directions, and those of a gallery of both modalities.

    Attributes:
        directions: One entry each.
        mixed: Queries of each modality against both; empty where not asked for.
        calibration: What probabilities and thresholds come from; None without.
        notes: What is missing, and why.
        bootstrap: How intervals were drawn.
    """

    directions: tuple[OpenSet, ...]
    mixed: tuple[MixedGallery, ...]
    calibration: Calibration | None
    notes: tuple[str, ...]
    bootstrap: Bootstrap

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "directions": [entry.to_json() for entry in self.directions],
            "mixed_gallery": [entry.to_json() for entry in self.mixed],
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "notes": list(self.notes),
        }


def open_set_report(
    embeddings: EmbeddingSet,
    protocol: Protocol,
    *,
    directions: Sequence[Direction],
    calibration: Calibration | None = None,
    any_to_any: bool = False,
    other_people: bool = False,
    splits: Splits | None = None,
    bootstrap: Bootstrap | None = None,
) -> OpenSetReport:
    """Open-set figures of stored embeddings.

    Args:
        embeddings: Queries and gallery in one set.
        protocol: Which pairs count.
        directions: Who asks whom.
        calibration: Of the embeddings' model, fitted on other people; None for figures without one.
        any_to_any: Also rank a gallery of both modalities for queries of each.
        other_people: Identities of the same names as those of the calibration are other people.
        splits: How people are left out of the gallery.
        bootstrap: How intervals are drawn.

    Raises:
        ProtocolError: The calibration does not fit the embeddings or was fitted on these people.
    """
    drawn = bootstrap or Bootstrap()
    if calibration is not None:
        require_fits(calibration, embeddings.origin)
        if not other_people:
            require_other_people(calibration, embeddings.table.identities())
    notes: list[str] = []
    found = []
    for direction in directions:
        pairs = pair_scores(embeddings, protocol, direction=direction)
        entry = _open_set(pairs, direction, calibration=calibration, splits=splits, bootstrap=drawn)
        notes += _missing(pairs, direction, calibration)
        found.append(entry)
    mixed = []
    for query in (Modality.INFRARED, Modality.VISIBLE) if any_to_any else ():
        lacking = _mixed_lacks(query, calibration)
        notes += lacking
        usable = None if lacking else calibration
        mixed.append(mixed_gallery(embeddings, protocol, query=query, calibration=usable, bootstrap=drawn))
    return OpenSetReport(
        directions=tuple(found),
        mixed=tuple(mixed),
        calibration=calibration,
        notes=tuple(dict.fromkeys(notes)),
        bootstrap=drawn,
    )


def _open_set(
    pairs: PairScores,
    direction: Direction,
    *,
    calibration: Calibration | None,
    splits: Splits | None,
    bootstrap: Bootstrap,
) -> OpenSet:
    checked = verification(pairs, bootstrap=bootstrap)
    rows: list[Reliability] = []
    if calibration is not None and set(pairs.kinds) <= set(calibration.kinds):
        share = checked.positives / (checked.positives + checked.negatives)
        for prior in (EQUAL_PRIOR, share):
            rows += reliability(pairs, calibration, prior=prior, bootstrap=bootstrap)
    return OpenSet(
        direction=direction,
        verification=checked,
        identification=identification(pairs, bootstrap=bootstrap, splits=splits),
        reliability=tuple(rows),
        carried=() if calibration is None else carried(pairs, calibration, bootstrap=bootstrap),
    )


def _missing(pairs: PairScores, direction: Direction, calibration: Calibration | None) -> list[str]:
    if calibration is None:
        return []
    lacking = [kind for kind in pairs.kinds if kind not in calibration.kinds]
    return [f"{direction}: the calibration does not cover {kind} pairs" for kind in lacking]


def _mixed_lacks(query: Modality, calibration: Calibration | None) -> list[str]:
    """Why a mixed gallery cannot be ranked by the calibration; empty where it can, or there is none."""
    if calibration is None:
        return []
    lacking = [kind for m in Modality if (kind := kind_of(query, m)) not in calibration.kinds]
    return [
        f"Mixed gallery, {query} queries: by cosine only, the calibration does not cover {kind} pairs"
        for kind in lacking
    ]
