"""`xreid watch VERB GALLERY ...`: people to look out for, and the alerts about them."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xreid.cli.audited import Audited
from xreid.cli.gallery_options import AnswersOptions, require_cosine
from xreid.cli.sub_verbs import SubVerbs, run_sub_verb
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.evaluation.calibration import Calibration
    from xreid.retrieval.alert_cause import Cause
    from xreid.retrieval.alerts import Alert
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.watching import WatchReport


@dataclass(frozen=True, kw_only=True)
class AddOptions(AnswersOptions):
    """Watch for a person: tracklets of the gallery appended from now on raise alerts.

    Attributes:
        name: What to call the person.
        tracklet: Tracklets of the person: examples.
        query: Embedding set the examples are in; default the gallery itself.
        reason: Why the person is watched for; must be said.
        until: End of the watch, ISO 8601; default none.
        far: False alarms put up with per new tracklet; needs a calibration.
        calibration: What the scores mean: auto takes what the gallery's embeddings carry; or
            calibration.json, a checkpoint or a run, which every `watch check` must name then, too.
        min_score: Least cosine instead.
        past: Raise alerts about tracklets that are in the gallery already, too.
    """

    name: str
    tracklet: list[str] = field(default_factory=list)
    query: Path | None = None
    reason: str = ""
    until: str | None = None
    far: float = 1e-3
    calibration: str = "auto"
    min_score: float | None = None
    past: bool = False

    def __post_init__(self) -> None:
        require_cosine(self.min_score)


@dataclass(frozen=True, kw_only=True)
class ListOptions(AnswersOptions):
    """Show who is watched for.

    Attributes:
        json: Print JSON instead of a table.
    """

    json: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckOptions(AnswersOptions):
    """Look for everybody on the watch list; raises each alert once, however often it runs.

    Attributes:
        calibration: What the scores mean: auto takes what the gallery's embeddings carry; or
            calibration.json, a checkpoint or a run.
        json: Print JSON instead of a table.
    """

    calibration: str = "auto"
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(AnswersOptions):
    """Watch for people no longer, and erase the alerts about them.

    Attributes:
        names: What they are called.
    """

    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class AlertsOptions(AnswersOptions):
    """Show the alerts, newest last.

    Attributes:
        all: Those too that somebody has acknowledged.
        json: Print JSON instead of a table.
    """

    all: bool = False
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class AcknowledgeOptions(AnswersOptions):
    """Say about alerts whether they were right.

    Attributes:
        alerts: Their ids.
        word: right, wrong, or only seen.
        note: In words.
    """

    alerts: list[str] = field(default_factory=list)
    word: Literal["right", "wrong", "seen"] = "seen"
    note: str = ""


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    return run_sub_verb(_VERBS, argv, of="watch", to="with a watch list")


def _add(options: AddOptions) -> None:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.core.errors import ProtocolError
    from xreid.evaluation.calibration import require_fits
    from xreid.retrieval.queries import queries_from_gallery, queries_from_set, together
    from xreid.retrieval.strangers import meaning_of
    from xreid.retrieval.watch import WatchList, watched
    from xreid.retrieval.watching import require_able

    if not options.tracklet:
        raise ConfigError("no example was named", expected="--tracklet NAME, one or more")
    gallery, folder = _opened(options.gallery, options.state)
    if gallery.origin is None:
        raise ProtocolError(f"{gallery.address} is empty", todo="Append embeddings first.")
    if options.query is None:
        queries = queries_from_gallery(gallery, options.tracklet)
    else:
        queries = queries_from_set(gallery, EmbeddingSet.load(options.query), options.tracklet)
    by_rate, meaning = options.min_score is None, meaning_of(gallery, folder, _named(options.calibration))
    if by_rate and meaning is None:
        raise ConfigError(
            "a false-alarm rate needs a calibration, and the gallery's embeddings carry none",
            todo="Calibrate the model (`xreid calibrate`), name a calibration (--calibration RUN), or give "
            "--min-score.",
        )
    person = watched(
        together(queries),
        name=options.name,
        origin=gallery.origin,
        reason=options.reason,
        by=_user(),
        expires=_moment(options.until),
        far=options.far if by_rate else None,
        min_score=options.min_score,
        before=() if options.past else [stored.key for stored in gallery.sets],
    )
    if meaning is not None:
        require_fits(meaning.calibration, gallery.origin)
    require_able(person, meaning)
    audit = Audited(gallery, options.state)
    WatchList(folder).add(person)
    ids = [one.id for one in person.examples if one.id is not None]
    audit.write("watch", person=person.name, reason=person.reason, tracklets=ids)
    count = len(person.examples)
    examples = "1 example" if count == 1 else f"{count} examples"
    print(f"watching for {person.name} by {examples}, {_threshold(person)}")
    if by_rate and meaning is not None:
        print(f"calibration: {meaning.here()}")


def _list(options: ListOptions) -> None:
    from xreid.retrieval.watch import WatchList

    _, folder = _opened(options.gallery, options.state)
    people, now = WatchList(folder).people, datetime.now(UTC)
    if options.json:
        plain = [
            {**vars(p), "examples": [one.name for one in p.examples], "expired": p.expired(now)}
            for p in people
        ]
        print(json.dumps(plain, indent=2))
        return
    rows = [
        (
            person.name,
            person.reason,
            ", ".join(example.name for example in person.examples),
            _threshold(person),
            person.added[:10],
            "-"
            if person.expires is None
            else person.expires[:10] + (" (over)" if person.expired(now) else ""),
        )
        for person in people
    ]
    _table(("person", "reason", "examples", "threshold", "added", "until"), rows)
    print(f"{len(people)} watched for")


def _check(options: CheckOptions) -> None:
    from xreid.retrieval.watching import check_watch

    gallery, folder = _opened(options.gallery, options.state)
    audit = Audited(gallery, options.state)
    report = check_watch(gallery, folder, calibration=_named(options.calibration))
    audit.write("watch checked", watched=report.watched, new=len(report.new))
    if options.json:
        print(json.dumps({**vars(report), "new": [alert.to_json() for alert in report.new]}, indent=2))
        _require_all(report)
        return
    _print_alerts(report.new)
    print(f"{report.watched} watched for, {len(report.new)} new alerts")
    if report.calibration:
        print(f"calibration: {report.calibration}")
    for names, what in (
        (report.expired, "the time is over of"),
        (report.skipped, "embed again the examples of"),
    ):
        if names:
            print(f"not looked for: {what} {', '.join(names)}")
    _require_all(report)


def _require_all(report: WatchReport) -> None:
    """Say who could not be looked for, after the others were.

    Raises:
        ConfigError: Somebody could not.
    """
    if report.failed:
        raise ConfigError(
            f"not looked for: {', '.join(report.failed)}",
            got="; ".join(f"{name}: {why}" for name, why in report.failed.items()),
            todo="Take them off the list (`xreid watch remove`) and add them again.",
        )


def check_after_append(gallery: Gallery) -> None:
    """Check the watch list in a gallery's folder, where there is one, and say what it raised."""
    from xreid.core.errors import XReidError
    from xreid.retrieval.answers import answers_folder
    from xreid.retrieval.watch import FILE
    from xreid.retrieval.watching import check_watch

    if "://" in gallery.address or not (answers_folder(gallery) / FILE).exists():
        return
    try:
        audit = Audited(gallery)
        report = check_watch(gallery, answers_folder(gallery))
        audit.write("watch checked", watched=report.watched, new=len(report.new))
    except XReidError as error:  # what was appended stays appended
        print(f"the watch list was not checked: {error}")
        return
    _print_alerts(report.new)
    print(f"watch list: {report.watched} watched for, {len(report.new)} new alerts")
    for name, why in report.failed.items():
        print(f"watch list: {name} was not looked for: {why}")


