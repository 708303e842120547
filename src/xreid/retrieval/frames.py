"""Frames of a video file or of a folder of images, one after the other, readable again from any anchor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One decoded frame.

    Attributes:
        number: Position in the source from 1, or None for a frame before the anchor (warm-up).
        image: uint8 [H, W, 3], BGR.
        time_s: Seconds since the first frame.
    """

    number: int | None
    image: Image
    time_s: float


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A place to read on from.

    Attributes:
        number: Number of the next frame, from 1.
        pts: Timestamp of the frame before it, in the stream's units; None where timestamps are of no use.
    """

    number: int = 1
    pts: int | None = None


class Reading(Protocol):
    """One pass over a stretch of frames; the counts are final once it is exhausted."""

    @property
    def next(self) -> Anchor:
        """Where the following stretch starts."""
        ...

    @property
    def damaged(self) -> int:
        """Frames of the stretch that could not be decoded at all."""
        ...

    @property
    def concealed(self) -> int:
        """Frames of the stretch that the decoder repaired; they are used."""
        ...

    @property
    def ended(self) -> bool:
        """No frame is left."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, warm-up first."""
        ...


class FrameSource(Protocol):
    """What frames come from.

    Attributes:
        path: The file or folder.
        fps: Frames a second.
        total: Number of frames as the container states or its duration suggests, or None.
        stated: Number of frames as the container states it, or None.
    """

    path: Path
    fps: float
    total: int | None
    stated: int | None

    def read(self, anchor: Anchor, *, count: int, warmup_s: float) -> Reading:
        """At most `count` frames from the anchor on, after those of `warmup_s` seconds before it."""
        ...

    def stamp(self, seconds: float) -> int | None:
        """The last timestamp before that many seconds; None where timestamps are of no use."""
        ...


class Continued:
    """Frames of a recording that goes on where another one ends: the other's end is the warm-up.

    Args:
        source: The recording.
        before: What came before.
    """

    def __init__(self, source: FrameSource, before: FrameSource) -> None:
        self.source, self.before = source, before
        self.path, self.fps, self.total, self.stated = source.path, source.fps, source.total, source.stated

    def read(self, anchor: Anchor, *, count: int, warmup_s: float) -> Reading:
        """At most `count` frames from the anchor on, after those of `warmup_s` seconds before it."""
        reading = self.source.read(anchor, count=count, warmup_s=warmup_s)
        if anchor.number > 1 or warmup_s <= 0 or not self.before.total:
            return reading
        end = self.before.read(self._tail(warmup_s, self.before.total), count=self.before.total, warmup_s=0.0)
        return _Joined(reading, end)

    def stamp(self, seconds: float) -> int | None:
        """Of the recording itself."""
        return self.source.stamp(seconds)

    def _tail(self, seconds: float, total: int) -> Anchor:
        """Where the last seconds of what came before begin; reached by seeking where its times allow that."""
        number = max(1, total - round(seconds * self.before.fps) + 1)
        pts = self.before.stamp((number - 1) / self.before.fps) if number > 1 else None
        return Anchor(number=number, pts=pts)


class _Joined:
    """A reading with another one's frames before it, as warm-up."""

    def __init__(self, reading: Reading, warmup: Reading) -> None:
        self._reading, self._warmup = reading, warmup

    @property
    def next(self) -> Anchor:
        """Where the following stretch starts."""
        return self._reading.next

    @property
    def damaged(self) -> int:
        """Of the reading, not of the warm-up."""
        return self._reading.damaged

    @property
    def concealed(self) -> int:
        """Likewise."""
        return self._reading.concealed

    @property
    def ended(self) -> bool:
        """No frame is left."""
        return self._reading.ended

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, warm-up first."""
        for frame in self._warmup:
            yield replace(frame, number=None)
        yield from self._reading


def open_frames(path: Path, *, fps: float | None = None) -> FrameSource:
    """Open a video file, or a folder of images in natural order of their names.

    Args:
        path: The file or folder.
        fps: Frame rate of a folder (default 10), or of a video whose container names none (default 25).

    Raises:
        DataError: The path is missing, no video, or an empty folder.
    """
    from xreid.retrieval.image_folder import FolderFrames
    from xreid.retrieval.video import VideoFrames

    return FolderFrames(path, fps=fps) if path.is_dir() else VideoFrames(path, fps=fps)


def to_8_bit(grey: npt.NDArray[Any]) -> Image:
    """Map a grey image of more than 8 bits to 0..255 between its 0.5 and 99.5 percentiles.

    Args:
        grey: [H, W], any number type; thermal cameras give 14 or 16 bits of which a scene uses a small part.
    """
    low, high = np.percentile(grey, (0.5, 99.5))
    scaled = (grey.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.clip(scaled, 0, 255).astype(np.uint8)
