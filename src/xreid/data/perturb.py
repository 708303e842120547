"""Kinds of damage to tracklets, with levels, to measure how scores fall with them. Level 0 is untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xreid.core.errors import ConfigError
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data import damage
from xreid.data.damage import Draw, DrawOf, Numbers
from xreid.data.decode import Pixels

ChangePixels = Callable[[Pixels, float, Draw, Numbers], Pixels]
ChangeFrames = Callable[[TrackletTable, float, DrawOf], list[tuple[str, ...]]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of damage.

    Attributes:
        name: Its name on the command line.
        title: Its name for people.
        what: What is done, in a sentence.
        axis: What a level counts.
        levels: Default levels; 0 (untouched) is always measured.
        bounds: Lowest and highest level.
        tick: How a level is written, given the height of the network's frames in pixels.
        pixels: Changes decoded frames (uint8 [T, 3, H, W], level, draws, positions in the tracklet); or
        frames: gives each row's list of frames (table, level, draws of a row).
        modality: Only tracklets of this modality are changed; None for both.
        whole: Whether levels are whole numbers.
    """

    name: str
    title: str
    what: str
    axis: str
    levels: tuple[float, ...]
    bounds: tuple[float, float]
    tick: Callable[[float, int], str]
    pixels: ChangePixels | None = None
    frames: ChangeFrames | None = None
    modality: Modality | None = None
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One kind at one level. Calling it changes decoded frames, as a `FrameTransform`.

    Attributes:
        kind: A name of `KINDS`.
        level: How much; 0 changes nothing.
        seed: Seed of the draws.
    """

    kind: str
    level: float
    seed: int = 0

    def __call__(self, clip: Pixels, row: Tracklet, frames: Numbers) -> Pixels:
        """The frames as this kind leaves them: uint8 [T, 3, H, W], of positions int64 [T] in the tracklet."""
        change = KINDS[self.kind].pixels
        if not self.level or change is None or not self._meets(row):
            return clip
        return change(clip, self.level, self._stream(row), frames)

    def table(self, table: TrackletTable) -> TrackletTable:
        """The table with each row's frames as this kind leaves them.

        Raises:
            DataError: Frames of other people are wanted, and a modality has only one person.
        """
        change = KINDS[self.kind].frames
        if not self.level or change is None:
            return table
        lists = change(table, self.level, self._stream)
        return replace(
            table, rows=tuple(replace(row, frames=new) for row, new in zip(table, lists, strict=True))
        )

    def changed(self, table: TrackletTable) -> list[int]:
        """Rows of the (untouched) table that this may change."""
        if not self.level:
            return []
        after = self.table(table)
        if KINDS[self.kind].frames is not None:
            return [i for i, row in enumerate(table) if after[i].frames != row.frames]
        return [i for i, row in enumerate(table) if self._meets(row)]

    def _meets(self, row: Tracklet) -> bool:
        return KINDS[self.kind].modality in (None, row.modality)

    def _stream(self, row: Tracklet) -> Draw:
        def draw(*names: object) -> np.random.Generator:
            return numpy_generator(self.seed, "perturb", self.kind, row.name, *names)

        return draw


def _percent(level: float, height: int) -> str:
    return f"{level:g}%"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="frames",
            title="Frames per tracklet",
            what="Only some consecutive frames of each tracklet are left, at a drawn place.",
            axis="frames left",
            levels=(1, 2, 4, 8),
            bounds=(1, 100_000),
            frames=damage.keep_frames,
            whole=True,
            tick=lambda level, height: f"{level:g}" if level else "all",
        ),
        Kind(
            name="switch",
            title="Identity switches",
            what="A run of frames is replaced by those of another test person, of the same modality and, "
            "where there is one, the same camera.",
            axis="share of the frames that show somebody else",
            levels=(10, 30, 50),
            bounds=(0, 100),
            frames=damage.switch_identity,
            tick=_percent,
        ),
        Kind(
            name="resolution",
            title="Resolution",
            what="Frames are shrunk and enlarged again, with the resize that every frame gets.",
            axis="height of the shrunk frame",
            levels=(1, 2, 3),
            bounds=(0, 8),
            pixels=damage.lower_resolution,
            tick=lambda level, height: f"{max(1, round(height * 2.0**-level))} px",
        ),
        Kind(
            name="blur",
            title="Blur",
            what="Gaussian blur.",
            axis="standard deviation as a share of the frame's height",
            levels=(1, 2, 4),
            bounds=(0, 25),
            pixels=damage.blur,
            tick=_percent,
        ),
        Kind(
            name="occlusion",
            title="Occlusion",
            what="A flat box hides a part of the frame, at one drawn place in all frames of a tracklet.",
            axis="share of the frame hidden",
            levels=(10, 30, 50),
            bounds=(0, 100),
            pixels=damage.occlude,
            tick=_percent,
        ),
        Kind(
            name="ir-gain",
            title="Infrared brightness",
            what="Values of infrared frames times 2 to the power of the level, cut off at white.",
            axis="stops, 0 as recorded",
            levels=(-2, -1, 1, 2),
            bounds=(-8, 8),
            pixels=damage.infrared_gain,
            tick=lambda level, height: f"{level:+g}" if level else "0",
            modality=Modality.INFRARED,
        ),
        Kind(
            name="ir-contrast",
            title="Infrared contrast",
            what="A part of each infrared frame's contrast around its mean is taken away.",
            axis="share of the contrast taken away",
            levels=(50, 75, 90),
            bounds=(0, 100),
            pixels=damage.infrared_contrast,
            tick=_percent,
            modality=Modality.INFRARED,
        ),
        Kind(
            name="ir-noise",
            title="Infrared noise",
            what="Normal noise is added to infrared frames, anew in each.",
            axis="standard deviation, grey levels of 255",
            levels=(5, 10, 20),
            bounds=(0, 255),
            pixels=damage.infrared_noise,
            tick=lambda level, height: f"{level:g}",
            modality=Modality.INFRARED,
        ),
    )
}


def sweep(text: str) -> tuple[str, tuple[float, ...]]:
    """A kind and its levels, rising and without 0, from "blur" (its defaults) or "blur=1,2,4".

    Raises:
        ConfigError: There is no such kind, or a level is no number or out of range.
    """
    name, equals, listed = text.strip().partition("=")
    kind = KINDS.get(name)
    if kind is None:
        raise ConfigError(f"no such kind of perturbation: {name!r}", expected=", ".join(KINDS))
    if not equals:
        return name, kind.levels
    low, high = kind.bounds
    expected = f"{'whole ' if kind.whole else ''}numbers from {low:g} to {high:g}, such as "
    expected += f"{name}={','.join(f'{level:g}' for level in kind.levels)}"
    wrong = ConfigError(f"levels of {name} are wrong", expected=expected, got=text)
    try:
        levels = {float(word) for word in listed.split(",")} - {0.0}
    except ValueError as error:
        raise wrong from error
    if not levels or not all(low <= v <= high and not (kind.whole and v % 1) for v in levels):
        raise wrong
    return name, tuple(sorted(levels))