def _remove(options: RemoveOptions) -> None:
    from xreid.retrieval.forgetting import forget_watched
    from xreid.retrieval.watch import WatchList

    if not options.names:
        raise ConfigError("nobody was named", expected="names on the watch list")
    gallery, folder = _opened(options.gallery, options.state)
    for name in options.names:
        WatchList(folder).get(name)
    audit = Audited(gallery, options.state)
    for name in options.names:
        audit.write("watch ended", person=name)
    gone = forget_watched(folder, options.names)
    print(f"removed {gone.people}, with {gone.alerts} alerts")


def _alerts(options: AlertsOptions) -> None:
    from xreid.retrieval.watching import alerts_now

    alerts = alerts_now(*_opened(options.gallery, options.state))
    shown = [alert for alert in alerts if options.all or alert.acknowledged is None]
    if options.json:
        print(json.dumps([alert.to_json() for alert in shown], indent=2))
        return
    _print_alerts(shown)
    print(f"{len(alerts)} alerts, {sum(alert.acknowledged is None for alert in alerts)} not acknowledged")


def _acknowledge(options: AcknowledgeOptions) -> None:
    from xreid.retrieval.alerts import AlertLog

    if not options.alerts:
        raise ConfigError("no alert was named", expected="ids of alerts")
    gallery, folder = _opened(options.gallery, options.state)
    audit = Audited(gallery, options.state)
    AlertLog(folder).acknowledge(options.alerts, word=options.word, by=_user(), note=options.note)
    for one in options.alerts:
        audit.write("alert", alert=one, word=options.word)
    print(f"acknowledged {len(options.alerts)} as {options.word}")


