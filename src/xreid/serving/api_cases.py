"""Cases: what was confirmed and rejected, the way of a person over the cameras, and a file to hand on."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Response

from xreid.core.errors import DataError, ProtocolError
from xreid.retrieval.cases import now
from xreid.retrieval.gallery import Entry
from xreid.serving.api_uploads import query_view
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.case_page import case_page
from xreid.serving.ids import Id, TrackletId
from xreid.serving.problems import Refusal
from xreid.serving.schemas import TrackletView
from xreid.serving.schemas_cases import CaseChange, CaseFile, CaseView, NewCase, NewJudgement
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])


@router.get("")
def list_cases(who: Viewer, site: Here, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[CaseView]:
    """All cases, newest first; before them those whose files are damaged."""
    damaged: dict[str, str] = {}
    sound = [CaseView.of(case) for case in site.cases.all(damaged)]
    broken = [CaseView.of_damaged(name, _without_folder(site, why)) for name, why in damaged.items()]
    return [*broken, *sound][:limit]


@router.post("", status_code=201)
def open_case(asked: NewCase, who: Operator, site: Here) -> CaseView:
    """Open a case."""
    _require(site, asked.tracklets, asked.queries)
    case = site.cases.open(
        title=asked.title, note=asked.note, owner=who.name, tracklets=asked.tracklets, queries=asked.queries
    )
    site.audit.write(who.name, "case opened", {"case": case.id, "tracklets": list(case.tracklets)})
    return CaseView.of(case)


@router.get("/{case_id}")
def one_case(case_id: Id, who: Viewer, site: Here) -> CaseFile:
    """A case with its tracklets."""
    case = site.cases.get(case_id)
    named = (*case.tracklets, *(one.tracklet for one in case.judgements))
    known = {entry.id: entry for entry in site.backend.known(named)}
    uploaded = site.queries.known(case.queries)
    return CaseFile(
        case=CaseView.of(case),
        searched_for=[TrackletView.of(known[name]) for name in case.tracklets if name in known],
        uploaded=[query_view(query) for query in uploaded],
        confirmed=[
            TrackletView.of(e) for e in in_time([known[n] for n in case.judged("confirmed") if n in known])
        ],
        rejected=[TrackletView.of(known[name]) for name in case.judged("rejected") if name in known],
        missing=len(set(named)) - len(known) + len(case.queries) - len(uploaded),
    )


@router.patch("/{case_id}")
def change_case(case_id: Id, asked: CaseChange, who: Operator, site: Here) -> CaseView:
    """Change what a case says, or whom it searches for."""
    values = asked.model_dump(exclude_none=True)
    _require(site, asked.tracklets or [], asked.queries or [])
    changed = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    case = site.cases.change(case_id, **changed)
    site.audit.write(who.name, "case changed", {"case": case_id, "what": sorted(values)})
    return CaseView.of(case)


@router.delete("/{case_id}", status_code=204)
def delete_case(case_id: Id, who: Operator, site: Here) -> None:
    """Delete a case, with the uploaded pictures that only it needs."""
    queries: set[str] = set()
    damaged = {}
    try:
        queries = set(site.cases.get(case_id).queries)
    except DataError:  # it can be deleted; its pictures go when their time is over
        damaged = {"damaged": True}
    site.audit.write(who.name, "case deleted", {"case": case_id, **damaged})
    site.cases.delete(case_id)
    with suppress(DataError):  # another that is damaged may need them
        for query in queries - site.cases.queries_in_use():
            site.queries.kept.delete(query)


@router.put("/{case_id}/judgements/{tracklet}")
def judge(case_id: Id, tracklet: TrackletId, asked: NewJudgement, who: Operator, site: Here) -> CaseView:
    """Confirm or reject a tracklet: whoever looked at the frames says whether it is the same person."""
    site.cases.get(case_id)
    site.backend.entry(tracklet)
    site.audit.write(who.name, asked.verdict, {"case": case_id, "tracklet": tracklet})
    return CaseView.of(site.cases.judge(case_id, tracklet, asked.verdict, who=who.name))


@router.delete("/{case_id}/judgements/{tracklet}")
def take_back(case_id: Id, tracklet: TrackletId, who: Operator, site: Here) -> CaseView:
    """Take a judgement back."""
    site.cases.get(case_id)
    site.audit.write(who.name, "judgement taken back", {"case": case_id, "tracklet": tracklet})
    return CaseView.of(site.cases.judge(case_id, tracklet, None, who=who.name))


@router.post("/{case_id}/export", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def export_case(case_id: Id, who: Operator, site: Here) -> Response:
    """The case as one HTML file: pictures inside, a hash of each part, to print or to hand on."""
    case = site.cases.get(case_id)
    html, sha256 = case_page(site, case, exported_by=who.name, at=now())
    site.audit.write(who.name, "case exported", {"case": case_id, "sha256": sha256})
    headers = {
        "content-disposition": f'attachment; filename="case-{case_id}.html"',
        "x-content-sha256": sha256,
        "content-security-policy": "default-src 'none'; sandbox",
    }
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def in_time(entries: list[Entry]) -> list[Entry]:
    """In order of time, unknown times last."""
    return sorted(
        entries, key=lambda e: (math.inf if e.tracklet.start_s is None else e.tracklet.start_s, e.id)
    )


def _without_folder(site: Site, text: str) -> str:
    """A message of which a client need not learn where the server keeps its files."""
    return text.replace(f"{site.cases.folder}/", "cases/")


def _require(site: Site, tracklets: list[str], queries: list[str]) -> None:
    """Refuse what is not there."""
    try:
        site.backend.gallery.entries(tracklets)
        for query in queries:
            site.queries.get(query)
    except ProtocolError as error:
        raise Refusal(422, error.what, todo=error.todo) from error
