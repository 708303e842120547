"""What can happen to a tracklet, one function per kind; `xreid.data.perturb` names them and their levels.

A kind changes either the list of a tracklet's frames (how many, whose) or the pixels of its decoded frames,
at the network's input size and before the normalisation. Draws depend on seed, kind and tracklet, not on the
level: more of a kind does more at the same place, so that a curve shows the level and not another draw.
Clips are uint8 [T, 3, H, W].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.decode import Pixels

Numbers = npt.NDArray[np.int64]
Draw = Callable[..., np.random.Generator]  # the generators of one tracklet, by further names
DrawOf = Callable[[Tracklet], Draw]


def window(length: int, count: int, place: float) -> slice:
    """`count` of `length` consecutive positions; at one `place` in [0, 1) fewer lie within more."""
    start = int(place * (length - count + 1))
    return slice(start, start + count)


def keep_frames(table: TrackletTable, level: float, draws: DrawOf) -> list[tuple[str, ...]]:
    """`level` consecutive frames of each tracklet at a drawn place: somebody seen for a shorter time."""

    def kept(row: Tracklet) -> tuple[str, ...]:
        count = min(int(level), len(row.frames))
        return row.frames[window(len(row.frames), count, draws(row)().random())]

    return [kept(row) for row in table]


def switch_identity(table: TrackletTable, level: float, draws: DrawOf) -> list[tuple[str, ...]]:
    """A run of frames, `level` percent of them, shows somebody else: the tracker took a wrong person."""
    donors = Donors(table)

    def switched(number: int, row: Tracklet) -> tuple[str, ...]:
        draw, count = draws(row)(), len(row.frames)
        place, donor = draw.random(), donors.of(number, draw)
        run = window(count, int(level / 100 * count + 0.5), place)
        others = () if donor is None else table[donor].frames
        return tuple(
            others[i % len(others)] if others and run.start <= i < run.stop else frame
            for i, frame in enumerate(row.frames)
        )

    return [switched(number, row) for number, row in enumerate(table)]


class Donors:
    """Finds for a tracklet another person's, of its modality and, where there is one, of its camera."""

    def __init__(self, table: TrackletTable) -> None:
        self.table = table

    @cached_property
    def _groups(self) -> dict[tuple[Modality, str | None], list[int]]:
        groups: dict[tuple[Modality, str | None], list[int]] = {}
        for number, row in enumerate(self.table):
            if row.identity is not None:
                for camera in {row.camera, None}:
                    groups.setdefault((row.modality, camera), []).append(number)
        return groups

    def candidates(self, number: int) -> list[int]:
        """Rows to draw from, in table order."""
        row = self.table[number]
        for camera in (row.camera, None):
            rows = self._groups.get((row.modality, camera), [])
            others = [i for i in rows if self.table[i].identity != row.identity]
            if others:
                return others
        raise DataError(
            f"nobody can take the place of the person in tracklet {row.name}",
            expected=f"two people of modality '{row.modality}'",
            todo="Leave `switch` out of --kinds.",
        )

    def of(self, number: int, draw: np.random.Generator) -> int | None:
        """The row that stands in; None for a person unknown, of whom nobody is known to be another."""
        if self.table[number].identity is None:
            return None
        others = self.candidates(number)
        return others[int(draw.integers(len(others)))]

    def same_camera(self, rows: Sequence[int]) -> int:
        """How many of the rows have candidates of their own camera."""
        return sum(
            self.table[i].camera is not None
            and self.table[self.candidates(i)[0]].camera == self.table[i].camera
            for i in rows
        )


def lower_resolution(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """Height and width times 2^-level and back, with the resize that decoded frames get."""
    import torch
    from torch.nn.functional import interpolate

    size = [max(1, round(side * 2.0**-level)) for side in clip.shape[2:]]
    small = interpolate(torch.from_numpy(clip), size=size, mode="bilinear", antialias=True)
    result: Pixels = interpolate(small, size=clip.shape[2:], mode="bilinear", antialias=True).numpy()
    return result


def blur(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """Gaussian blur; its standard deviation is `level` percent of the frame's height."""
    import cv2

    sigma = level / 100 * clip.shape[2]
    rows = [cv2.GaussianBlur(np.ascontiguousarray(f.transpose(1, 2, 0)), (0, 0), sigma) for f in clip]
    return np.ascontiguousarray(np.stack(rows).transpose(0, 3, 1, 2))


def occlude(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """A flat box over `level` percent of the frame, at one place in all frames of the tracklet."""
    generator, share = draw(), level / 100
    shape, (top, left) = 2 ** generator.uniform(-1, 1), generator.random(2)
    tone = generator.integers(256)
    shape = min(max(shape, share), 1 / share)  # inside the frame, and still of the wanted area
    height, width = clip.shape[2:]
    down = window(height, round(height * math.sqrt(share / shape)), top)
    across = window(width, round(width * math.sqrt(share * shape)), left)
    result = clip.copy()
    result[:, :, down, across] = tone
    return result


def infrared_gain(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """Stored values times 2^level, cut off at white: brightness and contrast together, as a lamp does."""
    return _stored(np.arange(256) * 2.0**level)[clip]


def infrared_contrast(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """`level` percent of each frame's contrast around its mean taken away."""
    mean = clip.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    return _stored(mean + (1 - level / 100) * (clip - mean))


def infrared_noise(clip: Pixels, level: float, draw: Draw, frames: Numbers) -> Pixels:
    """Normal noise of `level` grey levels, equal in the three channels, anew in each frame."""
    size = clip.shape[2:]
    noise = np.stack([draw(int(frame)).standard_normal(size, dtype=np.float32) for frame in frames])
    return _stored(clip + np.float32(level) * noise[:, None])


def _stored(values: npt.NDArray[np.floating]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
