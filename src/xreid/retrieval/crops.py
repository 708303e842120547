"""Cutting persons out of frames, and keeping the crops of each tracklet until there are enough of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from xreid.retrieval.frames import Image
from xreid.retrieval.mot import TrackedBox

_QUALITY = 95
FRAMES = "frames"
SHORT = "short"  # folder of an ingest for tracklets that are too short: the same files as beside it

XYWH = tuple[float, float, float, float]  # left, top, width, height; pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop:
    """One person in one frame, cut out.

    Attributes:
        frame: Frame number from 1.
        x: Left edge of the person's box in pixels, inside the frame.
        y: Top edge.
        width: Pixels.
        height: Pixels.
        score: The detector's confidence.
        time_s: Seconds since the first frame.
        chroma: Of the whole frame (see `spectrum`).
        sharpness: Of the picture, 0 to 1 (see `quality`).
        hidden: Share of the person that is hidden, 0 to 1 (see `quality`).
        jpeg: The picture, with margin; empty once it lies on disk.
    """

    frame: int
    x: float
    y: float
    width: float
    height: float
    score: float
    time_s: float
    chroma: float
    sharpness: float = 1.0
    hidden: float = 0.0
    jpeg: bytes = b""

    def box(self, track: int) -> TrackedBox:
        """As a row of a MOT file."""
        return TrackedBox(
            frame=self.frame,
            track=track,
            x=self.x,
            y=self.y,
            width=self.width,
            height=self.height,
            score=self.score,
        )


@dataclass(frozen=True, kw_only=True)
class Cutter:
    """Cuts boxes out of a frame.

    Attributes:
        margin: Pixels to add at each side, as a share of the box's width and height.
        min_height: Least height in pixels of the part of a box that lies inside the frame.
    """

    margin: float
    min_height: int

    def clip(self, image: Image, box: XYWH) -> XYWH | None:
        """The part of a box (x, y, width, height) inside the frame, or None where it is too small."""
        x, y, width, height = box
        left, top = max(0.0, x), max(0.0, y)
        right, bottom = min(float(image.shape[1]), x + width), min(float(image.shape[0]), y + height)
        if right - left < max(2.0, 0.25 * self.min_height) or bottom - top < self.min_height:
            return None
        return left, top, right - left, bottom - top

    def cut(self, image: Image, box: XYWH) -> Image:
        """The box with its margin, uint8 [h, w, 3]; a view of the frame."""
        x, y, width, height = box
        across, down = self.margin * width, self.margin * height
        left, top = max(0, round(x - across)), max(0, round(y - down))
        right, bottom = round(x + width + across), round(y + height + down)
        return image[top:bottom, left:right]


def as_jpeg(image: Image) -> bytes:
    """As JPEG of quality 95."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done, "OpenCV encodes any 8-bit picture"
    return data.tobytes()


class CropWriter:
    """Writes the crops of tracklets that reach a least length; those of shorter ones lie apart, in `short`.

    Args:
        out: Folder of the ingest.
        min_frames: Least number of crops.
        name_of: Name of the tracklet for a key, asked once its crops are enough.
    """

    def __init__(self, out: Path, *, min_frames: int, name_of: Callable[[int], str]) -> None:
        self.out, self.min_frames, self.name_of = out, min_frames, name_of
        self.short: dict[str, list[Crop]] = {}
        self.names: dict[int, str] = {}
        self.written: dict[str, list[Crop]] = {}
        self._waiting: dict[int, list[Crop]] = defaultdict(list)

    def add(self, key: int, crop: Crop) -> None:
        """One more crop of the tracklet `key`."""
        if key in self.names:
            self._write(self.names[key], crop)
            return
        waiting = self._waiting[key]
        waiting.append(crop)
        if len(waiting) >= self.min_frames:
            self._begin(key)

    def go_on(self, key: int, name: str) -> None:
        """What comes under this key belongs to a tracklet that began before the cut, however short it is."""
        self.names[key] = name
        self.written[name] = []

    def release(self, *, since: float) -> None:
        """Write short ones that were seen at that time (seconds) or later: they may go on after a cut."""
        for key in [key for key, held in self._waiting.items() if held[-1].time_s >= since]:
            self._begin(key)

    def forget(self, *, before: int) -> None:
        """Put tracklets apart that were last seen before that frame without reaching the least length."""
        for key in [key for key, held in self._waiting.items() if held[-1].frame < before]:
            self._put_apart(key)

    def close(self) -> None:
        """Put all tracklets apart that have not reached the least length."""
        for key in list(self._waiting):
            self._put_apart(key)

    def _put_apart(self, key: int) -> None:
        name = self.name_of(key)
        self.short[name] = []
        for held in self._waiting.pop(key):
            self._put(self.out / SHORT, name, held, among=self.short[name])

    def _begin(self, key: int) -> None:
        name = self.names[key] = self.name_of(key)
        self.written[name] = []
        for held in self._waiting.pop(key):
            self._write(name, held)

    def _write(self, name: str, crop: Crop) -> None:
        self._put(self.out, name, crop, among=self.written[name])

    @staticmethod
    def _put(folder: Path, name: str, crop: Crop, *, among: list[Crop]) -> None:
        if not among:
            (folder / FRAMES / name).mkdir(parents=True, exist_ok=True)
        (folder / frame_file(name, crop.frame)).write_bytes(crop.jpeg)
        among.append(replace(crop, jpeg=b""))


def frame_file(name: str, frame: int) -> str:
    """Where a crop lies, relative to the ingest's folder."""
    return f"{FRAMES}/{name}/{frame:06d}.jpg"


def put_apart(out: Path, name: str) -> None:
    """Move the crops of a tracklet of an ingest to those that are too short; done already, if killed here."""
    before, after = out / FRAMES / name, out / SHORT / FRAMES / name
    if before.is_dir():
        after.parent.mkdir(parents=True, exist_ok=True)
        before.rename(after)
