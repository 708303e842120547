"""From a cosine to the probability that two tracklets show the same person.

A probability needs a prior: of how many pairs is one a pair of the same person? A calibration therefore holds
log-likelihood ratios, which need none, and gives the probability at any prior:

    log-odds(same | score) = llr(score) + log(prior / (1 - prior))

It is fitted on people who were not in training (fit: `calibration_fit`), apart for each pair of modalities,
because cosines within a modality are higher than across.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingOrigin, origin_from, require_same_origin
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.files import read_json
from xreid.evaluation.metrics import Floats
from xreid.evaluation.pairs import KINDS

FORMAT_VERSION = 2  # 1 knew nothing of several examples
FILE = "calibration.json"  # in a checkpoint folder, beside config.json

Method = Literal["logistic", "isotonic"]


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Where to cut, for a stated rate of false accepts on the people of the calibration.

    Attributes:
        far: Share of the pairs of two people that may be accepted.
        score: Cosines strictly above it are accepted; None where there were fewer than 1 / far such pairs.
        tar: Share of the pairs of one person that it accepted there.
        resolution: "enough", "few" (fewer than 30 false accepts above it) or "too few".
    """

    far: float
    score: float | None
    tar: float | None
    resolution: str


@dataclass(frozen=True, kw_only=True)
class KindCalibration:
    """The calibration of one kind of pairs.

    Attributes:
        slope: llr = slope * cosine + offset; positive.
        offset: Likewise.
        knots: (cosine, llr), both rising: the isotonic fit, linear between them and constant outside.
        positives: Pairs of one person it was fitted on.
        negatives: Pairs of two people.
        identities: People among them.
        stranger_cuts: Cosines that 10% and 1% of the pairs of two people exceed; rising.
        threshold: Where to cut.
    """

    slope: float
    offset: float
    knots: tuple[tuple[float, float], ...]
    positives: int
    negatives: int
    identities: int
    stranger_cuts: tuple[float, float]
    threshold: Threshold

    def llr(self, scores: npt.ArrayLike, *, method: Method) -> Floats:
        """Log-likelihood ratio (natural logarithm) of each cosine."""
        x = np.asarray(scores, dtype=np.float64)
        if method == "logistic":
            return self.slope * x + self.offset
        places, values = zip(*self.knots, strict=True)
        return np.asarray(np.interp(x, places, values))


@dataclass(frozen=True, kw_only=True)
class SeveralCut:
    """Where several examples of one person accept together (`several`).

    Attributes:
        examples: How many; 2 or more.
        far: Share of the strangers that may be accepted.
        margin: The least mean margin, a log-likelihood ratio below the mean of the pairs' thresholds; <= 0.
    """

    examples: int
    far: float
    margin: float


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A calibration of one model, with what it was made of.

    Attributes:
        method: Which fit gives probabilities.
        kinds: By kind of pair; a kind that the data could not show is missing.
        origin: What made the vectors; it fits no others.
        source: Name of the data.
        identities: The people it was fitted on; scores on them prove nothing about it.
        tracklets: How many of theirs.
        protocol: Label of the protocol that decided which pairs count.
        fit_prior: Share of same-person pairs that the logistic fit weighs for.
        several: Where several examples accept together; empty where that was not measured.
    """

    method: Method
    kinds: Mapping[str, KindCalibration]
    origin: EmbeddingOrigin
    source: str
    identities: tuple[str, ...]
    tracklets: int
    protocol: str
    fit_prior: float
    several: tuple[SeveralCut, ...] = ()

    def kind(self, name: str) -> KindCalibration:
        """The calibration of a kind of pairs.

        Raises:
            ProtocolError: The data it was fitted on did not show that kind.
        """
        if name not in self.kinds:
            raise ProtocolError(
                f"the calibration does not cover {name} pairs",
                expected=" or ".join(self.kinds),
                todo="Calibrate on people who were seen twice in those modalities, by different cameras.",
            )
        return self.kinds[name]

    def llr(self, scores: npt.ArrayLike, kind: str) -> Floats:
        """Log-likelihood ratio of each cosine."""
        return self.kind(kind).llr(scores, method=self.method)

    def probability(self, scores: npt.ArrayLike, kind: str, *, prior: float) -> Floats:
        """Probability that a pair of this cosine shows the same person, at a stated prior."""
        return probability(self.llr(scores, kind), prior=prior)

    def to_json(self) -> dict[str, Any]:
        """As plain values; `from_json` reads them."""
        return {
            "format": FORMAT_VERSION,
            **asdict(self),
            "kinds": {k: asdict(v) for k, v in self.kinds.items()},
        }


def probability(llr: npt.ArrayLike, *, prior: float) -> Floats:
    """Probability at a prior, from log-likelihood ratios.

    Raises:
        ConfigError: The prior is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise ConfigError("a prior must be a probability", expected="0 < prior < 1", got=str(prior))
    odds = np.asarray(llr, dtype=np.float64) + np.log(prior / (1 - prior))
    with np.errstate(invalid="ignore"):  # NaN (a pair that does not count) stays NaN
        return np.asarray(np.exp(-np.logaddexp(0.0, -odds)))


