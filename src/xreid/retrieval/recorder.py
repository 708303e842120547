"""A live camera written to disk in rolling files, without decoding: lost connections are taken up again.

Files are Matroska, which can be read up to its end however it was cut off. While a file grows its name begins
with a dot; closed, it is called CAMERA_20261120T213000.000Z.mkv, after the time of its first frame.
"""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import av

from xreid.core.errors import DataError
from xreid.retrieval.names_of_files import usual_name
from xreid.retrieval.sources import Stream
from xreid.retrieval.stream_writers import SegmentWriter, may_begin, writer_for

SUFFIX = ".mkv"
GAPS = "gaps.csv"
_OPEN_S, _READ_S = 10.0, 10.0  # after so long without an answer, or a packet, a connection counts as lost
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_DRIFT_S = 5.0  # a camera's clock that is off by more has jumped
_READY_S = 0.005  # a packet that takes less to get lay ready
_READY_SHARE = 0.5  # so did one that takes less than this share of its own time, on a machine that is busy
_MOST_READY = 500
_RTSP = {"rtsp_transport": "tcp", "analyzeduration": "1000000"}


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time that a camera was not recorded.

    Attributes:
        camera: Its name among the streams.
        from_s: Unix seconds.
        to_s: Unix seconds.
        reason: In words.
    """

    camera: str
    from_s: float
    to_s: float
    reason: str


class GapLog:
    """gaps.csv: one line for each gap, on disk when `add` returns; for several threads.

    Where the disk is full lines wait in memory for the next one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._waiting = list[Gap]()

    def add(self, gap: Gap) -> None:
        """Append a line."""
        with self._lock:
            self._waiting.append(gap)
            with suppress(OSError):
                self._write()

    def _write(self) -> None:
        """Write what waits; after a fault the file is as it was."""
        text = io.StringIO(newline="")
        with open(self.path, "ab", buffering=0) as file:
            size = file.tell()
            if size == 0:
                csv.writer(text).writerow(["camera", "from", "to", "seconds", "reason"])
            csv.writer(text).writerows(map(_row, self._waiting))
            data = text.getvalue().encode()
            try:
                if file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                os.truncate(self.path, size)
                raise
        self._waiting.clear()


def _row(gap: Gap) -> list[str]:
    times = (
        datetime.fromtimestamp(t, UTC).isoformat(timespec="milliseconds") for t in (gap.from_s, gap.to_s)
    )
    return [gap.camera, *times, f"{gap.to_s - gap.from_s:.1f}", gap.reason]


class Recorder(threading.Thread):
    """Records one stream until it is told to stop.

    Args:
        stream: The camera.
        folder: Where the files go.
        roll_s: A new file is begun at the first key frame after so many seconds.
        stop: Set to stop; the file at hand is closed then.
        gaps: Gets the gaps.
        note: Called with remarks.
    """

    def __init__(
        self,
        stream: Stream,
        folder: Path,
        *,
        roll_s: float,
        stop: threading.Event,
        gaps: GapLog,
        note: Callable[[str], None],
    ) -> None:
        super().__init__(name=f"recorder {stream.name}", daemon=True)
        self.stream, self.folder, self.roll_s = stream, folder, roll_s
        self.stop, self.gaps, self.note = stop, gaps, note
        self.failure: BaseException | None = None
        self._writer: SegmentWriter | None = None
        self._last_s: float | None = None  # time of the last packet
        self._reason = "the recorder was not running"
        self._wait_s = _FIRST_WAIT_S
        self._fresh = False  # connected, and nothing written yet

    def run(self) -> None:
        """Connect, record, connect again."""
        try:
            self._last_s = self._recover()
            while not self.stop.is_set():
                self._reason = self._connection() or self._reason
                if not self.stop.is_set():
                    self.note(f"{self.stream.camera}: {self._reason}; again in {self._wait_s:.0f} s")
                    self.stop.wait(self._wait_s)
                    self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
            now = time.time()
            if self._last_s is not None and now - self._last_s > _READ_S:
                self._gap(now)
        except BaseException as error:  # noqa: BLE001 - told to the main thread, which raises it
            self.failure = error

    def _recover(self) -> float | None:
        """Close what a killed recorder left behind; returns the end of the last recording."""
        for partial in sorted(self.folder.glob(f".{self.stream.name}_*{SUFFIX}")):
            if camera_of(partial) != self.stream.name:
                continue
            if length_s(partial) > 0:
                partial.rename(partial.with_name(partial.name[1:]))
            else:
                partial.unlink()
        files = segments(self.folder, self.stream.name)
        return start_of(files[-1]) + length_s(files[-1]) if files else None

    def _connection(self) -> str:
        """Record one connection; returns why it ended."""
        try:
            with open_stream(self.stream.address) as container:
                for packet, at in self._timed(container):
                    if self._writer is None or (
                        may_begin(packet) and at - self._writer.start_s >= self.roll_s
                    ):
                        self._roll(container, at)
                    assert self._writer is not None
                    self._writer.write(packet)
                    if self._fresh:  # only now: on a full disk a connection is of no use
                        self._fresh = False
                        self._connected(at)
                    self._last_s = at
                    if self.stop.is_set():
                        return "stopped"
            return "the stream ended"
        except (av.error.FFmpegError, DataError, OSError) as error:
            return f"the connection was lost: {getattr(error, 'strerror', None) or error}"
        except Exception as error:  # noqa: BLE001 - one odd camera keeps no other back, nor itself for good
            return f"unexpected {type(error).__name__}: {error}"
        finally:
            self._close()

    def _timed(self, container: Any) -> Iterator[tuple[Any, float]]:
        """Packets from the first key frame on, each with its time; a clock that jumps begins a new file."""
        stream = container.streams.video[0]
        packets: Iterator[Any] = (p for p in container.demux(stream) if p.size and _stamp(p) is not None)
        waiting, now = _burst(packets, float(stream.time_base))
        anchor: tuple[float, int] | None = None
        if waiting:  # opening took time, and all that came meanwhile comes at once: the last of it is of now
            anchor = (now, _stamp(waiting[-1]))
            packets = chain(waiting, packets)
        started = False
        for packet in packets:
            now = time.time()
            assert anchor is not None
            at = float(anchor[0] + (_stamp(packet) - anchor[1]) * stream.time_base)
            if abs(at - now) > _DRIFT_S + _OPEN_S * (not started):
                self._close()
                anchor, at, started = (now, _stamp(packet)), now, False
            if not started and not may_begin(packet):
                continue
            self._fresh = self._fresh or not started
            started = True
            yield packet, at

    def _connected(self, now: float) -> None:
        self._wait_s = _FIRST_WAIT_S
        if self._last_s is not None and now - self._last_s > 1:
            self._gap(now)

    def _gap(self, until: float) -> None:
        assert self._last_s is not None
        gap = Gap(camera=self.stream.name, from_s=self._last_s, to_s=until, reason=self._reason)
        self.gaps.add(gap)
        self.note(f"{self.stream.camera}: nothing for {gap.to_s - gap.from_s:.0f} s: {gap.reason}")

    def _roll(self, container: Any, at: float) -> None:
        name = f"{self.stream.name}_{stamp_of(at)}{SUFFIX}"
        while (self.folder / name).exists() or (self.folder / f".{name}").exists():
            at += (
                0.001  # a clock that was put back comes to the same time again: no file takes another's place
            )
            name = f"{self.stream.name}_{stamp_of(at)}{SUFFIX}"
        # begun before the last one is closed, so that whoever sees that one sees that it goes on
        following = writer_for(container.streams.video[0], self.folder / f".{name}", start_s=at)
        self._close()
        self._writer = following

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with suppress(av.error.FFmpegError):
            writer.close()
        if length_s(writer.path) > 0:
            writer.path.rename(writer.path.with_name(writer.path.name[1:]))
        else:
            writer.path.unlink(missing_ok=True)


