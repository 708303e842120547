"""Cases: what is searched for, what was confirmed and rejected and by whom. One JSON file each."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from xreid.core.errors import XReidError
from xreid.core.files import read_json, write_json
from xreid.serving.ids import checked, new_id
from xreid.serving.problems import Refusal

Word = Literal["confirmed", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What somebody said about a tracklet.

    Attributes:
        tracklet: Its id.
        verdict: confirmed or rejected.
        who: Who said so.
        at: When, ISO 8601 UTC.
    """

    tracklet: str
    verdict: Word
    who: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A case.

    Attributes:
        id: 16 hexadecimal digits.
        title: In the operator's words.
        note: More of them.
        owner: Who opened it.
        made: When, ISO 8601 UTC.
        tracklets: Ids of the tracklets that are searched for.
        queries: Ids of the queries made of uploads that are searched for.
        judgements: At most one per tracklet, in the order in which they were made.
    """

    id: str
    title: str
    note: str
    owner: str
    made: str
    tracklets: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    judgements: tuple[Judgement, ...] = ()

    def judged(self, verdict: Word) -> tuple[str, ...]:
        """Ids of the tracklets with this verdict."""
        return tuple(j.tracklet for j in self.judgements if j.verdict == verdict)


class Cases:
    """The cases of a server.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise XReidError(f"cannot write {folder}: {error.strerror}") from error
        self._cases = {case.id: case for case in map(_read, sorted(folder.glob("[0-9a-f]*.json")))}

    def all(self) -> list[Case]:
        """All cases, newest first."""
        return sorted(self._cases.values(), key=lambda case: (case.made, case.id), reverse=True)

    def get(self, name: str) -> Case:
        """A case.

        Raises:
            Refusal: 404: there is none.
        """
        try:
            return self._cases[name]
        except KeyError:
            raise Refusal(404, f"there is no case {name[:40]}") from None

    def open(
        self, *, title: str, note: str, owner: str, tracklets: Collection[str], queries: Collection[str]
    ) -> Case:
        """A new case."""
        case = Case(
            id=new_id(),
            title=title,
            note=note,
            owner=owner,
            made=now(),
            tracklets=tuple(tracklets),
            queries=tuple(queries),
        )
        with self._lock:
            return self._write(case)

    def change(self, name: str, **values: Any) -> Case:
        """Change what a case says."""
        with self._lock:
            return self._write(replace(self.get(name), **values))

    def judge(self, name: str, tracklet: str, verdict: Word | None, *, who: str) -> Case:
        """Confirm or reject a tracklet, or take that back (None)."""
        with self._lock:
            case = self.get(name)
            kept = tuple(j for j in case.judgements if j.tracklet != tracklet)
            new = (
                () if verdict is None else (Judgement(tracklet=tracklet, verdict=verdict, who=who, at=now()),)
            )
            return self._write(replace(case, judgements=kept + new))

    def delete(self, name: str) -> None:
        """Delete a case."""
        with self._lock:
            self.get(name)
            (self.folder / f"{checked(name, what='case')}.json").unlink(missing_ok=True)
            del self._cases[name]

    def forget(self, tracklets: Collection[str]) -> None:
        """Take erased tracklets out of every case."""
        gone = set(tracklets)
        with self._lock:
            for case in list(self._cases.values()):
                kept = replace(
                    case,
                    tracklets=tuple(t for t in case.tracklets if t not in gone),
                    judgements=tuple(j for j in case.judgements if j.tracklet not in gone),
                )
                if kept != case:
                    self._write(kept)

    def queries_in_use(self) -> set[str]:
        """Queries that a case still needs."""
        return {query for case in self._cases.values() for query in case.queries}

    def _write(self, case: Case) -> Case:
        write_json(self.folder / f"{case.id}.json", asdict(case))
        self._cases[case.id] = case
        return case


def now() -> str:
    """ISO 8601 UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Case:
    plain = read_json(path, what="case")
    try:
        return Case(
            **{
                **plain,
                "tracklets": tuple(plain["tracklets"]),
                "queries": tuple(plain["queries"]),
                "judgements": tuple(Judgement(**one) for one in plain["judgements"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise XReidError(f"case {path} is damaged", got=str(error), todo="Put it aside.") from error
