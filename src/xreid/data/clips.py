"""Clips of a tracklet table as uint8 tensors, with an optional cache of decoded frames shared by workers."""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.data.decode import Pixels, UnreadableFrameError, decode_frame

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OnUnreadable = Literal["error", "replace"]
# Decoded frames uint8 [T, 3, H, W] of a tracklet, and their places in it int64 [T] -> frames of that shape.
FrameTransform = Callable[[Pixels, Tracklet, npt.NDArray[np.int64]], Pixels]

_CACHED, _UNREADABLE = 1, 2


class ClipReader:
    """Reads frames of a table, decoded and resized.

    The cache and the record of unreadable frames lie in anonymous shared memory: forked loader processes fill
    and use one cache. Which frames it holds is fixed (an even spread over the table), so its hit rate is its
    share of the frames whatever the order of reading; it grows as frames are read.

    Args:
        table: The tracklets.
        size: (H, W) of the frames given out.
        mean: Channel means (0..1) for the normalisation downstream; kept here so that one object carries the
            whole preprocessing.
        std: Channel standard deviations.
        on_unreadable: "error" raises and names the file; "replace" puts the nearest readable frame of the
            tracklet in its place and counts it.
        cache_bytes: Memory for decoded frames, 0 for none.
        reduced: Decode JPEGs at reduced size (see `decode_frame`).
        transform: Changes the frames given out, by themselves and their place alone; the cache holds them
            unchanged.
    """

    def __init__(
        self,
        table: TrackletTable,
        *,
        size: tuple[int, int],
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        on_unreadable: OnUnreadable = "error",
        cache_bytes: int = 0,
        reduced: bool = True,
        transform: FrameTransform | None = None,
    ) -> None:
        if min(size) < 1 or cache_bytes < 0 or len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(
                "frame size, mean, std or cache is wrong",
                expected="positive (H, W), three means, three positive deviations, cache_bytes >= 0",
                got=f"size {size}, mean {tuple(mean)}, std {tuple(std)}, cache_bytes {cache_bytes}",
            )
        self.table, self.size, self.reduced, self.transform = table, size, reduced, transform
        self.mean, self.std = tuple(mean), tuple(std)
        self.on_unreadable, self.cache_bytes = on_unreadable, cache_bytes
        lengths = [len(row.frames) for row in table]
        self._offsets = np.array([0, *itertools.accumulate(lengths)], dtype=np.int64)
        self._allocate()

    def _allocate(self) -> None:
        height, width = self.size
        total = int(self._offsets[-1])
        slots = min(total, self.cache_bytes // (3 * height * width))
        self._state = np.frombuffer(mmap.mmap(-1, total), dtype=np.uint8)  # writable: one byte a frame
        self._slots = _spread(total, slots)
        buffer = mmap.mmap(-1, max(slots, 1) * 3 * height * width)
        self._cache = np.frombuffer(buffer, dtype=np.uint8)[: slots * 3 * height * width].reshape(
            slots, 3, height, width
        )

    def __getstate__(self) -> dict[str, Any]:
        """A spawned process starts with an empty cache of its own."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_state", "_cache", "_slots")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._allocate()

    @property
    def replaced(self) -> int:
        """Number of different frames found unreadable and replaced so far, in all forked processes."""
        return int(np.count_nonzero(self._state == _UNREADABLE))

    @property
    def cached(self) -> int:
        """Number of frames in the cache now."""
        return int(np.count_nonzero(self._state == _CACHED))

    def read(self, row: int, frames: npt.NDArray[np.int64]) -> torch.Tensor:
        """The given frames of one tracklet.

        Args:
            row: Row number of the table.
            frames: int64 [T], positions in the tracklet; repeats are decoded once.

        Returns:
            uint8 [T, 3, H, W].

        Raises:
            UnreadableFrameError: A frame cannot be read (with "replace": no frame of the tracklet).
            DataError: A position lies outside the tracklet.
        """
        import torch

        return torch.from_numpy(self.read_array(row, frames))

    def read_array(self, row: int, frames: npt.NDArray[np.int64]) -> Pixels:
        """As `read`, as a NumPy array."""
        count = len(self.table[row].frames)
        if len(frames) and not 0 <= int(frames.min()) <= int(frames.max()) < count:
            raise DataError(
                f"tracklet {self.table[row].name} has no such frames",
                expected=f"positions 0..{count - 1}",
                got=f"{frames.min()}..{frames.max()}",
            )
        index = self._offsets[row] + frames
        slots = self._slots[index]
        clip = np.empty((len(frames), 3, *self.size), dtype=np.uint8)
        hits = (slots >= 0) & (self._state[index] == _CACHED)
        clip[hits] = self._cache[slots[hits]]
        done: dict[int, Pixels] = {}
        for place in np.flatnonzero(~hits):
            frame = int(frames[place])
            if frame not in done:
                done[frame] = self._frame(row, frame)
            clip[place] = done[frame]
        return clip if self.transform is None else self.transform(clip, self.table[row], frames)

    def _frame(self, row: int, frame: int) -> Pixels:
        try:
            return self._load(row, frame)
        except UnreadableFrameError as error:
            if self.on_unreadable == "error":
                raise
            first = error
        count = len(self.table[row].frames)
        for neighbour in sorted(range(count), key=lambda other: (abs(other - frame), other)):
            try:
                if neighbour != frame:
                    return self._load(row, neighbour)
            except UnreadableFrameError:
                continue
        raise UnreadableFrameError(
            f"no frame of tracklet {self.table[row].name} can be read; {first.what}",
            todo="Run `xreid verify`; leave the tracklet out.",
        ) from first

    def _load(self, row: int, frame: int) -> Pixels:
        index = int(self._offsets[row]) + frame
        slot = int(self._slots[index])
        if slot >= 0 and self._state[index] == _CACHED:
            return self._cache[slot]
        path = self.table.frame_path(self.table[row].frames[frame])
        try:
            pixels = decode_frame(path, size=self.size, reduced=self.reduced)
        except UnreadableFrameError:
            self._state[index] = _UNREADABLE
            raise
        if slot >= 0:
            self._cache[slot] = pixels
            self._state[index] = _CACHED  # after the pixels: another process may be looking
        return pixels


def _spread(total: int, slots: int) -> npt.NDArray[np.int64]:
    """Cache slot of each frame, -1 for none: `slots` frames spread evenly over `total`."""
    places = np.arange(total, dtype=np.int64) * slots // max(total, 1)
    starts = np.flatnonzero(np.diff(places, prepend=-1)) if slots else np.zeros(0, dtype=np.int64)
    table = np.full(total, -1, dtype=np.int64)
    table[starts] = np.arange(len(starts))
    return table
