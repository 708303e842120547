"""Training augmentation of whole clips: flip, pad-and-crop, random erasing (the three the paper names)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from xreid.core.errors import ConfigError
from xreid.data.clips import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What is done to a training clip; all zeros give plain normalisation.

    Attributes:
        flip: Probability of a horizontal flip.
        pad: Pixels of black added on each side before a random crop back to size.
        erase: Probability of erasing one rectangle.
        erase_area_min: Smallest erased share of the frame.
        erase_area_max: Largest erased share of the frame.
        erase_aspect: Aspect ratios are drawn log-uniformly from [erase_aspect, 1 / erase_aspect].
        erase_fill: "mean" (zero after normalisation) or "noise" (standard normal after normalisation).
        per_frame: Draw anew for each frame instead of once a clip (what MITML does; jitters in time).
    """

    flip: float = 0.5
    pad: int = 10
    erase: float = 0.5
    erase_area_min: float = 0.02
    erase_area_max: float = 0.4
    erase_aspect: float = 0.3
    erase_fill: Literal["mean", "noise"] = "mean"
    per_frame: bool = False

    def __post_init__(self) -> None:
        fine = (
            0 <= self.flip <= 1
            and 0 <= self.erase <= 1
            and self.pad >= 0
            and 0 < self.erase_area_min <= self.erase_area_max < 1
            and 0 < self.erase_aspect <= 1
        )
        if not fine:
            raise ConfigError(
                "an augmentation value is out of range",
                expected="probabilities in 0..1, pad >= 0, 0 < erase_area_min <= erase_area_max < 1, "
                "0 < erase_aspect <= 1",
                got=str(self),
            )


class Normalise:
    """uint8 [..., 3, H, W] -> float32, (x / 255 - mean) / std per channel."""

    def __init__(self, *, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        self._shift = (255 * torch.tensor(mean, dtype=torch.float32)).view(3, 1, 1)
        self._scale = 1 / (255 * torch.tensor(std, dtype=torch.float32)).view(3, 1, 1)

    def __call__(self, clip: Tensor) -> Tensor:
        """A normalised copy."""
        return self.in_place(clip.float())

    def in_place(self, values: Tensor) -> Tensor:
        """Normalise float32 values of 0..255 where they are."""
        return values.sub_(self._shift).mul_(self._scale)


class ClipAugment:
    """Flip, pad-and-crop and erase a clip, the same for all its frames unless per_frame, then normalise."""

    def __init__(
        self,
        config: AugmentConfig | None = None,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        self.config = config or AugmentConfig()
        self.normalise = Normalise(mean=mean, std=std)

    def __call__(self, clip: Tensor, generator: np.random.Generator, *, out: Tensor | None = None) -> Tensor:
        """Augment one clip.

        Args:
            clip: uint8 [T, 3, H, W]; not changed.
            generator: Source of every draw.
            out: float32 [T, 3, H, W] to write into, e.g. a place in a batch.

        Returns:
            float32 [T, 3, H, W], normalised.
        """
        out = torch.empty(clip.shape, dtype=torch.float32) if out is None else out
        parts = range(len(clip)) if self.config.per_frame else (slice(None),)
        for part in parts:
            index = slice(part, part + 1) if isinstance(part, int) else part
            self._augment(clip[index], out[index], generator)
        return out

    def _augment(self, clip: Tensor, out: Tensor, generator: np.random.Generator) -> None:
        config, (height, width) = self.config, clip.shape[-2:]
        flip, erase = generator.random(2)
        down, right = generator.integers(-config.pad, config.pad + 1, size=2)
        rectangle = self._rectangle(height, width, generator)
        if flip < config.flip:
            clip = clip.flip(-1)
        (to_y, from_y), (to_x, from_x) = _overlap(int(down), height), _overlap(int(right), width)
        if down or right:
            out.zero_()
        out[..., to_y, to_x].copy_(clip[..., from_y, from_x])
        self.normalise.in_place(out)
        if erase < config.erase:
            top, left, bottom, end = rectangle
            hole = out[..., top:bottom, left:end]
            if config.erase_fill == "noise":
                shape = tuple(hole.shape[-3:])  # one pattern for all frames of the part
                hole.copy_(torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)))
            else:
                hole.zero_()

    def _rectangle(
        self, height: int, width: int, generator: np.random.Generator
    ) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of a hole; sides are cut to the frame."""
        config = self.config
        area = generator.uniform(config.erase_area_min, config.erase_area_max) * height * width
        limit = -math.log(config.erase_aspect)
        aspect = math.exp(generator.uniform(-limit, limit))
        tall = max(1, min(height, round(math.sqrt(area * aspect))))
        wide = max(1, min(width, round(math.sqrt(area / aspect))))
        y, x = generator.random(2)
        top, left = int(y * (height - tall + 1)), int(x * (width - wide + 1))
        return top, left, top + tall, left + wide


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """(target, source) slices that move content by `shift` and leave the rest black."""
    shift = max(-length, min(length, shift))
    return slice(max(shift, 0), length + min(shift, 0)), slice(max(-shift, 0), length - max(shift, 0))