def calibration_from_json(plain: Any, *, what: str) -> Calibration:
    """A calibration from the values of `Calibration.to_json`.

    Raises:
        DataError: They are damaged or of a newer format.
    """
    version = plain.get("format") if isinstance(plain, dict) else None
    if version not in (1, FORMAT_VERSION):
        raise DataError(
            f"{what} has another format",
            expected=f"calibration format {FORMAT_VERSION}",
            got=str(version)[:40],
            todo="Use the xreid version that wrote it, or run `xreid calibrate` again.",
        )
    try:
        return _parse({k: v for k, v in plain.items() if k != "format"})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{what} is damaged", got=str(error)[:120], todo="Run `xreid calibrate` again, or remove it."
        ) from error


def read_calibration(path: Path) -> Calibration:
    """Read a calibration.json, or that of a checkpoint folder or run.

    Raises:
        DataError: There is none, or it is damaged.
    """
    places = (path, path / FILE, path / "checkpoint" / FILE)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DataError(
            f"there is no calibration at {path}",
            expected=f"{FILE}, or a checkpoint folder that holds one",
            todo="Make one with `xreid calibrate`.",
        )
    return calibration_from_json(read_json(found, what="calibration"), what=str(found))


def require_fits(calibration: Calibration, origin: EmbeddingOrigin) -> None:
    """Refuse to calibrate scores of another model or preprocessing.

    Raises:
        ProtocolError: They are.
    """
    try:
        require_same_origin(calibration.origin, origin)
    except ProtocolError as error:
        raise ProtocolError(
            error.what.replace("the embedding sets differ", "the calibration and the embeddings differ"),
            expected=error.expected,
            got=error.got,
            todo="Calibrate with embeddings of this checkpoint and these options (`xreid calibrate`).",
        ) from error


def require_other_people(calibration: Calibration, identities: Collection[str]) -> None:
    """Refuse to judge a calibration by the people that it was fitted on.

    Raises:
        ProtocolError: One of them is among `identities`.
    """
    shared = sorted(set(calibration.identities) & set(identities))
    if shared:
        raise ProtocolError(
            f"{len(shared)} of the evaluated identities are those the calibration was fitted on",
            got=", ".join(shared[:5]) + (", ..." if len(shared) > 5 else ""),
            todo="Evaluate other people, or without it (--calibration none); if they are other people of the "
            "same names (say, of another archive), add --other_people.",
        )


def _parse(values: dict[str, Any]) -> Calibration:
    kinds = {name: _kind(entry) for name, entry in values["kinds"].items()}
    if values["method"] not in ("logistic", "isotonic") or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"method {values['method']!r}, kinds {sorted(kinds)}")
    return Calibration(
        **{
            **values,
            "origin": origin_from(values["origin"]),
            "kinds": kinds,
            "identities": tuple(map(str, values["identities"])),
            "several": tuple(_several(cut) for cut in values.get("several", ())),
        }
    )


def _several(values: dict[str, Any]) -> SeveralCut:
    found = SeveralCut(**values)
    if found.examples < 2 or not 0 < found.far < 1 or not -math.inf < found.margin <= 0:
        raise ValueError(f"cut {found}")
    return found


def _kind(values: dict[str, Any]) -> KindCalibration:
    knots = tuple((float(score), float(llr)) for score, llr in values["knots"])
    low, high = (float(cut) for cut in values["stranger_cuts"])
    cuts = {"stranger_cuts": (low, high), "threshold": Threshold(**values["threshold"])}
    found = KindCalibration(**{**values, "knots": knots, **cuts})
    numbers = [float(v) for v in (found.slope, found.offset, low, high)]
    if not np.isfinite(numbers).all() or not knots or found.slope <= 0 or low >= high:
        raise ValueError(f"slope, offset, cuts {numbers} and {len(knots)} knots")
    return found