def _print_alerts(alerts: Sequence[Alert]) -> None:
    from xreid.retrieval.words import show_time

    rows = [
        (
            alert.id,
            alert.person,
            alert.tracklet,
            alert.camera or "-",
            show_time(alert.start_s) or "-",
            f"{alert.score:.3f}",
            "-" if alert.probability is None else f"{alert.probability:.3f}",
            "-" if alert.acknowledged is None else f"{alert.acknowledged.word} ({alert.acknowledged.by})",
            "-" if alert.cause is None else _above(alert.cause, alert.score),
        )
        for alert in alerts
    ]
    _table(("alert", "person", "tracklet", "camera", "time", "score", "p", "said", "above"), rows)
    for words in dict.fromkeys(alert.cause.words for alert in alerts if alert.cause is not None):
        print(words)
    if any(row[-1].endswith(")") for row in rows):
        print("(): the mean by the weights of the calibration, which was above; the score is the plain mean")


def _above(cause: Cause, score: float) -> str:
    """What had to be passed, and what passed it where that is not the score."""
    return f"{cause.least:.3f}" + ("" if abs(cause.passed - score) < 5e-4 else f" ({cause.passed:.3f})")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    from xreid.cli.tables import print_table

    if not rows:
        return
    table = Table(*titles, box=None)
    for row in rows:
        table.add_row(*row)
    print_table(table)


def _threshold(person: Any) -> str:
    if person.far is None:
        return f"score above {person.min_score:g}"
    return f"at most {person.far:g} false alarms per tracklet"


def _opened(address: str, state: Path | None) -> tuple[Gallery, Path]:
    from xreid.retrieval.answers import answers_folder
    from xreid.retrieval.gallery import Gallery

    gallery = Gallery.open(address)
    return gallery, answers_folder(gallery, state)


def _named(calibration: str) -> Calibration | None:
    """A calibration that was named; None for the gallery's own."""
    from xreid.evaluation.calibration import read_calibration

    return None if calibration == "auto" else read_calibration(Path(calibration))


def _moment(text: str | None) -> datetime | None:
    from xreid.retrieval.ingest_config import parse_time

    return None if text is None else datetime.fromtimestamp(parse_time(text, option="until"), UTC)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


_VERBS: SubVerbs = {
    "add": (_add, AddOptions, ("name",)),
    "list": (_list, ListOptions, ()),
    "check": (_check, CheckOptions, ()),
    "remove": (_remove, RemoveOptions, ("names",)),
    "alerts": (_alerts, AlertsOptions, ()),
    "acknowledge": (_acknowledge, AcknowledgeOptions, ("alerts",)),
}