def _stamp(packet: Any) -> Any:
    return packet.pts if packet.pts is not None else packet.dts


def _burst(packets: Iterator[Any], unit_s: float) -> tuple[list[Any], float]:
    """The packets that lie ready, up to the first that had to be waited for; and when that one came.

    Args:
        packets: Each with a time stamp.
        unit_s: Seconds of one step of these.
    """
    found: list[Any] = []
    before = time.time()
    for packet in packets:
        now = time.time()
        found.append(packet)
        # with frames that are told by later ones the stamps go back, too
        own_s = abs(_stamp(packet) - _stamp(found[-2])) * unit_s if len(found) > 1 else math.inf
        if now - before > max(_READY_S, _READY_SHARE * own_s) or len(found) >= _MOST_READY:
            return found, now
        before = now
    return found, before


def open_stream(address: str) -> Any:
    """The stream or device, opened with PyAV.

    Raises:
        DataError: It has no picture.
    """
    kind, options = None, dict[str, str]()
    if address.startswith("/dev/"):
        kind = "v4l2"
    elif address.startswith("lavfi://"):
        kind, address = "lavfi", address.removeprefix("lavfi://")
    elif address.lower().startswith("rtsp"):
        options = _RTSP
    av.logging.set_level(None)  # see `video.open_container`
    container = av.open(address, format=kind, options=options, timeout=(_OPEN_S, _READ_S))
    if not container.streams.video:
        container.close()
        raise DataError("the stream has no picture")
    return container


def segments(folder: Path, camera: str) -> list[Path]:
    """The closed files of a camera, in order of time."""
    files = (path for path in folder.glob(f"{camera}_[0-9]*{SUFFIX}") if camera_of(path) == camera)
    return sorted(files, key=start_of)


def camera_of(path: Path) -> str | None:
    """The camera of a file, closed or growing, from its name."""
    facts = usual_name(path.stem.lstrip("."))
    return None if facts is None else facts.camera


def start_of(path: Path) -> float:
    """Unix time of a file's first frame, from its name."""
    facts = usual_name(path.stem.lstrip("."))
    assert facts is not None
    assert facts.start is not None
    return facts.start.timestamp()


def stamp_of(at: float) -> str:
    """As in names of files: 20261120T213000.000Z."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def length_s(path: Path) -> float:
    """Seconds from the first frame to the last, without decoding; 0 where there is none."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stamps = [p.pts for p in container.demux(stream) if p.pts is not None]
            return float((max(stamps) - min(stamps)) * (stream.time_base or 0)) if stamps else 0.0
    except (av.error.FFmpegError, IndexError, OSError):
        return 0.0
