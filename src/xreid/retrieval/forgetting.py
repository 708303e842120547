"""Erasing people from what answers keep: watch lists, alerts and feedback.

A gallery's folder erases them from its own answers in the call that erases them from the gallery. Answers
that lie elsewhere (a server's, `--state`), and what a search or check that had begun before wrote down after
it, follow at the next check of the watch list or search of a case, from the receipts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.watch import Watched, WatchExample, WatchList, without_examples


class Gone(Protocol):
    """What says what was erased: a gallery, or what keeps its rows."""

    def receipts(self) -> list[Receipt]:
        """What was erased, in order."""
        ...

    def present(self, ids: Collection[str]) -> set[str]:
        """Those ids that are in the gallery."""
        ...


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


def forget_watched(folder: Path, names: Collection[str]) -> Forgotten:
    """Erase people from a watch list, with the alerts about them.

    Args:
        folder: Of the answers (`answers.answers_folder`); may be missing.
        names: Of the people, on the watch list.
    """
    if not folder.is_dir():
        return Forgotten()
    alerts = AlertLog(folder).forget(lambda alert: alert.person in names)
    before, after = WatchList(folder).change(
        lambda people: tuple(one for one in people if one.name not in names)
    )
    return Forgotten(examples=_count(before) - _count(after), people=len(before) - len(after), alerts=alerts)


def forget_erased(gallery: Gone, folder: Path) -> Forgotten:
    """Erase what a gallery's receipts say was erased there, and alerts and feedback about what is gone.

    Examples are known by their vector's hash, which a receipt holds, or, where another model has embedded the
    gallery since they were added, by their id that is gone and the hash of their name. A watched person's own
    end and not the gallery's retention decides about examples that were removed by age.

    Args:
        gallery: The gallery.
        folder: Of the answers; may be missing.
    """
    if not folder.is_dir():
        return Forgotten()
    receipts = [receipt for receipt in gallery.receipts() if receipt.kind == "erase" and not receipt.dry_run]
    watch, log, cases = WatchList(folder), AlertLog(folder), Cases(folder)
    shown = {one.id for person in watch.people for one in person.examples if one.id is not None}
    told = {alert.tracklet_id for alert in log.alerts()} | cases.ids()
    gone = (shown | told) - gallery.present(shown | told)

    def left(people: tuple[Watched, ...]) -> tuple[Watched, ...]:
        return without_examples(people, lambda one: _erased(one, receipts, gone))

    people = watch.people
    nobody = {person.name for person in people} - {person.name for person in left(people)}
    # The watch list comes last: it says whose alerts go with them, also after a kill.
    alerts = log.forget(lambda alert: alert.tracklet_id in gone or alert.person in nobody)
    judgements = cases.forget(gone)
    before, after = watch.change(left)
    return Forgotten(
        examples=_count(before) - _count(after),
        people=len(before) - len(after),
        alerts=alerts,
        judgements=judgements,
    )


def _erased(example: WatchExample, receipts: Sequence[Receipt], gone: Collection[str]) -> bool:
    known, left = hash_of_vector(example.vector), example.id in gone
    return any(known in receipt.vectors or (left and receipt.is_of(example.name)) for receipt in receipts)


def _count(people: Sequence[Watched]) -> int:
    return sum(len(person.examples) for person in people)
