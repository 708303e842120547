"""A convolutional stem for encoders that start from random weights."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn
from torch.nn import functional as F

MOST_GROUPS = 8


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, at half the resolution (He et al., 2016).

    GroupNorm, so that no statistics cross clips or processes.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = _convolution(before, after, kernel=3, stride=2)
        self.second = _convolution(after, after, kernel=3, stride=1)
        self.shortcut = _convolution(before, after, kernel=1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [F, C, H, W] to [F, C', H/2, W/2], rounded up."""
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class ConvolutionalStem(nn.Module):
    """Residual 3 x 3 convolutions down to one token a patch (after Xiao et al., "Early Convolutions", 2021).

    Takes the place of timm's patch projection, with the same grid. Every frame is first standardised over its
    pixels and channels, which takes the cameras' gains and most of the difference in contrast between the
    modalities away and keeps the colours.

    Args:
        width: Token width D; every halving of the resolution before the last has half of the next.
        patch: Side of a patch in pixels, a power of 2.
        grid: Rows and columns of patches.
    """

    def __init__(self, width: int, *, patch: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid_size, self.num_patches = grid, grid[0] * grid[1]
        steps = patch.bit_length() - 1
        channels = [width >> (steps - 1 - i) for i in range(steps)]
        self.layers = nn.Sequential(
            _convolution(3, channels[0], kernel=3, stride=2),
            nn.ReLU(inplace=True),
            *(ResidualBlock(before, after) for before, after in itertools.pairwise(channels)),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames [F, 3, H, W] to tokens [F, N, D], row by row."""
        tokens: Tensor = self.layers(F.group_norm(frames, 1))
        return tokens.flatten(2).transpose(1, 2)


def _convolution(before: int, after: int, *, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(math.gcd(MOST_GROUPS, after), after),
    )
