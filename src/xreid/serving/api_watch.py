"""Watch lists: people to look out for, and the alerts about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from xreid.retrieval.alert_cause import Cause
from xreid.retrieval.alerts import Alert
from xreid.retrieval.watch import Watched
from xreid.serving.api_search import examples_of
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.ids import Id
from xreid.serving.problems import Refusal
from xreid.serving.schemas import (
    AlertView,
    CauseView,
    CheckView,
    Name,
    NewWatch,
    NewWord,
    RuleView,
    TrackletView,
    WatchView,
)
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1", tags=["watch"])


@router.get("/watch")
def watch_list(who: Viewer, site: Here) -> list[WatchView]:
    """Who is watched for, also those whose time is over."""
    return [_watch(person) for person in site.backend.watch.people]


@router.post("/watch", status_code=201)
def watch_for(asked: NewWatch, who: Operator, site: Here) -> WatchView:
    """Watch for a person, from tracklets or queries: new tracklets above the threshold raise an alert.

    Where the model is calibrated, the threshold is a rate of false alarms; else a least score must be named.
    """
    examples = examples_of(site, asked.tracklets, asked.queries)
    if not examples:
        raise Refusal(422, "nobody is named to watch for", expected="one tracklet or one query, or more")
    calibrated = site.backend.meaning() is not None
    if not calibrated and asked.min_score is None:
        raise Refusal(
            422,
            "this model is not calibrated, so a rate of false alarms means nothing",
            expected="a least score (min_score)",
            todo="Calibrate it with `xreid calibrate`, or name a least score.",
        )
    expires = None if asked.expires_s is None else datetime.fromtimestamp(asked.expires_s, UTC)
    person = site.backend.watch_for(
        examples,
        name=asked.name,
        reason=asked.reason,
        by=who.name,
        expires=expires,
        far=asked.far,
        min_score=asked.min_score,
        past=asked.past,
    )
    site.audit.write(
        who.name,
        "watch",
        {"person": person.name, "reason": person.reason, "tracklets": list(asked.tracklets)},
    )
    return _watch(person)


@router.delete("/watch/{name}", status_code=204)
def watch_no_more(name: Name, who: Operator, site: Here) -> None:
    """Take a person off the list; the alerts stay."""
    site.backend.watch.get(name)
    site.audit.write(who.name, "watch ended", {"person": name})
    site.backend.watch.remove([name])


@router.post("/watch-checks")
def check(who: Operator, site: Here) -> CheckView:
    """Look for everybody on the list. It is done by itself whenever something was taken in."""
    report = site.backend.check_watch()
    site.audit.write(who.name, "watch checked", {"watched": report.watched, "new": len(report.new)})
    return CheckView(
        new=len(report.new),
        watched=report.watched,
        expired=list(report.expired),
        skipped=list(report.skipped),
        failed=dict(report.failed),
    )


@router.get("/alerts")
def alerts(
    who: Viewer,
    site: Here,
    open_only: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> list[AlertView]:
    """The alerts, newest first."""
    found = [one for one in site.backend.alerts() if not (open_only and one.acknowledged)]
    return [_alert(site, one) for one in found[::-1][:limit]]


@router.put("/alerts/{alert_id}")
def acknowledge(alert_id: Id, asked: NewWord, who: Operator, site: Here) -> AlertView:
    """Say of an alert whether it was right, wrong, or only seen."""
    if all(one.id != alert_id for one in site.backend.alerts()):
        raise Refusal(404, f"there is no alert {alert_id}")
    site.audit.write(who.name, "alert", {"alert": alert_id, "word": asked.word})
    site.backend.acknowledge(alert_id, word=asked.word, by=who.name, note=asked.note)
    return next(_alert(site, one) for one in site.backend.alerts() if one.id == alert_id)


def _watch(person: Watched) -> WatchView:
    return WatchView(
        name=person.name,
        reason=person.reason,
        by=person.by,
        added=person.added,
        expires=person.expires,
        expired=person.expired(datetime.now(UTC)),
        far=person.far,
        min_score=person.min_score,
        past=not person.before,
        examples=[example.name for example in person.examples],
    )


def _alert(site: Site, alert: Alert) -> AlertView:
    known = site.backend.known([alert.tracklet_id])
    said = alert.acknowledged
    return AlertView(
        id=alert.id,
        person=alert.person,
        tracklet=TrackletView.of(known[0]) if known else None,
        name=alert.tracklet,
        score=alert.score,
        probability=alert.probability,
        raised=alert.raised,
        cause=None if alert.cause is None else _cause(alert.cause),
        word=None if said is None else said.word,
        by=None if said is None else said.by,
    )


def _cause(cause: Cause) -> CauseView:
    rule = None if cause.rule is None else RuleView(**vars(cause.rule))
    return CauseView(**{**vars(cause), "rule": rule, "words": cause.words})
