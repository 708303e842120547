"""A folder of images read as a video: natural order of names, one image a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from xreid.core.errors import DataError
from xreid.data.names import IMAGE_SUFFIXES, natural_key
from xreid.retrieval.frames import Anchor, Frame, Image, to_8_bit

_DEFAULT_FPS = 10.0


class FolderFrames:
    """Frames of a folder; a file's place in the order is its frame number, readable or not.

    Args:
        path: The folder; only images directly inside it count.
        fps: Frame rate that times are made from.

    Raises:
        DataError: The folder holds no image.
    """

    def __init__(self, path: Path, *, fps: float | None = None) -> None:
        self.path, self.fps = path, fps or _DEFAULT_FPS
        files = (
            p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
        )
        self.files = sorted(files, key=lambda file: natural_key(file.name))
        self.total: int | None = len(self.files)
        self.stated: int | None = None  # damaged files are counted one by one
        if not self.files:
            raise DataError(f"{path} holds no images", expected="a video file, or a folder of images")

    def read(self, anchor: Anchor, *, count: int, warmup_s: float) -> FolderReading:
        """At most `count` frames from the anchor on, after those of `warmup_s` seconds before it."""
        return FolderReading(self, anchor, count=count, warmup_s=warmup_s)

    def stamp(self, seconds: float) -> None:
        """Images have no timestamps."""


class FolderReading:
    """One pass over a stretch of a folder (see `frames.Reading`)."""

    def __init__(self, source: FolderFrames, anchor: Anchor, *, count: int, warmup_s: float) -> None:
        self.source, self.anchor = source, anchor
        self.warm = range(max(1, anchor.number - round(warmup_s * source.fps)), anchor.number)
        self.last = min(anchor.number + count - 1, len(source.files))
        self.next, self.damaged, self.concealed = anchor, 0, 0
        self.ended = self.last >= len(source.files)

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, warm-up first."""
        for number in (*self.warm, *range(self.anchor.number, self.last + 1)):
            image = read_image(self.source.files[number - 1])
            inside = number >= self.anchor.number
            if inside:
                self.next = Anchor(number=number + 1)
                self.damaged += image is None
            if image is not None:
                time_s = (number - 1) / self.source.fps
                yield Frame(number=number if inside else None, image=image, time_s=time_s)


def read_image(path: Path) -> Image | None:
    """uint8 [H, W, 3] BGR, or None where the file is damaged; more than 8 bits are stretched to 8."""
    pixels = cv2.imread(str(path), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None or pixels.size == 0:
        return None
    if pixels.ndim == 2:
        grey = pixels if pixels.dtype == np.uint8 else to_8_bit(pixels)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if pixels.dtype != np.uint8:
        return np.asarray(cv2.convertScaleAbs(pixels, alpha=1 / 257), dtype=np.uint8)
    return np.asarray(pixels, dtype=np.uint8)
