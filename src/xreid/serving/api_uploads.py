"""Files to search with, or to take in; and the queries made of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.spectrum import CHROMA_LIMIT
from xreid.retrieval.uploaded_queries import StoredQuery
from xreid.serving.api_gallery import JPEG, clip_response, frame_response
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.ids import Id
from xreid.serving.problems import Refusal
from xreid.serving.schemas import NewQuery, QueryView, UploadView
from xreid.serving.site import Site
from xreid.serving.uploads import Upload

router = APIRouter(prefix="/api/v1", tags=["uploads"])
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/uploads", status_code=201, openapi_extra=_BYTES)
async def upload(
    request: Request, who: Operator, site: Here, name: Annotated[str, Query(max_length=200)] = "file"
) -> UploadView:
    """Send the bytes of an image or a video. It is looked at, kept for a while, and then deleted."""
    folder, sha256, size = await site.uploads.receive(request.stream())
    kept = await run_in_threadpool(
        site.uploads.keep, folder, sha256=sha256, size=size, name=name, owner=who.name
    )
    site.audit.write(who.name, "upload", {"sha256": sha256, "bytes": size, "kind": kept.kind.name})
    return _upload_view(kept)


@router.get("/uploads/{upload_id}")
def one_upload(upload_id: Id, who: Operator, site: Here) -> UploadView:
    """What was sent."""
    return _upload_view(_mine(site, upload_id, who.name))


@router.delete("/uploads/{upload_id}", status_code=204)
def delete_upload(upload_id: Id, who: Operator, site: Here) -> None:
    """Delete what was sent."""
    if upload_id in site.jobs.uploads_in_use():
        raise Refusal(409, "a job still needs this upload", todo="Cancel the job first.")
    _mine(site, upload_id, who.name)
    site.uploads.kept.delete(upload_id)


@router.get("/uploads/{upload_id}/picture", response_class=Response, responses=JPEG)
def upload_picture(
    upload_id: Id,
    who: Operator,
    site: Here,
    at_s: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)] = 0.0,
    height: Annotated[int, Query(ge=16, le=1080)] = 720,
) -> Response:
    """A picture of an upload at a moment, to draw the box on; browsers know fewer formats than we do."""
    found, room = _mine(site, upload_id, who.name), site.queries.kept.room()
    try:
        asked = {"from_s": at_s, "to_s": at_s, "frames": 1, "height": height}
        files = site.uploads.pictures(found, room, **asked).files
        if not files:
            raise Refusal(404, "the video has no frame there", expected=f"0 to {found.seconds:g} s")
        return Response((room / files[0]).read_bytes(), media_type="image/jpeg")
    finally:
        shutil.rmtree(room, ignore_errors=True)


@router.post("/queries", status_code=201)
def make_query(asked: NewQuery, who: Operator, site: Here) -> QueryView:
    """Cut a person out of uploads, and embed the pictures, so that they can be searched for."""
    site.backend.require_model()
    uploads = [_mine(site, cut.upload, who.name) for cut in asked.cuts]
    room = site.queries.kept.room()
    try:
        frames, chroma = _cut(site, asked, uploads, room)
        guessed = asked.modality == "auto"
        likely = Modality.VISIBLE if chroma > CHROMA_LIMIT else Modality.INFRARED
        modality = likely if guessed else Modality(asked.modality)
        name = asked.name.strip() or uploads[0].name
        row = Tracklet(name=name, frames=frames, modality=modality)
        query = site.queries.keep(
            room,
            name=name,
            owner=who.name,
            modality=modality,
            guessed=guessed,
            frames=frames,
            uploads=[found.sha256 for found in uploads],
            vector=site.backend.embed([row], room)[0],
        )
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return query_view(query)


@router.get("/queries/{query_id}")
def one_query(query_id: Id, who: Viewer, site: Here) -> QueryView:
    """A query made of uploads."""
    return query_view(site.queries.get(query_id))


@router.delete("/queries/{query_id}", status_code=204)
def delete_query(query_id: Id, who: Operator, site: Here) -> None:
    """Delete a query and its pictures."""
    site.queries.get(query_id)
    if query_id in site.cases.queries_in_use():
        raise Refusal(409, "a case needs this query", todo="Take it out of the case first.")
    site.queries.kept.delete(query_id)


@router.get("/queries/{query_id}/frames/{number}", response_class=Response, responses=JPEG)
def query_frame(
    query_id: Id,
    number: int,
    who: Viewer,
    site: Here,
    request: Request,
    height: Annotated[int | None, Query(ge=16, le=2160)] = None,
) -> Response:
    """A picture of a query."""
    query = site.queries.get(query_id)
    return frame_response(query.tracklet, site.queries.root(query), number, height=height, request=request)


@router.get(
    "/queries/{query_id}/clip.mp4",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}},
)
def query_clip(query_id: Id, who: Viewer, site: Here) -> FileResponse:
    """A query as a moving clip."""
    query = site.queries.get(query_id)
    return clip_response(site.clips.of(query.tracklet, site.queries.root(query)))


def query_view(query: StoredQuery) -> QueryView:
    """As the API shows it."""
    return QueryView(
        id=query.id, name=query.name, modality=query.modality, guessed=query.guessed, frames=len(query.frames)
    )


def _cut(site: Site, asked: NewQuery, uploads: list[Upload], room: Path) -> tuple[tuple[str, ...], float]:
    """The asked parts of all uploads as pictures in one folder, and their mean chroma."""
    frames, chromas = list[str](), list[float]()
    for number, (cut, upload) in enumerate(zip(asked.cuts, uploads, strict=True)):
        out = room / f"{number:02d}"
        out.mkdir()
        many = {"frames": site.config.limits.query_frames} if upload.kind.what == "video" else {}
        seen = site.uploads.pictures(
            upload, out, box=_valid(cut.box), from_s=cut.from_s, to_s=cut.to_s, any_length=False, **many
        )
        frames += [f"{out.name}/{file}" for file in seen.files]
        chromas.append(seen.chroma)
    if not frames:
        raise Refusal(422, "no picture could be cut from the uploads", todo="Choose another stretch.")
    return tuple(frames), sum(chromas) / len(chromas)


def _valid(box: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
    if box is not None and (box[0] >= box[2] or box[1] >= box[3]):
        raise Refusal(
            422, "the box has no area", expected="left < right and top < bottom, as shares", got=str(box)
        )
    return box


def _mine(site: Site, upload_id: str, who: str) -> Upload:
    """An upload of this person's; those of others do not exist for them."""
    found = site.uploads.get(upload_id)
    if found.owner != who:
        raise Refusal(404, f"there is no upload {upload_id}")
    return found


def _upload_view(found: Upload) -> UploadView:
    return UploadView(
        id=found.id,
        name=found.name,
        what=found.kind.what,
        format=found.kind.name,
        sha256=found.sha256,
        size=found.size,
        width=found.width,
        height=found.height,
        seconds=found.seconds,
        likely="vis" if found.chroma > CHROMA_LIMIT else "ir",
    )
