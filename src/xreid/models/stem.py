"""A convolutional stem for encoders that start from random weights."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn

MOST_GROUPS = 8


class ConvolutionalStem(nn.Module):
    """3 x 3 convolutions of stride 2 down to one token a patch (Xiao et al., "Early Convolutions", 2021).

    Takes the place of timm's patch projection, with the same grid. GroupNorm, so that no statistics
    cross clips or processes.

    Args:
        width: Token width D; the last convolution has half of it, each one before half of the next.
        patch: Side of a patch in pixels, a power of 2.
        grid: Rows and columns of patches.
    """

    def __init__(self, width: int, *, patch: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid_size, self.num_patches = grid, grid[0] * grid[1]
        steps = patch.bit_length() - 1
        channels = [3, *(width >> (steps - i) for i in range(steps))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [
                nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False),
                nn.GroupNorm(math.gcd(MOST_GROUPS, after), after),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], width, kernel_size=1))

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames [F, 3, H, W] to tokens [F, N, D], row by row."""
        return self.layers(frames).flatten(2).transpose(1, 2)
