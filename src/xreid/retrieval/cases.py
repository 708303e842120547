"""Cases: what is searched for, what was confirmed and rejected and by whom. One JSON file each.

They lie among the gallery's answers: the page, the API and the command line work on the same ones, and
erasing a person from the gallery takes the person out of them (`forgetting`).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, write_json
from xreid.retrieval.answers import changing
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.kept import TRACKLET_ID, NotHereError, is_id, make_folder, new_id
from xreid.retrieval.typed import record

FOLDER = "cases"
Word = Literal["confirmed", "rejected"]
_LONGEST_TITLE = 200
_Stamp = tuple[int, int, int]


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

    def feedback(self, known: Collection[str]) -> Feedback:
        """What was said of those tracklets that are known."""
        return Feedback(
            confirmed=tuple(one for one in self.judged("confirmed") if one in known),
            rejected=tuple(one for one in self.judged("rejected") if one in known),
        )


class Cases:
    """The cases of a gallery; what others change in the folder is seen at the next call.

    Args:
        answers: Folder of the gallery's answers.
    """

    def __init__(self, answers: Path) -> None:
        self.answers, self.folder = answers, answers / FOLDER
        self._read: dict[str, tuple[_Stamp, Case]] = {}

    def all(self, damaged: dict[str, str] | None = None) -> list[Case]:
        """All cases, newest first.

        Args:
            damaged: Takes, by id, what is wrong with those that cannot be read, which are left out.

        Raises:
            DataError: One cannot be read, and no `damaged` was given.
        """
        found = []
        for path in self._paths():
            try:
                case = self._case(path)
            except DataError as error:
                if damaged is None:
                    raise
                damaged[path.stem] = str(error)
                continue
            found += [] if case is None else [case]
        return sorted(found, key=lambda case: (case.made, case.id), reverse=True)

    def get(self, name: str) -> Case:
        """A case.

        Raises:
            NotHereError: There is none.
        """
        found = self._case(self.folder / f"{name}.json") if is_id(name) else None
        if found is None:
            raise NotHereError(f"there is no case {name[:40]}")
        return found

    def called(self, text: str) -> Case | None:
        """The case of that id or title; None where there is none.

        Raises:
            ConfigError: Several have that title.
            DataError: None has, and one cannot be read, which may be it.
        """
        damaged: dict[str, str] = {}
        found = [case for case in self.all(damaged) if text in (case.id, case.title)]
        if len(found) > 1:
            raise ConfigError(
                f"several cases are called {text[:80]!r}",
                expected="the id of one: " + ", ".join(f"{c.id} ({c.owner}, {c.made})" for c in found[:8]),
            )
        if damaged and not found:
            self._case(self.folder / f"{min(damaged)}.json")
        return found[0] if found else None

    def open(
        self, *, title: str, note: str, owner: str, tracklets: Collection[str], queries: Collection[str]
    ) -> Case:
        """A new case.

        Raises:
            ConfigError: The title is empty, too long, or not to be printed.
        """
        case = Case(
            id=new_id(),
            title=_valid(title),
            note=note,
            owner=owner,
            made=now(),
            tracklets=tuple(tracklets),
            queries=tuple(queries),
        )
        make_folder(self.folder)
        with changing(self.answers):
            return self._write(case)

    def change(self, name: str, **values: Any) -> Case:
        """Change what a case says.

        Raises:
            NotHereError: There is none.
            ConfigError: The title is empty, too long, or not to be printed.
        """
        _valid(values.get("title", "-"))
        with changing(self.answers):
            return self._write(replace(self.get(name), **values))

    def judge(self, name: str, tracklet: str, verdict: Word | None, *, who: str) -> Case:
        """Confirm or reject a tracklet, or take that back (None)."""
        with changing(self.answers):
            case = self.get(name)
            kept = tuple(j for j in case.judgements if j.tracklet != tracklet)
            new = (
                () if verdict is None else (Judgement(tracklet=tracklet, verdict=verdict, who=who, at=now()),)
            )
            return self._write(replace(case, judgements=kept + new))

    def delete(self, name: str) -> None:
        """Delete a case, also one that cannot be read."""
        with changing(self.answers):
            with suppress(DataError):
                self.get(name)
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            self._read.pop(name, None)

    def ids(self) -> set[str]:
        """All tracklets that a case names, also one that is damaged."""
        damaged: dict[str, str] = {}
        sound = {one for case in self.all(damaged) for one in _named(case)}
        return sound.union(*(self._ids_in(name) or () for name in damaged))

    def forget(self, tracklets: Collection[str], left: list[str] | None = None) -> int:
        """Take erased tracklets out of every case.

        Args:
            tracklets: Their ids.
            left: Takes what is wrong with cases that cannot be read and may name one of them.

        Returns:
            How often one was named.

        Raises:
            DataError: A case cannot be read and may name one of them, and no `left` was given. All others are
                cleaned.
        """
        gone, count, damaged = set(tracklets), 0, dict[str, str]()
        for seen in self.all(damaged) if gone else ():
            if gone.isdisjoint(_named(seen)):
                continue
            with changing(self.answers):
                case = self._case(self.folder / f"{seen.id}.json")
                if case is None:
                    continue
                kept = replace(
                    case,
                    tracklets=tuple(t for t in case.tracklets if t not in gone),
                    judgements=tuple(j for j in case.judgements if j.tracklet not in gone),
                )
                count += len(_named(case)) - len(_named(kept))
                self._write(kept)
        faults = [why for name, why in damaged.items() if (ids := self._ids_in(name)) is None or ids & gone]
        if faults and left is None:
            raise DataError(faults[0])
        if left is not None:
            left += faults
        return count

    def queries_in_use(self) -> set[str]:
        """Queries that a case still needs.

        Raises:
            DataError: A case cannot be read, so that nobody knows which it needs.
        """
        return {query for case in self.all() for query in case.queries}

    def _paths(self) -> list[Path]:
        found = self.folder.glob("[0-9a-f]*.json") if self.folder.is_dir() else ()
        return sorted(path for path in found if is_id(path.stem))

    def _ids_in(self, name: str) -> set[str] | None:
        """Ids of tracklets in the bytes of a damaged case; None where they cannot be read."""
        try:
            data = (self.folder / f"{name}.json").read_bytes()
        except FileNotFoundError:
            return set()
        except OSError:
            return None
        return {found.decode() for found in TRACKLET_ID.findall(data)}

    def _write(self, case: Case) -> Case:
        write_json(self.folder / f"{case.id}.json", asdict(case))
        return case

    def _case(self, path: Path) -> Case | None:
        """A case, read again only where its file has changed; None where it is not there."""
        try:
            found = path.stat()
        except FileNotFoundError:
            self._read.pop(path.stem, None)
            return None
        stamp = found.st_mtime_ns, found.st_size, found.st_ino
        known = self._read.get(path.stem)
        if known is None or known[0] != stamp:
            try:
                known = self._read[path.stem] = stamp, _from_file(path)
            except DataError:
                if path.exists():
                    raise
                return None  # deleted meanwhile
        return known[1]


def now() -> str:
    """ISO 8601 UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _valid(title: str) -> str:
    if not title.strip() or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise ConfigError(
            "that is no title of a case",
            expected=f"1 to {_LONGEST_TITLE} printable characters",
            got=repr(title[:40]),
        )
    return title


def _named(case: Case) -> tuple[str, ...]:
    return (*case.tracklets, *(one.tracklet for one in case.judgements))


def _from_file(path: Path) -> Case:
    try:
        found = record(Case, read_json(path, what="case"))
        if found.id != path.stem:
            raise ValueError(f"its id is {found.id[:40]!r}")
    except (DataError, ValueError) as error:
        raise DataError(
            f"case {path} is damaged",
            got=str(error)[:200],
            todo="Restore it from a backup, or delete the file.",
        ) from error
    return found
