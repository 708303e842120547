"""The clips of one tracklet as they are embedded, to look at what the network makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xreid.data.loader import evaluation_clips
from xreid.data.sampling import FrameSampling, sample
from xreid.inference.embed import Embedder

MOST_CLIPS = 16  # of a tracklet that is embedded by many; keeps a picture of it from taking minutes


@dataclass(frozen=True, kw_only=True)
class TrackletClips:
    """Input of the network for one tracklet.

    Attributes:
        clips: Normalised float [C, T, 3, H, W], on the model's device.
        cameras: The tracklet's camera number int64 [C], -1 where unseen in training.
        modalities: Its modality int64 [C], 0 visible, 1 infrared.
        positions: int64 [C, T], which frames of the tracklet these are.
        left_out: Clips that the embedding has and this has not, see `MOST_CLIPS`.
    """

    clips: Tensor
    cameras: Tensor
    modalities: Tensor
    positions: npt.NDArray[np.int64]
    left_out: int


def clips_of(embedder: Embedder, row: int) -> TrackletClips:
    """The clips of one row of the embedder's table, evenly spread ones where there are many.

    Raises:
        DataError: A frame cannot be read.
    """
    config = embedder.config
    sampling = FrameSampling(config.sampling)
    batches = evaluation_clips(
        embedder.reader,
        [row],
        frames_per_clip=config.frames,
        sampling=sampling,
        clips_per_batch=config.clips_per_batch,
        cameras=embedder.model.network.config.cameras,
    )
    read = list(batches)
    positions = sample(sampling, len(embedder.table[row].frames), config.frames)
    clips = torch.cat([batch.clips for batch in read])
    count = min(len(clips), MOST_CLIPS)
    kept = [(2 * i + 1) * len(clips) // (2 * count) for i in range(count)]
    device = embedder.model.device
    return TrackletClips(
        clips=clips[kept].to(device),
        cameras=torch.cat([batch.cameras for batch in read])[kept].to(device),
        modalities=torch.cat([batch.modalities for batch in read])[kept].to(device),
        positions=positions[kept],
        left_out=len(clips) - count,
    )
