"""Cases: what is searched for, what was confirmed and rejected and by whom. One JSON file each.

They lie among the gallery's answers: the page, the API and the command line work on the same ones, and
erasing a person from the gallery takes the person out of them (`forgetting`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json, write_json
from xreid.retrieval.answers import changing
from xreid.retrieval.feedback import Feedback
from xreid.retrieval.kept import NotHereError, is_id, make_folder, new_id

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

    def all(self) -> list[Case]:
        """All cases, newest first."""
        if not self.folder.is_dir():
            return []
        paths = [path for path in self.folder.glob("[0-9a-f]*.json") if is_id(path.stem)]
        found = [case for path in paths if (case := self._case(path)) is not None]
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
        """
        found = [case for case in self.all() if text in (case.id, case.title)]
        if len(found) > 1:
            raise ConfigError(
                f"several cases are called {text[:80]!r}",
                expected="the id of one: " + ", ".join(f"{c.id} ({c.owner}, {c.made})" for c in found[:8]),
            )
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
        """Delete a case."""
        with changing(self.answers):
            self.get(name)
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            self._read.pop(name, None)

    def ids(self) -> set[str]:
        """All tracklets that a case names."""
        return {one for case in self.all() for one in _named(case)}

    def forget(self, tracklets: Collection[str]) -> int:
        """Take erased tracklets out of every case; returns how often one was named."""
        gone, count = set(tracklets), 0
        for seen in self.all() if gone else ():
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
        return count

    def queries_in_use(self) -> set[str]:
        """Queries that a case still needs."""
        return {query for case in self.all() for query in case.queries}

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
        raise DataError(f"case {path} is damaged", got=str(error), todo="Put it aside.") from error
