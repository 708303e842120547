"""Checking a gallery for watched people: exact, and nothing is raised twice.

A tracklet raises an alert where the mean of its log-likelihood ratios with the person's examples is above the
mean of the thresholds of those pairs. For one example that is "the cosine is above the threshold". A mean of
several spreads less than one among strangers, so it cuts lower by what the calibration measured
(`evaluation.several`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, require_fits
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.several import several, threshold_at
from xreid.retrieval.alert_cause import Cause, rule_of
from xreid.retrieval.alerts import Alert, AlertLog, alert_id
from xreid.retrieval.columns import Filter
from xreid.retrieval.forgetting import forget_erased
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_rows import Found
from xreid.retrieval.meaning import Meaning, Verdict
from xreid.retrieval.queries import unit
from xreid.retrieval.strangers import meaning_of
from xreid.retrieval.watch import Watched, WatchList, model_of

_FIRST_LOOK = 64


@dataclass(frozen=True, kw_only=True)
class WatchReport:
    """What a check did.

    Attributes:
        new: Alerts raised by it.
        watched: People that were looked for.
        expired: Names of those whose time is over; they are not looked for.
        skipped: Names of those whose examples another model embedded, and that are not in the gallery.
        failed: Names of those who cannot be looked for, and why: their rate of false alarms has no threshold
            (any more). The others were looked for all the same.
        calibration: Whether somebody has checked here what the rates are worth, in words; empty where nothing
            is calibrated.
    """

    new: tuple[Alert, ...]
    watched: int
    expired: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    calibration: str = ""


def check_watch(
    gallery: Gallery,
    folder: Path,
    *,
    calibration: Calibration | None = None,
    now: datetime | None = None,
) -> WatchReport:
    """Look for everybody on the watch list and log an alert for every new tracklet above their threshold.

    Args:
        gallery: Where.
        folder: Of its answers (`answers.answers_folder`).
        calibration: What scores mean; none takes the gallery's own.
        now: Decides whose time is over; default the present.

    Raises:
        ProtocolError: The calibration is of another model.
    """
    now, origin = now or datetime.now(UTC), gallery.origin
    forget_erased(gallery, folder)
    people = WatchList(folder).people
    expired = tuple(person.name for person in people if person.expired(now))
    if origin is None:
        return WatchReport(new=(), watched=0, expired=expired, skipped=())
    meaning = meaning_of(gallery, folder, calibration)
    if meaning is not None:
        require_fits(meaning.calibration, origin)
    kept = [_of_model(gallery, person, model_of(origin)) for person in people if person.name not in expired]
    able = [person for person in kept if person.model == model_of(origin)]
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    alerts: list[Alert] = []
    failed: dict[str, str] = {}
    for person in able:
        try:
            require_able(person, meaning)
        except (ConfigError, ProtocolError) as error:
            failed[person.name] = str(error)
            continue
        alerts += _alerts(gallery, person, meaning, at=at)
    return WatchReport(
        new=tuple(AlertLog(folder).add(alerts)),
        watched=len(able) - len(failed),
        expired=expired,
        failed=failed,
        calibration="" if meaning is None else meaning.here(),
        skipped=tuple(person.name for person in kept if person.model != model_of(origin)),
    )


def alerts_now(gallery: Gallery, folder: Path) -> list[Alert]:
    """All alerts, without the probabilities that a check of the calibration has since shown to be wrong here.

    Who is not on the watch list any more may have had examples of either modality.

    Args:
        gallery: Where.
        folder: Of its answers.
    """
    found, meaning = AlertLog(folder).alerts(), meaning_of(gallery, folder)
    if meaning is None or meaning.check is None or not meaning.check.broken:
        return found
    asking = {person.name: person.modalities for person in WatchList(folder).people}
    doubted = [
        meaning.doubted(asking.get(one.person, list(Modality)), [Modality(one.modality)])[0] for one in found
    ]
    return [
        replace(one, probability=None) if doubt else one for one, doubt in zip(found, doubted, strict=True)
    ]


def require_able(person: Watched, meaning: Meaning | None) -> None:
    """Refuse somebody whose threshold nobody knows.

    Args:
        person: Who is to be watched for.
        meaning: Of the gallery; None where nothing is calibrated.

    Raises:
        ConfigError: A false-alarm rate is named, and nothing is calibrated, or not to that rate.
        ProtocolError: The calibration does not cover a kind of their pairs.
    """
    for answering in Modality:
        _cut(person, answering, None if meaning is None else meaning.calibration)


def _of_model(gallery: Gallery, person: Watched, model: str) -> Watched:
    """The person with the gallery's vectors of the examples, where another model has embedded it since."""
    if person.model == model:
        return person
    try:
        ids = [example.id for example in person.examples if example.id is not None]
        vectors = gallery.vectors(ids)
    except ProtocolError:
        return person
    if len(ids) < len(person.examples):
        return person
    examples = tuple(
        replace(example, vector=vector) for example, vector in zip(person.examples, vectors, strict=True)
    )
    return replace(person, examples=examples, model=model)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A direction float32 [D] of unit length and the least cosine with it.

    `scale` makes a cosine with the direction the mean of those with the examples.
    """

    direction: np.ndarray
    least: float
    scale: float


def _cut(person: Watched, answering: Modality, calibration: Calibration | None) -> _Cut:
    """Where tracklets of one modality raise an alert for a person; raises like `require_able`."""
    weights, least = np.full(len(person.examples), 1 / len(person.examples)), person.min_score
    if least is None:
        assert person.far is not None
        if calibration is None:
            raise ConfigError(
                f"{person.name!r} is watched for by a false-alarm rate, and nothing is calibrated",
                todo="Calibrate the model (`xreid calibrate`), or watch by a least score (--min-score).",
            )
        kinds = [calibration.kind(kind_of(modality, answering)) for modality in person.modalities]
        weights = weights * [kind.slope for kind in kinds]
        least = float(weights @ [threshold_at(kind, person.far) for kind in kinds])
        least += several(calibration, len(kinds), person.far)
    total = weights @ person.vectors
    length = max(float(np.linalg.norm(total)), 1e-12)
    return _Cut(
        direction=unit(total.astype(np.float32)), least=least / length, scale=length / float(weights.sum())
    )


def _alerts(gallery: Gallery, person: Watched, meaning: Meaning | None, *, at: str) -> list[Alert]:
    sets = tuple(stored.key for stored in gallery.sets if stored.key not in person.before)
    if not sets:
        return []
    own = {example.id for example in person.examples if example.id is not None}
    found, causes = list[Found](), list[Cause]()
    for answering in Modality:
        cut = _cut(person, answering, None if meaning is None else meaning.calibration)
        rule = rule_of(person.far, meaning, {kind_of(one, answering) for one in person.modalities})
        above = _above(gallery, cut, Filter(modality=answering, sets=sets), exclude=own)
        found += above
        causes += [
            Cause(least=cut.least * cut.scale, passed=one.score * cut.scale, rule=rule) for one in above
        ]
    scores, verdicts = _judged(gallery, person, meaning, found)
    return [
        Alert(
            id=alert_id(person.name, person.added, one.entry.id),
            person=person.name,
            tracklet_id=one.entry.id,
            tracklet=one.entry.tracklet.name,
            camera=one.entry.tracklet.camera,
            modality=one.entry.tracklet.modality.value,
            start_s=one.entry.tracklet.start_s,
            score=score,
            probability=None if verdict is None else verdict.probability,
            raised=at,
            cause=cause if verdict is None else replace(cause, strangers=verdict.strangers),
        )
        for one, score, verdict, cause in zip(found, scores, verdicts, causes, strict=True)
    ]


def _judged(
    gallery: Gallery,
    person: Watched,
    meaning: Meaning | None,
    found: Sequence[Found],
) -> tuple[list[float], Sequence[Verdict | None]]:
    """Mean cosines of what was found, and what they mean."""
    if not found:
        return [], []
    vectors = gallery.vectors([one.entry.id for one in found])
    cosines = np.asarray(person.vectors @ vectors.T, dtype=np.float64)
    scores = [float(score) for score in cosines.mean(axis=0)]
    if meaning is None:
        return scores, [None] * len(found)
    answering = [one.entry.tracklet.modality for one in found]
    return scores, meaning.verdicts(cosines, person.modalities, answering, searched=len(gallery))


def _above(gallery: Gallery, cut: _Cut, rules: Filter, *, exclude: set[str]) -> list[Found]:
    """All tracklets above the cut, best first: asks for more until one is below."""
    most, k = gallery.count(rules, exclude=exclude), _FIRST_LOOK
    while True:
        if not most:
            return []
        (found,) = gallery.nearest(cut.direction[None], k=min(k, most), rules=rules, exclude=[exclude])
        above = [one for one in found if one.score > cut.least]
        if len(above) < len(found) or k >= most:
            return above
        k *= 8
