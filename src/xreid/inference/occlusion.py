"""Where two tracklets agree: what their similarity loses when a part of the frames is covered.

Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2),
with the cosine of two tracklets in the place of a class score. It needs no gradient and asks the whole
network, so it fits every method. Splitting the cosine exactly into parts (Stylianou, Souvenir and Pless,
"Visualizing Deep Similarity Networks", WACV 2019) would need features that are means over places, which class
tokens are not.

Shapes: C clips of one tracklet, T frames, W windows = rows x columns, D embedding width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from xreid.inference.clips_of import TrackletClips
from xreid.models.network import TrackletNetwork

Floats = npt.NDArray[np.float32]

MOST_WINDOWS = (8, 4)  # rows, columns: 32 times the work of embedding a tracklet, whatever the network
_CLIPS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One tracklet, whole and with each window covered in all of its frames.

    Attributes:
        whole: float32 [D], the embedding, of unit length.
        without: float32 [rows, columns, D], the embedding with that window covered, of unit length.
    """

    whole: Floats
    without: Floats

    def lost(self, other: Floats) -> Floats:
        """float32 [rows, columns]: cosine with another embedding, whole minus with the window covered.

        Positive: what is there makes the two alike. Negative: it holds them apart.
        """
        result: Floats = self.whole @ other - self.without @ other
        return result


def windows_of(grid: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of windows: the network's patches, or whole numbers of them where these are many."""
    rows, columns = (
        max(n for n in range(1, most + 1) if patches % n == 0)
        for patches, most in zip(grid, MOST_WINDOWS, strict=True)
    )
    return rows, columns


@torch.no_grad()
def cover(network: TrackletNetwork, inputs: TrackletClips) -> Covered:
    """Embed one tracklet whole and with each window covered.

    A window is filled with its own frame's mean colour, so that the frame's brightness stays.

    Args:
        network: On the clips' device; its state does not change.
        inputs: The tracklet.
    """
    rows, columns = windows_of(network.config.grid)
    clips = inputs.clips
    height, width = clips.shape[-2] // rows, clips.shape[-1] // columns
    mean = clips.mean(dim=(-2, -1), keepdim=True)
    embedded = [_embed(network, inputs)]
    for row in range(rows):
        for column in range(columns):
            part = (
                ...,
                slice(row * height, (row + 1) * height),
                slice(column * width, (column + 1) * width),
            )
            covered = clips.clone()
            covered[part] = mean
            embedded.append(_embed(network, replace(inputs, clips=covered)))
    vectors = torch.stack(embedded).cpu().numpy()
    return Covered(whole=vectors[0], without=vectors[1:].reshape(rows, columns, -1))


def _embed(network: TrackletNetwork, inputs: TrackletClips) -> Tensor:
    """As xreid.inference.embed: the features' mean over the clips, of unit length, [D]."""
    sums = torch.zeros(sum(width for _, width in network.layout), device=inputs.clips.device)
    for start in range(0, len(inputs.clips), _CLIPS_AT_ONCE):
        part = slice(start, start + _CLIPS_AT_ONCE)
        sums += network.features(
            inputs.clips[part], inputs.cameras[part], modalities=inputs.modalities[part]
        ).sum(dim=0)
    return F.normalize(sums, dim=0)
