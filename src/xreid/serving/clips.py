"""Tracklets as short moving clips: H.264 in MP4, encoded when first asked for and kept for a while.

Pictures go one by one from the disk to the encoder, and one clip is encoded at a time: in memory are one
decoded picture, and the 40 or so frames of clip size that the encoder looks ahead (30 MB at 960 x 540).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from xreid.core.files import atomic_file
from xreid.core.tracklets import Tracklet
from xreid.serving.problems import Refusal

_HEIGHT, _MOST_FRAMES = 256, 150  # pixels, and frames: at most 15 s at 10 a second
_SLOWEST, _USUAL, _FASTEST = 2.0, 10.0, 25.0  # frames a second
_ENCODERS = ("libx264", "libopenh264", "libvpx-vp9")
_KEPT_BYTES = 512 * 1024 * 1024
_UNREADABLE = (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError)


GONE = "They are no longer kept, or have moved."


class EmptyError(Exception):
    """There is no picture to make a clip of."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Pictures to make a clip of.

    Attributes:
        sizes: Width and height of each, as its file says.
        images: Gives them one by one; those that cannot be read after all are left out.
        fps: How many a second to show.
    """

    sizes: Sequence[tuple[int, int]]
    images: Iterable[Image.Image]
    fps: float


class Clips:
    """Makes and keeps clips.

    Args:
        folder: Where they lie; may be emptied at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()  # one at a time: encoding is short, and the other cores have work
        self._emptied = 0

    def of(self, row: Tracklet, root: Path) -> Path:
        """The clip of a tracklet.

        Raises:
            Refusal: 404 where none of its frames can be read.
        """

        @contextmanager
        def strip() -> Iterator[Strip]:
            sizes = {frame: size for frame in _chosen(row) if (size := _size_of(root, frame)) is not None}
            images = (image for frame in sizes if (image := read_frame(root, frame)) is not None)
            yield Strip(sizes=list(sizes.values()), images=images, fps=frames_a_second(row))

        try:
            return self.kept(_key(row, root), strip)
        except EmptyError:
            raise Refusal(404, f"no frame of {row.name} can be read", todo=GONE) from None

    def kept(
        self, key: str, make: Callable[[], AbstractContextManager[Strip]], *, height: int = _HEIGHT
    ) -> Path:
        """The clip of that key, made where it is not there.

        Args:
            key: Hexadecimal digits that stand for all that decides what it shows.
            make: Gives the pictures, for as long as it is entered.
            height: Most pixels of height.

        Raises:
            EmptyError: No picture can be read.
            Refusal: 404: people were erased while it was made, of whom it may show one.
        """
        path = self.folder / f"{key}.mp4"
        with self._lock:
            if path.is_file():
                path.touch()
                return path
            begun = self._emptied
        with make() as strip, self._lock:
            if begun != self._emptied:
                raise Refusal(404, "people were erased meanwhile", todo="Ask again.")
            self._make_room()
            with atomic_file(path) as temporary:
                encode(strip, temporary, height=height)
        return path

    def forget(self) -> None:
        """Delete all clips; after people have been erased they must not live on here."""
        with self._lock:
            self._emptied += 1
            for path in self.folder.glob("*.mp4"):
                path.unlink(missing_ok=True)

    def sweep(self, *, older_than_s: float) -> None:
        """Delete clips that nobody has asked for since: the pictures may be gone from the disk meanwhile."""
        with self._lock:
            for path in self.folder.glob("*.mp4"):
                if path.stat().st_mtime < time.time() - older_than_s:
                    path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        held = sorted(self.folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for path in held:
            total += path.stat().st_size
            if total > _KEPT_BYTES:
                path.unlink(missing_ok=True)


def read_frame(root: Path, frame: str) -> Image.Image | None:
    """A frame as RGB; None where it cannot be read or lies outside of its root.

    Whatever a table names, only pictures leave: the file is decoded here and encoded anew.
    """
    path = _inside(root, frame)
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except _UNREADABLE:
        return None


def _size_of(root: Path, frame: str) -> tuple[int, int] | None:
    """Width and height of a frame, without decoding it; None as `read_frame`."""
    path = _inside(root, frame)
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            return image.size
    except _UNREADABLE:
        return None


def _inside(root: Path, frame: str) -> Path | None:
    path = (root / frame).resolve()
    inside = Path(frame).is_absolute() or path.is_relative_to(root.resolve())
    return path if inside and path.is_file() else None


def frames_a_second(row: Tracklet) -> float:
    """The pace at which the frames were taken, within what can be watched; the usual one where unknown."""
    if row.start_s is None or row.end_s is None or row.end_s <= row.start_s:
        return _USUAL
    return min(_FASTEST, max(_SLOWEST, (len(_chosen(row)) - 1) / (row.end_s - row.start_s)))


def encode(strip: Strip, path: Path, *, height: int = _HEIGHT) -> None:
    """Write pictures as a video with its index in front, each in its own proportions on a common size.

    Raises:
        EmptyError: There is none.
    """
    images = iter(strip.images)
    first = next(images, None)
    if first is None:
        raise EmptyError
    wide, high = _size(strip.sizes, most=height)
    name = next(name for name in _ENCODERS if name in av.codecs_available)
    # A key frame every second or so: players can go to any of them.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream(name, rate=Fraction(strip.fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.options = {"crf": "24", "g": "10", "preset": "veryfast"} if "264" in name else {"crf": "32"}
        for image in chain((first,), images):
            frame = av.VideoFrame.from_ndarray(np.asarray(_fitted(image, wide, high)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _chosen(row: Tracklet) -> tuple[str, ...]:
    """Frames evenly spread, where there are more than a clip takes."""
    count = len(row.frames)
    if count <= _MOST_FRAMES:
        return row.frames
    return tuple(row.frames[i * count // _MOST_FRAMES] for i in range(_MOST_FRAMES))


def _size(sizes: Sequence[tuple[int, int]], *, most: int) -> tuple[int, int]:
    """Even numbers of pixels, of the middle proportion."""
    shape = sorted(width / height for width, height in sizes)[len(sizes) // 2]
    height = min(most, max(64, max(height for _, height in sizes)))
    even = height + height % 2
    return max(16, 2 * round(even * min(shape, 2.0) / 2)), even


def _fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new("RGB", (width, height))
    canvas.paste(image.resize(size), ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def _key(row: Tracklet, root: Path) -> str:
    first = root / row.frames[0]
    stamp = first.stat().st_mtime_ns if first.is_file() else 0
    return hashlib.sha256(repr((str(root), row.frames, row.start_s, row.end_s, stamp)).encode()).hexdigest()[
        :32
    ]
