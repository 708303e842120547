"""Training augmentation of whole clips: flip, pad-and-crop, erasing (as the paper); grey, mix, zoom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xreid.core.errors import ConfigError
from xreid.data.clips import IMAGENET_MEAN, IMAGENET_STD
from xreid.data.decode import Pixels

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What is done to a training clip; all zeros give plain normalisation.

    Attributes:
        flip: Probability of a horizontal flip.
        pad: Pixels of black added on each side before a random crop back to size.
        zoom: The clip is scaled about its middle by a factor from 1 - zoom to 1 + zoom, its width by another
            one from 1 - zoom / 2 to 1 + zoom / 2; what lies outside repeats the edge. Not in the paper.
        erase: Probability of erasing one rectangle.
        erase_area_min: Smallest erased share of the frame.
        erase_area_max: Largest erased share of the frame.
        erase_aspect: Aspect ratios are drawn log-uniformly from [erase_aspect, 1 / erase_aspect].
        erase_fill: "mean" (zero after normalisation) or "noise" (standard normal after normalisation).
        grey: Probability of turning a clip grey, by channel weights drawn for it. Clips whose three channels
            are equal, as infrared ones should be, stay as they are. Not in the paper; M3-ReID does it with
            0.5, against the gap between the modalities.
        mix: Probability that each channel of a clip that did not turn grey becomes a random blend of the
            three: other hues, the same structure. Equal channels stay as they are. Not in the paper.
        per_frame: Draw anew for each frame instead of once a clip (what MITML does; jitters in time).
    """

    flip: float = 0.5
    pad: int = 10
    zoom: float = 0.0
    erase: float = 0.5
    erase_area_min: float = 0.02
    erase_area_max: float = 0.4
    erase_aspect: float = 0.3
    erase_fill: Literal["mean", "noise"] = "mean"
    grey: float = 0.0
    mix: float = 0.0
    per_frame: bool = False

    def __post_init__(self) -> None:
        fine = (
            0 <= self.flip <= 1
            and 0 <= self.erase <= 1
            and 0 <= self.grey <= 1
            and 0 <= self.mix <= 1
            and self.pad >= 0
            and 0 <= self.zoom <= 0.6
            and 0 < self.erase_area_min <= self.erase_area_max < 1
            and 0 < self.erase_aspect <= 1
        )
        if not fine:
            raise ConfigError(
                "an augmentation value is out of range",
                expected="probabilities in 0..1, pad >= 0, zoom in 0..0.6, "
                "0 < erase_area_min <= erase_area_max < 1, 0 < erase_aspect <= 1",
                got=str(self),
            )


class Normalise:
    """uint8 pixels -> float32, (x / 255 - mean) / std per channel.

    In NumPy, because its loops stay on one core: torch splits these short passes over all cores, and waited
    20 times longer for them on average where other processes held the cores (docs/data.md).
    """

    def __init__(self, *, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        self._scale = [np.float32(1 / (255 * s)) for s in std]
        self._bias = [np.float32(-m / s) for m, s in zip(mean, std, strict=True)]

    def __call__(self, clip: Tensor) -> Tensor:
        """Normalise uint8 [..., 3, H, W]."""
        out = torch.empty(clip.shape, dtype=torch.float32)
        self.into(clip.numpy(), out.numpy())
        return out

    def into(self, pixels: Pixels, out: Floats) -> None:
        """Normalise uint8 [..., 3, h, w] into float32 of the same shape; both may be views."""
        for channel, (scale, bias) in enumerate(zip(self._scale, self._bias, strict=True)):
            target = out[..., channel, :, :]
            np.multiply(pixels[..., channel, :, :], scale, out=target)
            np.add(target, bias, out=target)

    def blacken(self, out: Floats) -> None:
        """Fill float32 [..., 3, h, w] with normalised black."""
        for channel, bias in enumerate(self._bias):
            out[..., channel, :, :] = bias


class ClipAugment:
    """Turn grey or mix, zoom, flip, pad-and-crop, normalise and erase a clip.

    The same for all its frames unless `per_frame`.
    """

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
        pixels, values = clip.numpy(), out.numpy()
        if self.config.per_frame:
            for frame in range(len(pixels)):
                self._augment(pixels[frame : frame + 1], values[frame : frame + 1], generator)
        else:
            self._augment(pixels, values, generator)
        return out

    def _augment(self, pixels: Pixels, out: Floats, generator: np.random.Generator) -> None:
        config, (height, width) = self.config, pixels.shape[-2:]
        flip, erase = generator.random(2)
        down, right = generator.integers(-config.pad, config.pad + 1, size=2)
        top, left, bottom, end = self._rectangle(height, width, generator)
        if config.grey and generator.random() < config.grey:
            pixels = _blend(pixels, generator.dirichlet(np.ones(3), size=1))
        elif config.mix and generator.random() < config.mix:
            pixels = _blend(pixels, generator.dirichlet(np.full(3, 0.5), size=3))
        if config.zoom:
            pixels = _zoom(pixels, config.zoom, generator)
        if flip < config.flip:
            pixels = pixels[..., ::-1]
        (to_y, from_y), (to_x, from_x) = _overlap(int(down), height), _overlap(int(right), width)
        if down or right:
            self.normalise.blacken(out)
        self.normalise.into(pixels[..., from_y, from_x], out[..., to_y, to_x])
        if erase < config.erase:
            hole = out[..., top:bottom, left:end]
            if config.erase_fill == "noise":  # one pattern for all frames of the part
                hole[...] = generator.standard_normal(hole.shape[-3:], dtype=np.float32)
            else:
                hole[...] = 0

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


def _blend(pixels: Pixels, weights: npt.NDArray[np.float64]) -> Pixels:
    """uint8 [T, 3, H, W]: channel i is blended from all with weights[i]; one row serves all channels."""
    columns = weights.astype(np.float32).T[..., None, None]
    mixed = sum(columns[i] * pixels[:, i : i + 1] for i in range(3))
    return np.broadcast_to(np.rint(mixed).astype(np.uint8), pixels.shape)


def _zoom(pixels: Pixels, strength: float, generator: np.random.Generator) -> Pixels:
    """uint8 [T, 3, H, W] scaled about the middle, by bilinear interpolation; the edge is repeated outside."""
    both, width_only = generator.uniform(-1, 1, size=2)
    tall = 1 + strength * both
    wide = tall * (1 + strength / 2 * width_only)
    height, width = pixels.shape[-2:]
    matrix = np.array([[wide, 0, (width - 1) / 2 * (1 - wide)], [0, tall, (height - 1) / 2 * (1 - tall)]])
    frames = pixels.transpose(0, 2, 3, 1)
    scaled = [
        cv2.warpAffine(np.ascontiguousarray(frame), matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for frame in frames
    ]
    return np.asarray(np.stack(scaled), np.uint8).transpose(0, 3, 1, 2)
