"""The moment in the recording that a tracklet was cut from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from xreid.core.tracklets import Tracklet
from xreid.retrieval.gallery import Entry
from xreid.retrieval.moments import Moment, Track, best_moment, moments, tracks_of
from xreid.serving.api_gallery import JPEG, PRIVATE, clip_response
from xreid.serving.auth import Here, Operator, Viewer
from xreid.serving.ids import TrackletId
from xreid.serving.problems import Refusal
from xreid.serving.schemas import MomentView, TrackView
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1/tracklets/{tracklet}", tags=["moments"])
FrameNumber = Annotated[
    int | None, Query(ge=0, le=10**9, description="Frame of the tracklet; default the one that shows it best")
]


@router.get("/moment")
def moment_facts(tracklet: TrackletId, who: Viewer, site: Here, frame: FrameNumber = None) -> MomentView:
    """Where a frame of a tracklet comes from: recording, second, time, box."""
    entry = site.backend.entry(tracklet)
    chosen, all_of_it = _moment(entry, frame)
    offsets = [one.offset_s for one in all_of_it if one.offset_s is not None]
    why_not = site.footage.why_not(chosen)
    return MomentView(
        file=site.footage.name_of(chosen),
        tracklet_frame=_number(entry.tracklet, chosen),
        frame=chosen.frame,
        offset_s=chosen.offset_s,
        time_s=chosen.time_s,
        box=chosen.box,
        camera=entry.tracklet.camera,
        from_s=min(offsets, default=None),
        to_s=max(offsets, default=None),
        tracks=[_track(entry.tracklet, one) for one in tracks_of(all_of_it)],
        shown=not why_not,
        why_not=why_not,
    )


@router.get("/moment.jpg", response_class=Response, responses=JPEG)
def moment_picture(
    tracklet: TrackletId,
    who: Operator,
    site: Here,
    frame: FrameNumber = None,
    height: Annotated[int, Query(ge=64, le=1080)] = 720,
) -> Response:
    """The whole picture of that moment, with the box drawn."""
    chosen, _ = _moment(site.backend.entry(tracklet), frame)
    data = site.footage.picture(chosen, height=height)
    _write_down(site, who.name, tracklet, chosen)
    return Response(data, media_type="image/jpeg", headers={"cache-control": PRIVATE})


@router.get(
    "/moment.mp4",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}, 206: {"content": {"video/mp4": {}}}},
)
def moment_clip(
    tracklet: TrackletId,
    who: Operator,
    site: Here,
    frame: FrameNumber = None,
    seconds: Annotated[float, Query(ge=2, le=20, allow_inf_nan=False)] = 10.0,
) -> FileResponse:
    """The recording around that moment, with the box drawn as it moves; ranges can be asked for."""
    chosen, all_of_it = _moment(site.backend.entry(tracklet), frame)
    clip = site.footage.clip(chosen, all_of_it, seconds=seconds)
    _write_down(site, who.name, tracklet, chosen)  # each piece of it, too: any range may be nearly all of it
    return clip_response(clip)


def _moment(entry: Entry, frame: int | None) -> tuple[Moment, list[Moment]]:
    """The moment of a frame of a tracklet, and all of them."""
    row = entry.tracklet
    if frame is not None and frame >= len(row.frames):
        raise Refusal(404, f"{row.name} has no frame {frame}", expected=f"0 to {len(row.frames) - 1}")
    found = moments(entry.root, row.name)
    if not found:
        raise Refusal(
            404,
            f"nobody wrote down where {row.name} was seen",
            expected="a tracklet that `xreid ingest` has cut out of a recording",
        )
    chosen = best_moment(found, file=None if frame is None else row.frames[frame])
    if chosen is None:
        raise Refusal(404, f"nobody wrote down where frame {frame} of {row.name} was seen")
    return chosen, found


def _track(row: Tracklet, track: Track) -> TrackView:
    return TrackView(
        from_s=track.first.time_s,
        to_s=track.last.time_s,
        first=_number(row, track.first),
        last=_number(row, track.last),
        cosine=track.joined,
    )


def _number(row: Tracklet, moment: Moment) -> int | None:
    return row.frames.index(moment.file) if moment.file in row.frames else None


def _write_down(site: Site, who: str, tracklet: str, moment: Moment) -> None:
    entry = {"tracklet": tracklet, "recording": moment.source, "frame": moment.frame}
    site.audit.write(who, "moment shown", entry)
