"""Looking at the gallery: facts, cameras, tracklets, their frames and clips."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse

import xreid
from xreid.core.tracklets import Tracklet
from xreid.retrieval.search import SCORE_NOTE
from xreid.serving.auth import Here, Viewer
from xreid.serving.clips import GONE, read_frame
from xreid.serving.config import MIB
from xreid.serving.ids import TrackletId
from xreid.serving.problems import Refusal
from xreid.serving.schemas import CameraView, Filters, GalleryView, Page, SetView, TrackletView
from xreid.serving.searching import measured

router = APIRouter(prefix="/api/v1", tags=["gallery"])
PRIVATE = "private, max-age=600"
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


@router.get("/gallery")
def gallery_facts(who: Viewer, site: Here) -> GalleryView:
    """The gallery and what this server can do with it."""
    gallery, meaning = site.backend.gallery, site.backend.meaning()
    origin = gallery.origin
    return GalleryView(
        name=gallery.name,
        tracklets=len(gallery),
        sets=[
            SetView(key=s.key, name=s.name, rows=s.rows, erased=s.erased, appended=s.appended)
            for s in gallery.sets
        ],
        places=list(gallery.places),
        calibrated=meaning is not None,
        note=SCORE_NOTE if meaning is None else meaning.note(),
        holds=None if meaning is None else meaning.holds(),
        measured=None if meaning is None else measured(meaning),
        model=None if origin is None else origin.checkpoint[:12],
        source=None if origin is None else origin.source,
        licence=None if origin is None else origin.licence,
        uploads=site.backend.checkpoint is not None,
        imports=site.config.imports is not None,
        footage=bool(site.config.footage),
        graph=site.backend.graph is not None,
        upload_bytes=site.config.limits.upload_mib * MIB,
        version=xreid.__version__,
    )


@router.get("/cameras")
def cameras(who: Viewer, site: Here) -> list[CameraView]:
    """What each camera has seen, and when."""
    return [
        CameraView(
            name=camera.camera,
            place=camera.place,
            visible=camera.visible,
            infrared=camera.infrared,
            first_s=camera.first_s,
            last_s=camera.last_s,
            hours=sorted(camera.hours.items()),
        )
        for camera in site.backend.cameras()
    ]


def filters(
    modality: Literal["vis", "ir"] | None = None,
    camera: Annotated[list[str] | None, Query(max_length=500)] = None,
    place: Annotated[list[str] | None, Query(max_length=500)] = None,
    from_s: Annotated[float | None, Query(ge=-1e12, le=1e12, allow_inf_nan=False)] = None,
    to_s: Annotated[float | None, Query(ge=-1e12, le=1e12, allow_inf_nan=False)] = None,
    known: bool = False,
    min_quality: Annotated[float | None, Query(ge=0, le=1)] = None,
    label: Annotated[list[str] | None, Query(max_length=50)] = None,
    set_name: Annotated[list[str] | None, Query(alias="set", max_length=500)] = None,
) -> Filters:
    """The filters of a list, from its address."""
    return Filters(
        modality=modality,
        cameras=[text[:200] for text in camera or []],
        places=[text[:200] for text in place or []],
        from_s=from_s,
        to_s=to_s,
        known=known,
        min_quality=min_quality,
        labels=[text[:200] for text in label or []],
        sets=[text[:200] for text in set_name or []],
    )


@router.get("/tracklets")
def tracklets(
    who: Viewer,
    site: Here,
    wanted: Annotated[Filters, Depends(filters)],
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    offset: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page:
    """Tracklets in order of time, those of unknown time last.

    `cursor` goes on from the page before, whatever is appended meanwhile; `offset` enters the list anywhere.
    """
    if cursor is not None and offset:
        raise Refusal(422, "a page begins after a cursor or at an offset", got="both")
    rules, gallery = wanted.rules(), site.backend.gallery
    after = None if cursor is None else _after(cursor)
    found = gallery.page(rules, after=after, limit=limit + 1, skip=offset)
    more = len(found) > limit
    return Page(
        items=[TrackletView.of(entry) for entry in found[:limit]],
        total=gallery.count(rules),
        next=_cursor(found[limit - 1].id) if more else None,
    )


@router.get("/tracklets/{tracklet}")
def one_tracklet(tracklet: TrackletId, who: Viewer, site: Here) -> TrackletView:
    """One tracklet."""
    return TrackletView.of(site.backend.entry(tracklet))


@router.get("/tracklets/{tracklet}/frames/{number}", response_class=Response, responses=JPEG)
def frame(
    tracklet: TrackletId,
    number: int,
    who: Viewer,
    site: Here,
    request: Request,
    height: Annotated[int | None, Query(ge=16, le=2160)] = None,
) -> Response:
    """A frame of a tracklet as JPEG, counted from 0; `middle` of it is frames // 2."""
    entry = site.backend.entry(tracklet)
    return frame_response(entry.tracklet, entry.root, number, height=height, request=request)


@router.get(
    "/tracklets/{tracklet}/clip.mp4",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}, 206: {"content": {"video/mp4": {}}}},
)
def clip(tracklet: TrackletId, who: Viewer, site: Here) -> FileResponse:
    """A tracklet as a short moving clip; ranges can be asked for, so that players can seek."""
    entry = site.backend.entry(tracklet)
    return clip_response(site.clips.of(entry.tracklet, entry.root))


def clip_response(path: Path) -> FileResponse:
    """A clip, kept by the browser for a while."""
    return FileResponse(path, media_type="video/mp4", headers={"cache-control": PRIVATE})


def frame_response(
    row: Tracklet, root: Path, number: int, *, height: int | None, request: Request
) -> Response:
    """A frame, decoded and encoded anew, at most `height` pixels high."""
    if not 0 <= number < len(row.frames):
        raise Refusal(404, f"{row.name} has no frame {number}", expected=f"0 to {len(row.frames) - 1}")
    image = read_frame(root, row.frames[number])
    if image is None:
        raise Refusal(404, f"frame {number} of {row.name} cannot be read", todo=GONE)
    if height is not None and image.height > height:
        image = image.resize((max(1, image.width * height // image.height), height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    data = buffer.getvalue()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": PRIVATE}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/jpeg", headers=headers)


def _cursor(entry_id: str) -> str:
    return base64.urlsafe_b64encode(f"1:{entry_id}".encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("1:"):
        raise Refusal(400, "the cursor is none of ours", todo="Begin with the first page.")
    return text[2:]
