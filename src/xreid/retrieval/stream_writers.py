"""Packets of a stream into a file: copied where they are compressed, encoded where they are raw."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import av

_COPIED = ("h264", "hevc", "mjpeg", "mpeg4", "mpeg2video", "vp8", "vp9", "av1")
_WRITTEN_AT_ONCE = {
    "flush_packets": "1",
    "cluster_time_limit": "1000",
}  # so that a kill costs a second at most


class SegmentWriter(Protocol):
    """A growing file.

    Attributes:
        path: The file.
        start_s: Unix time of its first frame.
    """

    path: Path
    start_s: float

    def write(self, packet: Any) -> None:
        """Append a packet of the stream."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def writer_for(stream: Any, path: Path, *, start_s: float) -> SegmentWriter:
    """The right writer for a stream of an open container."""
    if stream.codec_context.name in _COPIED:
        return _Copying(stream, path, start_s=start_s)
    return _Encoding(stream, path, start_s=start_s)


def may_begin(packet: Any) -> bool:
    """Whether a file may begin with this packet of a stream: a key frame, or a whole raw picture."""
    return bool(packet.is_keyframe) or packet.stream.codec_context.name not in _COPIED


class _Copying:
    """Packets as they are; times begin at 0, packets whose times do not rise are left out."""

    def __init__(self, stream: Any, path: Path, *, start_s: float) -> None:
        self.path, self.start_s = path, start_s
        self._container = av.open(str(path), "w", format="matroska", options=_WRITTEN_AT_ONCE)
        self._stream = self._container.add_stream_from_template(stream)
        self._first: int | None = None
        self._last: int | None = None

    def write(self, packet: Any) -> None:
        """Append a packet."""
        dts = packet.dts if packet.dts is not None else packet.pts
        pts = packet.pts if packet.pts is not None else dts
        if self._first is None:
            self._first = pts
        if self._last is not None and dts <= self._last:
            return
        self._last = dts
        packet.pts, packet.dts = pts - self._first, dts - self._first
        packet.stream = self._stream
        self._container.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        self._container.close()


class _Encoding:
    """Decoded and encoded again: H.264 where the library has it, else MPEG-4."""

    def __init__(self, stream: Any, path: Path, *, start_s: float) -> None:
        self.path, self.start_s = path, start_s
        self._container = av.open(str(path), "w", format="matroska", options=_WRITTEN_AT_ONCE)
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        rate = stream.average_rate or stream.guessed_rate or 25
        written: Any = self._container.add_stream(codec, rate=rate)
        written.width, written.height = stream.codec_context.width, stream.codec_context.height
        written.pix_fmt = "yuv420p"
        self._stream = written
        self._stream.codec_context.time_base = stream.time_base
        self._stream.options = (
            {"preset": "veryfast", "crf": "20", "tune": "zerolatency"} if codec == "libx264" else {}
        )
        self._first: int | None = None

    def write(self, packet: Any) -> None:
        """Append a packet's pictures."""
        for picture in packet.decode():
            if picture.pts is None:
                continue
            if self._first is None:
                self._first = picture.pts
            picture.pts -= self._first
            picture.pict_type = av.video.frame.PictureType.NONE
            self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finish the file."""
        if self._first is not None:
            self._container.mux(self._stream.encode())
        self._container.close()
