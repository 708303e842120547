"""`xreid search --case NAME`: the cases of the page, on the command line."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.retrieval.cases import Case, Cases
    from xreid.retrieval.feedback import Feedback
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.queries import AnyQuery, Query


class OpenCase:
    """A case to go on with, or the name of one to open.

    Args:
        gallery: What is searched.
        answers: Folder of its answers; what was erased from the gallery is erased from it first.
        name: Id or title.

    Raises:
        ConfigError: Several cases have that title.
    """

    def __init__(self, gallery: Gallery, answers: Path, name: str) -> None:
        from xreid.retrieval.cases import Cases
        from xreid.retrieval.forgetting import forget_erased

        forget_erased(gallery, answers)
        self.gallery, self.answers, self.name = gallery, answers, name
        self.cases: Cases = Cases(answers)
        self.case: Case | None = self.cases.called(name)
        self.opened = False  # by `judged`

    @property
    def number(self) -> str | None:
        """Id of the case; None before it was opened."""
        return None if self.case is None else self.case.id

    def tell(self, write: Callable[..., None], *, confirm: Sequence[str], reject: Sequence[str]) -> None:
        """Write down what was said just now, by names or ids of tracklets."""
        if self.opened:
            write("case opened", case=self.number, tracklets=list(self.case.tracklets if self.case else ()))
        for names, verdict in ((confirm, "confirmed"), (reject, "rejected")):
            for name in names:
                write(verdict, case=self.number, tracklet=self.gallery.find(name).id)

    def queries(self) -> list[Query]:
        """Whom the case searches for: tracklets of the gallery, and pictures uploaded to the page."""
        from xreid.retrieval.queries import queries_of
        from xreid.retrieval.uploaded_queries import Queries

        if self.case is None:
            return []
        found = queries_of(self.gallery, self.gallery.entries(self.case.tracklets))
        return [*found, *map(Queries(self.answers).query, self.case.queries)]

    def judged(
        self, asking: Sequence[AnyQuery], *, confirm: Sequence[str], reject: Sequence[str]
    ) -> Feedback:
        """What was said before and now; a new case is opened with what is asked with. Written down at once.

        Args:
            asking: The queries.
            confirm: Ids of tracklets that are the person.
            reject: Ids of tracklets that are somebody else.
        """
        who, own = _user(), [one.id for query in asking for one in query.examples if one.id is not None]
        kept = self._keep([one for query in asking for one in query.examples if one.id is None], who)
        self.opened = self.case is None
        case = self.case or self.cases.open(
            title=self.name, note="", owner=who, tracklets=tuple(dict.fromkeys(own)), queries=kept
        )
        if set(kept) - set(case.queries):
            case = self.cases.change(case.id, queries=(*case.queries, *kept))
        for one in confirm:
            case = self.cases.judge(case.id, one, "confirmed", who=who)
        for one in reject:
            case = self.cases.judge(case.id, one, "rejected", who=who)
        self.case = case
        known = {one.tracklet for one in case.judgements}
        return case.feedback(known - set(own))

    def _keep(self, asking: Sequence[Query], who: str) -> list[str]:
        """Keep pictures that are asked with, as the page does with uploads; ids of those that are new."""
        from xreid.retrieval.uploaded_queries import Queries

        queries = Queries(self.answers)
        there = [] if self.case is None else queries.known(self.case.queries)
        known = [queries.query(one.id).vector for one in there]
        kept = []
        for one in asking:
            if any(np.array_equal(one.vector, vector) for vector in known):
                continue  # the case's own, or asked with before
            name = queries.keep_files(one, owner=who)
            if name is None:
                print(
                    f"search: {one.name} is not kept in the case: no picture of it can be read",
                    file=sys.stderr,
                )
                continue
            kept.append(name)
            known.append(one.vector)
        return kept


def open_case(gallery: Gallery, name: str | None, state: Path | None) -> OpenCase | None:
    """The case that --case names; none without.

    Raises:
        ConfigError: The gallery is on a server, and no folder was named for what is kept.
    """
    from xreid.retrieval.answers import answers_folder

    if name is None:
        return None
    if not name.strip():
        raise ConfigError("--case names no case", expected="the id or the title of one, or a new title")
    return OpenCase(gallery, answers_folder(gallery, state), name)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
