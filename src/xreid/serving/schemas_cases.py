"""What cases take and give."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from xreid.retrieval.cases import Case
from xreid.serving.schemas import EntryId, Model, Name, QueryView, StoredId, TrackletView, Word


class NewCase(Model):
    """A case to open."""

    title: Name
    note: Annotated[str, Field(max_length=4000)] = ""
    tracklets: list[EntryId] = Field(default=[], max_length=20)
    queries: list[StoredId] = Field(default=[], max_length=20)


class CaseChange(Model):
    """What to change of a case; what is left out stays."""

    title: Name | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None
    tracklets: list[EntryId] | None = Field(default=None, max_length=20)
    queries: list[StoredId] | None = Field(default=None, max_length=20)


class NewJudgement(Model):
    """What is said of a tracklet."""

    verdict: Word


class JudgementView(Model):
    """What was said of a tracklet."""

    tracklet: str
    verdict: Word
    who: str
    at: str


class CaseView(Model):
    """A case."""

    id: str
    title: str
    note: str
    owner: str
    made: str
    tracklets: list[str]
    queries: list[str]
    judgements: list[JudgementView]
    damaged: str = Field(default="", description="Why it cannot be read; then nothing else of it is known")

    @classmethod
    def of_damaged(cls, name: str, why: str) -> CaseView:
        """One that cannot be read, so that it shows in the list."""
        nothing: dict[str, list[str]] = {"tracklets": [], "queries": []}
        title = f"(cases/{name}.json cannot be read)"
        return cls(id=name, title=title, note="", owner="", made="", judgements=[], damaged=why, **nothing)

    @classmethod
    def of(cls, case: Case) -> CaseView:
        """From what is stored."""
        return cls(
            id=case.id,
            title=case.title,
            note=case.note,
            owner=case.owner,
            made=case.made,
            tracklets=list(case.tracklets),
            queries=list(case.queries),
            judgements=[JudgementView(**vars(one)) for one in case.judgements],
        )


class CaseFile(Model):
    """A case, opened: with the tracklets that it names."""

    case: CaseView
    searched_for: list[TrackletView]
    uploaded: list[QueryView]
    confirmed: list[TrackletView] = Field(description="In order of time; unknown times last")
    rejected: list[TrackletView]
    missing: int = Field(description="Tracklets that are not in the gallery any more, and queries likewise")
