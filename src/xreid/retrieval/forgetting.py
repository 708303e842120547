"""Erasing people from what answers keep: watch lists, alerts and feedback.

A gallery's folder erases them from its own answers in the call that erases them from the gallery. Answers
that lie elsewhere (a server's, `--state`), and what a search or check that had begun before wrote down after
it, follow at the next check of the watch list or search of a case, from the receipts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from xreid.core.errors import XReidError
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery_receipts import Receipt, hash_of_vector
from xreid.retrieval.watch import Watched, WatchExample, WatchList, without_examples

_log = logging.getLogger(__name__)


class Gone(Protocol):
    """What says what was erased: a gallery, or what keeps its rows."""

    def receipts(self, damaged: dict[str, str] | None = None) -> list[Receipt]:
        """What was erased, in order; `damaged` takes the faults of what cannot be read, by id."""
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
        left: Files that may still tell of somebody who was erased, because they are damaged, and why.
    """

    examples: int = 0
    people: int = 0
    alerts: int = 0
    judgements: int = 0
    left: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """What was erased, by its name."""
        return {name: value for name, value in vars(self).items() if name != "left"}


def forget_watched(folder: Path, names: Collection[str]) -> Forgotten:
    """Erase people from a watch list, with the alerts about them.

    Args:
        folder: Of the answers (`answers.answers_folder`); may be missing.
        names: Of the people, on the watch list.
    """
    if not folder.is_dir():
        return Forgotten()
    alerts = AlertLog(folder).forget(people=names)
    before, after = WatchList(folder).change(
        lambda people: tuple(one for one in people if one.name not in names)
    )
    return Forgotten(examples=_count(before) - _count(after), people=len(before) - len(after), alerts=alerts)


def forget_erased(gallery: Gone, folder: Path, *, only: Collection[str] | None = None) -> Forgotten:
    """Erase what a gallery's receipts say was erased there, and alerts and feedback about what is gone.

    Examples are known by their vector's hash, which a receipt holds, or, where another model has embedded the
    gallery since they were added, by their id that is gone and the hash of their name. A watched person's own
    end and not the gallery's retention decides about examples that were removed by age.

    A damaged file hinders no other: what cannot be cleaned is in `left`, and in the log.

    Args:
        gallery: The gallery.
        folder: Of the answers; may be missing.
        only: Tracklets that are gone; None: all that are not in the gallery.
    """
    if not folder.is_dir():
        return Forgotten()
    watch, log, cases, left = WatchList(folder), AlertLog(folder), Cases(folder), list[str]()
    damaged: dict[str, str] = {}
    receipts = [r for r in gallery.receipts(damaged) if r.kind == "erase" and not r.dry_run]
    for text in damaged.values():  # of older erasures; `gallery check` says so, too
        _log.warning("%s", text)
    people: tuple[Watched, ...] = ()
    told: set[str] = set()
    with _noted(left):
        people = watch.people
    with _noted(left):
        told |= log.tracklets()
    told |= cases.ids()
    told |= {one.id for person in people for one in person.examples if one.id is not None}
    gone = told - gallery.present(told) if only is None else told & set(only)

    def kept(people: tuple[Watched, ...]) -> tuple[Watched, ...]:
        return without_examples(people, lambda one: _erased(one, receipts, gone))

    nobody = {person.name for person in people} - {person.name for person in kept(people)}
    # The watch list comes last: it says whose alerts go with them, also after a kill.
    alerts = judgements = 0
    with _noted(left):
        alerts = log.forget(tracklets=gone, people=nobody)
    with _noted(left):
        judgements = cases.forget(gone, left)
    before, after = people, people
    if people:
        with _noted(left):
            before, after = watch.change(kept)
    for text in left:
        _log.warning("%s may still tell of somebody who was erased: %s", folder, text)
    return Forgotten(
        examples=_count(before) - _count(after),
        people=len(before) - len(after),
        alerts=alerts,
        judgements=judgements,
        left=tuple(left),
    )


@contextmanager
def _noted(left: list[str]) -> Iterator[None]:
    """Note what cannot be read or written, and go on."""
    try:
        yield
    except XReidError as error:
        left.append(str(error))


def _erased(example: WatchExample, receipts: Sequence[Receipt], gone: Collection[str]) -> bool:
    known, left = hash_of_vector(example.vector), example.id in gone
    return any(known in receipt.vectors or (left and receipt.is_of(example.name)) for receipt in receipts)


def _count(people: Sequence[Watched]) -> int:
    return sum(len(person.examples) for person in people)
