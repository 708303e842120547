"""Video files of any container, decoded with PyAV; damaged packets are counted, not fatal."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from xreid.core.errors import DataError
from xreid.retrieval.frames import Anchor, Frame, Image, to_8_bit

_DEFAULT_FPS = 25.0
_PROBE = 32  # frames


class VideoFrames:
    """Frames of a video file.

    Args:
        path: The file.
        fps: Frame rate to assume where the container names none.

    Raises:
        DataError: The file is missing, no video, or has no picture stream.
    """

    def __init__(self, path: Path, *, fps: float | None = None) -> None:
        self.path = path
        with open_container(path) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            self.fps = float(rate) if rate else fps or _DEFAULT_FPS
            self.time_base = float(stream.time_base or 1 / self.fps)
            self.start = int(stream.start_time or 0)
            self.stated: int | None = stream.frames or None
            self.total = self.stated or self._estimate(container, stream)
        self.timed = self._has_times()

    def read(self, anchor: Anchor, *, count: int, warmup_s: float) -> VideoReading:
        """At most `count` frames from the anchor on, after those of `warmup_s` seconds before it."""
        return VideoReading(self, anchor, count=count, warmup_s=warmup_s)

    def stamp(self, seconds: float) -> int | None:
        """The last timestamp before that many seconds; None where timestamps are of no use."""
        return self.start + int(seconds / self.time_base) - 1 if self.timed else None

    def _has_times(self) -> bool:
        reading = VideoReading(self, Anchor(), count=_PROBE, warmup_s=0.0)
        with open_container(self.path) as container:
            rise = times_rise(reading.pictures(container))
        if rise is None:
            raise DataError(f"no frame of {self.path} can be decoded", todo="Check the file.")
        return rise

    def _estimate(self, container: Any, stream: Any) -> int | None:
        if stream.duration:
            return max(1, round(stream.duration * self.time_base * self.fps))
        if container.duration:
            return max(1, round(container.duration / av.time_base * self.fps))
        return None


def times_rise(pictures: Iterable[Any]) -> bool | None:
    """Whether timestamps rise over the first frames; in AVI files they often follow decoding order.

    Args:
        pictures: Decoded by PyAV, from the video's start.

    Returns:
        None where there are no pictures.
    """
    stamps = [picture.pts for picture in islice(pictures, _PROBE)]
    return (None not in stamps and all(a < b for a, b in pairwise(stamps))) if stamps else None


class VideoReading:
    """One pass over a stretch of a video (see `frames.Reading`).

    Where timestamps rise from frame to frame, a later stretch is reached by seeking; else by decoding the
    file from its start and counting, which is slower and just as exact.
    """

    def __init__(self, source: VideoFrames, anchor: Anchor, *, count: int, warmup_s: float) -> None:
        self.source, self.anchor, self.count, self.warmup_s = source, anchor, count, warmup_s
        self.next, self.damaged, self.concealed, self.ended = anchor, 0, 0, False
        self._active = False  # whether the anchor has been reached, so that damage belongs to this stretch

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order, warm-up first."""
        last = self.anchor.pts if self.anchor.number > 1 else None
        sought = last is not None and (yield from self._after_seek(last))
        if not sought:
            yield from self._counting()

    def _after_seek(self, last: int) -> Generator[Frame, None, bool]:
        """Seek before the anchor and read on; False, with nothing yielded, where that is impossible."""
        target = last - round(self.warmup_s / self.source.time_base)
        with open_container(self.source.path) as container:
            try:
                container.seek(
                    max(target, self.source.start), stream=container.streams.video[0], backward=True
                )
            except av.error.FFmpegError:
                return False
            found = False
            for picture in self.pictures(container):
                if not found and (picture.pts is None or picture.pts > last):
                    return False  # landed behind the anchor: frames would be lost
                found = True
                if self._active or picture.pts is None or picture.pts > last:
                    self._active = True
                    yield self._numbered(picture)
                    if self._full():
                        return True
                elif picture.pts > target:
                    yield self._frame(picture, number=None)
            self.ended = found
            return found

    def _counting(self) -> Iterator[Frame]:
        warm_from = self.anchor.number - round(self.warmup_s * self.source.fps)
        with open_container(self.source.path) as container:
            self._active = self.anchor.number == 1
            for number, picture in enumerate(self.pictures(container), start=1):
                if number >= self.anchor.number:
                    self._active = True
                    yield self._numbered(picture)
                    if self._full():
                        return
                elif number >= warm_from:
                    yield self._frame(picture, number=None, place=number)
        self.ended = True

    def pictures(self, container: Any) -> Iterator[Any]:
        """Decoded pictures from where the container stands; counts packets that cannot be decoded."""
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                pictures = packet.decode() if packet is not None else []
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.damaged += self._active
                continue
            if packet is None:
                return
            yield from pictures

    def _numbered(self, picture: Any) -> Frame:
        frame = self._frame(picture, number=self.next.number)
        self.concealed += bool(getattr(picture, "is_corrupt", False))
        first = self.next.number == 1
        rising = (
            self.source.timed
            and picture.pts is not None
            and (first or (self.next.pts is not None and picture.pts > self.next.pts))
        )
        self.next = Anchor(number=self.next.number + 1, pts=picture.pts if rising else None)
        return frame

    def _full(self) -> bool:
        return self.next.number - self.anchor.number >= self.count

    def _frame(self, picture: Any, *, number: int | None, place: int = 0) -> Frame:
        if self.source.timed and picture.pts is not None:
            time_s = (picture.pts - self.source.start) * self.source.time_base
        else:
            time_s = ((number or place or self.anchor.number) - 1) / self.source.fps
        return Frame(number=number, image=_pixels(picture), time_s=time_s)


def _pixels(picture: Any) -> Image:
    """uint8 [H, W, 3] BGR, upright; grey pictures of more than 8 bits are stretched to 8."""
    components = picture.format.components
    if len(components) == 1 and components[0].bits > 8:
        grey = to_8_bit(picture.to_ndarray(format="gray16le"))
        image = np.repeat(grey[:, :, None], 3, axis=2)
    else:
        image = picture.to_ndarray(format="bgr24")
    turns = round(getattr(picture, "rotation", 0) / 90) % 4  # counterclockwise, from the display matrix
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def open_container(path: Path) -> Any:
    """The file, opened with PyAV.

    Raises:
        DataError: It is missing, no video, or has no picture stream.
    """
    if not path.exists():
        raise DataError(f"video {path} does not exist", todo="Check the path.")
    # Importing some torchvisions (0.24 for one) makes FFmpeg log through Python; a decoder's threads then
    # wait for the interpreter while closing them waits for the threads, forever.
    av.logging.set_level(None)
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DataError(
            f"cannot read {path} as a video",
            expected="a video file, or a folder of images",
            got=f"{path.stat().st_size} bytes: {getattr(error, 'strerror', None) or error}",
        ) from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path} has no picture stream", expected="a video file")
    return container
