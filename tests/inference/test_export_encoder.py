"""What is exported equals the model: stand-ins for every number of frames, and the preprocessing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.micro import NETWORK
from xreid.data.augment import Normalise
from xreid.inference.checkpoint import Checkpoint, LoadedModel
from xreid.inference.export_encoder import TrackletEncoder
from xreid.methods.registry import build_network
from xreid.models.config import NetworkConfig

HEIGHT, WIDTH = NETWORK.frame_size


def model_of(config: NetworkConfig) -> LoadedModel:
    network = build_network(config, seed=1).eval()
    with torch.no_grad():  # fresh BNNecks and cameras would hide a mistake
        for name, value in network.named_parameters():
            if name.startswith(("camera", "necks")):
                value.uniform_(0.5, 2)
        for name, value in network.named_buffers():
            if name.startswith("necks"):
                value.uniform_(0.5, 2)
    return LoadedModel(
        network=network, checkpoint=Checkpoint(network=config), sha256="none", device=torch.device("cpu")
    )


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize(("sii", "lii"), [(1, 1), (2, 3), (4, 7), (1, 0)])
def test_every_stride_and_number_of_frames(sii: int, lii: int, frames: int) -> None:
    config = replace(
        NETWORK, sii_stride=sii, lii_stride=lii, sii_depth=2, cameras=("a", "b"), num_identities=0
    )
    model = model_of(config)
    pixels = torch.randint(0, 256, (4, frames, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    cameras = torch.tensor([-1, 0, 1, 1])
    embeddings, features = TrackletEncoder(model)(pixels, cameras, torch.zeros(4, dtype=torch.int64))
    preprocessing = model.checkpoint.preprocessing
    normalise = Normalise(mean=preprocessing.mean, std=preprocessing.std)
    clips = normalise(pixels.permute(0, 1, 4, 2, 3).contiguous())
    torch.testing.assert_close(features, model.network.features(clips, cameras))
    torch.testing.assert_close(embeddings, model.network.embed(clips, cameras))
    assert not torch.allclose(features[2], features[3])


def test_each_modality_has_its_neck() -> None:
    model = model_of(replace(NETWORK, neck="per-modality"))
    pixels = torch.randint(0, 256, (1, 2, HEIGHT, WIDTH, 3), dtype=torch.uint8).repeat(2, 1, 1, 1, 1)
    cameras = torch.full((2,), -1)
    _, features = TrackletEncoder(model)(pixels, cameras, torch.tensor([0, 1]))
    assert not torch.allclose(features[0], features[1], atol=1e-3)


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = model_of(replace(NETWORK, cameras=("a", "b")))
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    names = [type(module).__name__ for module in model.network.modules()]
    half = TrackletEncoder(model, half=True)
    assert half.network.encoder.vit.head.weight.dtype == torch.float16
    assert half.network.necks["cls"].weight.dtype == torch.float32
    assert [type(module).__name__ for module in model.network.modules()] == names
    for name, value in model.network.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_half_is_near() -> None:
    model = model_of(NETWORK)
    pixels = torch.randint(0, 256, (3, 2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    numbers = torch.zeros(3, dtype=torch.int64)
    plain, half = (TrackletEncoder(model, half=h)(pixels, numbers, numbers)[0] for h in (False, True))
    assert half.dtype == torch.float32
    cosines = (plain * half).sum(dim=1).detach().numpy()
    assert np.all(cosines > 0.999)
    assert not np.array_equal(plain.detach().numpy(), half.detach().numpy())
