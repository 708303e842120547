"""Whether a calibration holds at a place where nobody has labelled anything.

Pairs of tracklets that cannot be of one person (seen at once by two cameras, or nearer in time than the way
between them takes: `retrieval.strangers`) are pairs of strangers. What share of them passes a threshold is
the false-accept rate at that place, to be held against the rate that was stated. Nothing tells how pairs of
one person score there: a check can take trust away and set thresholds anew, it makes no probability.

Intervals draw tracklets, since pairs that share one are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError
from xreid.core.files import sha256_of_value
from xreid.evaluation.calibration import Calibration, KindCalibration, Threshold
from xreid.evaluation.metrics import Floats, Ints
from xreid.evaluation.pairs import KINDS
from xreid.evaluation.rates import resolution
from xreid.evaluation.several import known_cuts

FORMAT_VERSION = 1
FEWEST = 20  # pairs, or nothing is said
WRONG, RIGHT = (
    2.0,
    3.0,
)  # times the stated rate: surely above the first breaks it, surely below the second holds
_DRAWS, _CONFIDENCE, _TAIL, _MANY = 500, 0.95, 60, 300
_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001)

Word = Literal["holds", "breaks", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Strangers above one threshold of the calibration.

    Attributes:
        far: Share that was stated.
        cosine: The threshold.
        pairs: How many pass it.
        share: That, of all pairs of strangers.
        low: Lower end of the 95% interval.
        high: Upper end; at least 3 / pairs (rule of three).
    """

    far: float
    cosine: float
    pairs: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class KindCheck:
    """What the strangers of a place say of one kind of pairs.

    Attributes:
        across: Whether the pairs are across cameras; else of one camera's picture, which are harder.
        pairs: How many.
        tracklets: Different tracklets in them.
        passed: What passes the thresholds of the calibration, lowest rate first.
        word: "breaks": surely more than twice a stated rate; "holds": surely at most three times the rate of
            the stored threshold; "unclear": neither, for want of pairs.
        cuts: (rate, cosine): thresholds of this place, lowest rate first.
        curve: (share, cosine): what share of the strangers score at least that; falling shares.
    """

    across: bool
    pairs: int
    tracklets: int
    passed: tuple[Passed, ...]
    word: Word
    cuts: tuple[tuple[float, float], ...]
    curve: tuple[tuple[float, float], ...]

    def share_above(self, cosines: npt.ArrayLike) -> Floats:
        """Share of the place's strangers that score at least so; never below that of one pair."""
        shares, places = zip(*self.curve, strict=True)
        found = np.interp(np.asarray(cosines, dtype=np.float64), places, np.log(shares))
        return np.asarray(np.exp(found))


@dataclass(frozen=True, kw_only=True)
class SiteCheck:
    """A calibration, held against the strangers of a place.

    Attributes:
        kinds: By kind of pair; those with too few pairs are missing.
        calibration: SHA-256 of its values.
        tracklets: How many there were.
        made: When, ISO 8601 UTC.
    """

    kinds: Mapping[str, KindCheck]
    calibration: str
    tracklets: int
    made: str

    @property
    def broken(self) -> tuple[str, ...]:
        """The kinds of pairs whose stated rates do not hold."""
        return tuple(name for name, kind in self.kinds.items() if kind.word == "breaks")

    @property
    def doubted(self) -> frozenset[str]:
        """Kinds that get no probability: where one breaks, all that were not seen to hold."""
        held = {name for name, kind in self.kinds.items() if kind.word == "holds"}
        return frozenset(KINDS) - held if self.broken else frozenset()

    def to_json(self) -> dict[str, Any]:
        """As plain values; `site_check_from` reads them."""
        kinds = {name: asdict(kind) for name, kind in self.kinds.items()}
        return {"format": FORMAT_VERSION, **asdict(self), "kinds": kinds}


def key_of(calibration: Calibration) -> str:
    """What a check remembers its calibration by."""
    return sha256_of_value(calibration.to_json())


def check_kind(scores: Floats, pairs: Ints, kind: KindCalibration, *, across: bool) -> KindCheck:
    """Hold the calibration of one kind of pairs against pairs of strangers.

    Args:
        scores: float64 [P], their cosines; P >= FEWEST.
        pairs: int64 [P, 2], which tracklets they are of.
        kind: The calibration.
        across: Whether they are across cameras.
    """
    known = dict(sorted(known_cuts(kind).items()))
    weights = _draws(pairs)
    passed = tuple(_passed(scores, weights, far=far, cosine=cosine) for far, cosine in known.items())
    word = _word(passed, far=kind.threshold.far)
    return KindCheck(
        across=across,
        pairs=len(scores),
        tracklets=len(np.unique(pairs)),
        passed=passed,
        word=word,
        cuts=_cuts(scores, known, breaks=word == "breaks"),
        curve=_curve(scores),
    )


def at_site(calibration: Calibration, check: SiteCheck) -> Calibration:
    """The calibration with the place's own thresholds; its fits, which make probabilities, stay."""
    kinds = {
        name: _moved(kind, check.kinds[name]) if name in check.kinds else kind
        for name, kind in calibration.kinds.items()
    }
    return replace(calibration, kinds=kinds)


