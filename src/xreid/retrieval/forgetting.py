"""Erasing people from what answers keep: watch lists, alerts and feedback."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from xreid.core.errors import ProtocolError
from xreid.retrieval.alerts import Alert, AlertLog
from xreid.retrieval.feedback_store import FeedbackStore
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.watch import WatchExample, WatchList, without_examples


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was erased from the answers of a gallery.

    Attributes:
        examples: Examples of watched people.
        people: Watched people of whom no example was left.
        alerts: Alerts, with all that was said about them.
        judgements: Confirmed and rejected tracklets of cases.
    """

    examples: int = 0
    people: int = 0
    alerts: int = 0
    judgements: int = 0

    def __bool__(self) -> bool:
        return bool(self.examples or self.people or self.alerts or self.judgements)


def forget(
    folder: Path, *, ids: Collection[str] = (), names: Collection[str] = (), people: Collection[str] = ()
) -> Forgotten:
    """Erase tracklets and watched people from watch list, alerts and feedback.

    To be called with every erasure from the gallery. `check_watch` calls `forget_erased`, which finds out by
    itself what was erased; until then a file may still hold it.

    Args:
        folder: Of the answers (`answers.answers_folder`); may be missing.
        ids: Ids of tracklets in the gallery.
        names: Names of tracklets.
        people: Names on the watch list; the alerts about them go, too.
    """
    if not folder.is_dir():
        return Forgotten()
    names, ids, people = set(names), set(ids), set(people)
    watch = WatchList(folder)
    before, after = watch.change(
        lambda before: without_examples(
            [person for person in before if person.name not in people],
            lambda one: one.id in ids or one.name in names,
        )
    )
    return Forgotten(
        examples=_count(before) - _count(after),
        people=len(before) - len(after),
        alerts=AlertLog(folder).forget(
            lambda alert: alert.tracklet_id in ids or alert.tracklet in names or alert.person in people
        ),
        judgements=FeedbackStore(folder).forget(ids),
    )


def forget_erased(gallery: Gallery, folder: Path) -> Forgotten:
    """Erase what the gallery's receipts say was erased there, and alerts and feedback about what is gone.

    Examples are known by their vector's hash, which a receipt holds; a watched person's own end and not the
    gallery's retention decides about examples that were removed by age.
    """
    if not folder.is_dir():
        return Forgotten()
    receipts = [receipt for receipt in gallery.receipts() if receipt.kind == "erase" and not receipt.dry_run]
    watch, log, store = WatchList(folder), AlertLog(folder), FeedbackStore(folder)
    before, after = watch.change(lambda people: without_examples(people, lambda one: _erased(one, receipts)))
    alerts = log.alerts()
    gone = missing_from(gallery, {alert.tracklet_id for alert in alerts} | store.ids())
    left = {person.name for person in after}

    def about_nobody(alert: Alert) -> bool:
        erased_with = alert.person in {person.name for person in before} - left
        return alert.tracklet_id in gone or erased_with

    return Forgotten(
        examples=_count(before) - _count(after),
        people=len(before) - len(after),
        alerts=log.forget(about_nobody),
        judgements=store.forget(gone),
    )


def missing_from(gallery: Gallery, ids: Collection[str]) -> set[str]:
    """Those ids that are not in the gallery (any more)."""
    try:
        gallery.entries(sorted(ids))
        return set()
    except ProtocolError:
        pass
    gone = set()
    for one in ids:
        try:
            gallery.entries([one])
        except ProtocolError:
            gone.add(one)
    return gone


def _erased(example: WatchExample, receipts: Sequence[Receipt]) -> bool:
    known = hash_of_vector(example.vector)
    return any(known in receipt.vectors for receipt in receipts)


def _count(people: Sequence[object]) -> int:
    return sum(len(getattr(person, "examples", ())) for person in people)
