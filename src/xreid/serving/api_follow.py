"""Following a person through an uploaded clip from a drawn box, so that the box can be checked."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from fastapi import APIRouter
from pydantic import Field

from xreid.retrieval.crops import XYWH
from xreid.retrieval.follow_box import follow_box
from xreid.retrieval.frames import Image
from xreid.serving.auth import Here, Operator
from xreid.serving.decoding import Decoded
from xreid.serving.ids import Id
from xreid.serving.problems import Refusal
from xreid.serving.schemas import Model, Share
from xreid.serving.site import Site

router = APIRouter(prefix="/api/v1", tags=["uploads"])
_RATE, _MOST, _HEIGHT = 10, 100, 360  # pictures a second, pictures, pixels
Second = Annotated[float, Field(ge=0, le=1e6)]
ShareBox = tuple[Share, Share, Share, Share]


class NewFollow(Model):
    """A box at a moment of a clip, and how far to follow it."""

    at_s: Second
    box: ShareBox = Field(description="Left, top, right, bottom as shares of the picture")
    from_s: Second
    to_s: Second


class FollowedBox(Model):
    """Where the person is."""

    at_s: float
    box: ShareBox


class FollowView(Model):
    """Where the person was followed to, in order of time; moments at which he was lost are missing."""

    boxes: list[FollowedBox]


@router.post("/uploads/{upload_id}/follow")
def follow(upload_id: Id, asked: NewFollow, who: Operator, site: Here) -> FollowView:
    """Follow a box forward and backward from its moment, about ten pictures a second, until it is lost."""
    if asked.box[0] >= asked.box[2] or asked.box[1] >= asked.box[3] or asked.from_s > asked.to_s:
        raise Refusal(422, "the box has no area, or the stretch no length")
    before = _pictures(site, who.name, upload_id, asked.from_s, min(asked.at_s, asked.to_s))
    after = _pictures(site, who.name, upload_id, asked.at_s, asked.to_s)
    here = after[:1] or before[-1:]
    back = _followed([*here, *reversed(before)], asked.box)
    there = _followed(after, asked.box)
    found = {round(one.at_s, 3): one for one in (*back, *there)}
    return FollowView(boxes=[found[at] for at in sorted(found)])


def _pictures(site: Site, who: str, upload_id: str, start: float, end: float) -> list[tuple[float, Image]]:
    """Moments and grey pictures of a stretch of a video of this person's."""
    upload = site.uploads.get(upload_id)
    if upload.owner != who or upload.kind.what != "video":
        raise Refusal(404, f"there is no video {upload_id}")
    frames = min(_MOST, max(1, math.ceil((end - start) * _RATE)))
    with tempfile.TemporaryDirectory(dir=site.footage.work) as room:
        stretch = {"from_s": start, "to_s": max(start, end), "frames": frames}
        seen: Decoded = site.uploads.pictures(upload, Path(room), height=_HEIGHT, **stretch)
        greys = [cv2.imread(str(Path(room, file)), cv2.IMREAD_GRAYSCALE) for file in seen.files]
    return [
        (at, np.asarray(grey, dtype=np.uint8))
        for at, grey in zip(seen.times, greys, strict=True)
        if grey is not None
    ]


def _followed(pictures: list[tuple[float, Image]], box: ShareBox) -> list[FollowedBox]:
    """The box in each of the pictures, which begin with the one that it was drawn on."""
    if not pictures:
        return []
    height, width = pictures[0][1].shape
    drawn: XYWH = (
        box[0] * width,
        box[1] * height,
        (box[2] - box[0]) * width,
        (box[3] - box[1]) * height,
    )
    places = follow_box([grey for _, grey in pictures], drawn)
    return [
        FollowedBox(at_s=at, box=_shares(place, width, height))
        for (at, _), place in zip(pictures, places, strict=True)
        if place is not None
    ]


def _shares(place: XYWH, width: int, height: int) -> ShareBox:
    """A box in pixels as shares, cut at the borders."""
    x, y, w, h = place
    edges = (x / width, y / height, (x + w) / width, (y + h) / height)
    return tuple(min(1.0, max(0.0, edge)) for edge in edges)  # type: ignore[return-value]
