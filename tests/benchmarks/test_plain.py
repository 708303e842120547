"""What the benchmarks compare with computes the same thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.plain import forward, largest_difference
from xreid.models.config import NetworkConfig
from xreid.models.x_reid import XReID


@pytest.mark.parametrize("stem", ["convolutions", "patch"])
def test_the_plain_network_gives_the_same_features(stem: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig.tiny(num_identities=3, cameras=("D1", "D2"))
    network = XReID(replace(config, stem=stem)).eval()
    clips, cameras = torch.randn(2, 3, 3, 64, 32), torch.tensor([0, 1])
    with torch.no_grad():
        assert largest_difference(network(clips, cameras), forward(network, clips, cameras)) < 1e-4