def site_check_from(plain: Any, *, what: str) -> SiteCheck:
    """A check from the values of `SiteCheck.to_json`.

    Raises:
        DataError: They are damaged or of another format.
    """
    try:
        if plain["format"] != FORMAT_VERSION:
            raise ValueError(f"format {plain['format']}")
        kinds = {name: _kind(plain["kinds"][name]) for name in KINDS if name in plain["kinds"]}
        facts = {name: str(plain[name]) for name in ("calibration", "made")}
        return SiteCheck(kinds=kinds, tracklets=int(plain["tracklets"]), **facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{what} is damaged", got=str(error)[:120], todo="Run `xreid gallery strangers` again."
        ) from error


def _kind(values: dict[str, Any]) -> KindCheck:
    cuts, curve = (tuple((float(a), float(b)) for a, b in values[name]) for name in ("cuts", "curve"))
    passed = tuple(Passed(**one) for one in values["passed"])
    if values["word"] not in ("holds", "breaks", "unclear") or not cuts or not curve:
        raise ValueError(f"word {values['word']!r}, {len(cuts)} cuts")
    return KindCheck(**{**values, "cuts": cuts, "curve": curve, "passed": passed})


def _draws(pairs: Ints) -> npt.NDArray[np.float32]:
    """float32 [draws, P]: how often each pair is drawn with both of its tracklets."""
    _, which = np.unique(pairs, return_inverse=True)
    first, second = which.reshape(pairs.shape).T
    count = int(which.max()) + 1
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    counts = drawn.astype(np.float32)
    return np.asarray(counts[:, first] * counts[:, second])


def _passed(scores: Floats, weights: npt.NDArray[np.float32], *, far: float, cosine: float) -> Passed:
    above = scores > cosine
    totals = weights.sum(axis=1)
    shares = (weights @ above.astype(np.float32))[totals > 0] / totals[totals > 0]
    side = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(shares, [side, 1 - side])
    least = 3 / len(scores)
    return Passed(
        far=far,
        cosine=cosine,
        pairs=int(above.sum()),
        share=float(above.mean()),
        low=float(low),
        high=min(1.0, max(float(high), least)),
    )


def _word(passed: tuple[Passed, ...], *, far: float) -> Word:
    if any(one.low > WRONG * one.far for one in passed):
        return "breaks"
    stored = [one for one in passed if one.far == far]
    return "holds" if stored and stored[0].high <= RIGHT * far else "unclear"


def _cuts(scores: Floats, known: Mapping[float, float], *, breaks: bool) -> tuple[tuple[float, float], ...]:
    """Thresholds of the place: its own quantiles where 30 pairs lie above; with 300 pairs and where one
    should lie above, or where the calibration breaks, by the tail of its scores; the stored ones elsewhere.
    """
    found: dict[float, float] = {}
    least = -math.inf
    for far in sorted(known, reverse=True):
        if resolution(far, len(scores)) == "enough":
            cut = float(np.quantile(scores, 1 - far, method="higher"))
        elif breaks or len(scores) >= max(_MANY, 1 / far):
            cut = _beyond(scores, far)
        else:
            cut = known[far]
        found[far] = least = max(cut, np.nextafter(least, math.inf))
    return tuple((far, found[far]) for far in sorted(found))


def _beyond(scores: Floats, far: float) -> float:
    """The cosine that a share exceeds, by the 60 highest scores (of fewer than 300, by a fifth of them).

    A cosine ends at 1, so the share above it is taken to fall as a power of the distance from there (Hill's
    estimator). Exponential tails, which know no end, set thresholds too high: docs/log.md.
    """
    count = min(_TAIL, len(scores) // 5)
    distances = np.maximum(1 - np.sort(scores)[::-1][: count + 1], 1e-9)
    farthest = distances[-1]
    slope = float(np.log(farthest / distances[:-1]).mean())
    return float(1 - farthest * (far * len(scores) / (count + 1)) ** slope)


def _curve(scores: Floats) -> tuple[tuple[float, float], ...]:
    shares = [*(share for share in _SHARES if share * len(scores) > 1), 1 / len(scores)]
    places = [*np.quantile(scores, [1 - share for share in shares[:-1]]), scores.max()]
    rising = np.maximum.accumulate(places)
    return tuple((share, float(place)) for share, place in zip(shares, rising, strict=True))


def _moved(kind: KindCalibration, check: KindCheck) -> KindCalibration:
    cuts = dict(check.cuts)
    return replace(
        kind,
        stranger_cuts=(cuts[0.1], cuts[0.01]),
        threshold=_threshold(kind, cuts.get(kind.threshold.far)),
    )


def _threshold(kind: KindCalibration, cut: float | None) -> Threshold:
    """What it accepts of the pairs of one person is known at its old place only."""
    stored = kind.threshold
    return stored if cut == stored.score else replace(stored, score=cut, tar=None)
