"""Every rival at a size that a test can afford, and a batch for it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from xreid.losses.objective import Objective
from xreid.methods.registry import build_network, build_objective
from xreid.models.network import TrackletNetwork
from xreid.training.config import TrainConfig
from xreid.training.presets import preset_named

RIVALS = ("image", "pcl_clip", "tf_clip", "mitml", "m3_reid")
# 4 identities x 2 clips per modality
LABELS = torch.tensor([5, 0, 3, 2]).repeat_interleave(4)
MODALITIES = torch.tensor([0, 0, 1, 1]).repeat(4)
NUM_IDENTITIES = 6


def config_of(preset: str) -> TrainConfig:
    """The preset with a network of a few thousand weights."""
    config = preset_named(preset, scale="tiny")
    network = replace(
        config.network, frame_size=(32, 16), width=16, depth=2, heads=2, interaction_heads=2, projection=8
    )
    return replace(config, network=network)


def clips(frames: int = 3) -> Tensor:
    return torch.randn(len(LABELS), frames, 3, 32, 16, generator=torch.Generator().manual_seed(0))


def built(preset: str) -> tuple[TrackletNetwork, Objective]:
    """Network and objective, its memory filled."""
    config = config_of(preset)
    shape = replace(config.network, num_identities=NUM_IDENTITIES)
    network, objective = build_network(shape), build_objective(config.objective, network=shape)
    if objective.prototypes is not None:
        width = objective.prototypes.memory.shape[2]
        bank = torch.randn(2 * NUM_IDENTITIES, width, generator=torch.Generator().manual_seed(1))
        labels, modalities = torch.arange(NUM_IDENTITIES).repeat(2), torch.arange(2).repeat_interleave(6)
        objective.prototypes.initialise(bank, labels, modalities)
    return network, objective
