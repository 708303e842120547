from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from xreid.core.errors import ConfigError, DataError
from xreid.methods.registry import build_network
from xreid.models.config import NetworkConfig
from xreid.models.cross_interaction import CrossModalityInteraction
from xreid.models.x_reid import XReID

CONFIG = replace(
    NetworkConfig.tiny(num_identities=5, cameras=("D1", "D2")),
    frame_size=(32, 16),
    width=16,
    depth=2,
    heads=2,
    interaction_heads=2,
    projection=8,
)


def small(**changes: Any) -> XReID:
    return build_network(replace(CONFIG, **changes))


def clips(count: int = 3, frames: int = 4) -> Tensor:
    return torch.randn(count, frames, 3, 32, 16, generator=torch.Generator().manual_seed(0))


def test_shapes() -> None:
    output = small()(clips(), torch.tensor([0, 1, -1]))
    shapes = {
        "frames_cls": (3, 4, 16),
        "frames_proj": (3, 4, 8),
        "patches": (3, 4, 8, 16),
        "sequence_cls": (3, 16),
        "sequence_proj": (3, 8),
        "bn_cls": (3, 16),
        "bn_proj": (3, 8),
        "interaction_frames": (3, 4, 16),
        "interaction": (3, 16),
        "bn_interaction": (3, 16),
    }
    for name, shape in shapes.items():
        assert tuple(getattr(output, name).shape) == shape, name
    assert {name: tuple(part.shape) for name, part in output.parts.items()} == {
        "sii": (3, 4, 16),
        "lii": (3, 4, 16),
    }
    assert {name: tuple(x.shape) for name, x in output.logits.items()} == {
        "proj": (3, 5),
        "interaction": (3, 5),
    }


def test_sequence_features_are_temporal_averages_and_fusion_follows_equation_8() -> None:
    output = small()(clips())
    torch.testing.assert_close(output.sequence_cls, sum(output.frames_cls[:, t] for t in range(4)) / 4)
    torch.testing.assert_close(output.sequence_proj, sum(output.frames_proj[:, t] for t in range(4)) / 4)
    torch.testing.assert_close(output.interaction_frames, (output.parts["sii"] + output.parts["lii"]) / 2)
    torch.testing.assert_close(
        output.interaction, sum((output.parts["sii"] + output.parts["lii"])[:, t] / 2 for t in range(4)) / 4
    )


@pytest.mark.parametrize("branch", ["sii", "lii"])
def test_one_branch_is_o(branch: str) -> None:
    output = small(use_sii=branch == "sii", use_lii=branch == "lii")(clips())
    assert torch.equal(output.interaction_frames, output.parts[branch])
    assert list(output.branches()) == [branch]


def test_no_branch() -> None:
    network = small(use_sii=False, use_lii=False)
    output = network(clips())
    assert output.interaction is None
    assert torch.equal(output.branches()["cls"], output.sequence_cls)
    assert network.layout == (("bn_cls", 16), ("bn_proj", 8))
    with pytest.raises(ConfigError, match="no interaction feature"):
        output.sequence("interaction")


def test_unseen_cameras_and_no_cameras_are_the_same() -> None:
    network = small().eval()
    with torch.no_grad():
        unseen = network(clips(), torch.full((3,), -1)).frames_cls
        without = network(clips()).frames_cls
        seen = network(clips(), torch.tensor([0, 1, 1])).frames_cls
    assert torch.equal(unseen, without)
    assert (seen - without).abs().max() > 1e-4
    assert network.camera_embedding is not None
    assert network.camera_embedding.vectors.std().item() == pytest.approx(0.02, rel=0.4)


def test_camera_out_of_range() -> None:
    with pytest.raises(DataError, match="camera number"):
        small()(clips(), torch.tensor([0, 1, 2]))


def test_other_frame_size_is_an_error() -> None:
    with pytest.raises(DataError, match=r"\[B, T, 3, 32, 16\]"):
        small()(torch.randn(2, 3, 3, 16, 32))


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("bn_concat", (("bn_cls", 16), ("bn_proj", 8), ("bn_interaction", 16))),
        ("paper_letter", (("proj", 8), ("interaction", 16))),
    ],
)
def test_embedding_follows_its_layout(layout: str, parts: tuple[tuple[str, int], ...]) -> None:
    network = small(feature_layout=layout)
    network(clips())  # running statistics away from 0 and 1
    assert network.layout == parts
    vectors = network.embed(clips())
    assert network.training
    network.eval()
    with torch.no_grad():
        output = network(clips())
    found = {
        "bn_cls": output.bn_cls,
        "bn_proj": output.bn_proj,
        "bn_interaction": output.bn_interaction,
        "proj": output.sequence_proj,
        "interaction": output.interaction,
    }
    joined = torch.cat([found[name] for name, _ in parts], dim=1)
    torch.testing.assert_close(vectors, joined / joined.norm(dim=1, keepdim=True))
    assert vectors.dtype == torch.float32


def test_inference_never_runs_cii_nor_classifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = small()
    monkeypatch.setattr(CrossModalityInteraction, "forward", lambda *_: pytest.fail("CII was run"))
    monkeypatch.setattr(XReID, "classify", lambda *_: pytest.fail("a classifier was run"))
    network.embed(clips())


@pytest.mark.parametrize("detach", [False, True])
def test_detach_tokens_cuts_the_gradient_to_the_encoder(detach: bool) -> None:
    network = small(detach_tokens=detach)
    output = network(clips())
    output.interaction.square().sum().backward()
    assert (network.encoder.vit.norm.weight.grad is None) == detach
    assert network.sii.blocks[0].ffn.expand.weight.grad is not None
    assert output.patches.requires_grad  # CII's own tokens are never cut


def test_frame_logits_share_neck_and_classifier_and_leave_running_statistics() -> None:
    network = small()
    output = network(clips())
    running = network.necks["proj"].running_mean.clone()
    logits = network.frame_logits(output)["proj"]
    flat = output.frames_proj.flatten(0, 1)
    normed = (flat - flat.mean(0)) / (flat.var(0, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(
        logits, (normed @ network.classifiers["proj"].weight.t()).unflatten(0, (3, 4)), rtol=1e-4, atol=1e-5
    )
    assert torch.equal(network.necks["proj"].running_mean, running)


def test_same_seed_same_weights_and_no_trace_in_the_global_state() -> None:
    state = torch.random.get_rng_state()
    first, again, other = small(), small(), build_network(CONFIG, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    name = "encoder.vit.blocks.0.mlp.fc1.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_state_dict_round_trip() -> None:
    network, other = small(), build_network(CONFIG, seed=1)
    network(clips())
    other.load_state_dict(network.state_dict())
    assert torch.equal(network.embed(clips()), other.embed(clips()))


def test_bfloat16_autocast() -> None:
    network = small()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(clips())
        logits = network.frame_logits(output)
    assert output.frames_cls.dtype in (torch.bfloat16, torch.float32)
    assert output.bn_cls.dtype == torch.float32
    assert logits["proj"].dtype == torch.float32


def test_parameter_counts_of_the_paper_scale() -> None:
    network = XReID(NetworkConfig.vit_b16(num_identities=500, weights=None))
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in network.named_children()}
    assert counts == {
        "encoder": 86_166_528,
        "sii": 7_087_104,
        "lii": 7_087_104,
        "cii": 7_085_568,
        "necks": 2_048,
        "classifiers": 640_000,
    }
    assert sum(width for _, width in network.layout) == 2048


def test_necks_of_each_modality_are_used_in_training_and_in_embedding() -> None:
    network, modalities = small(neck="per-modality", cii_classifier=True), torch.tensor([0, 1, 0, 1])
    output = network(clips(4), modalities=modalities)
    assert output.bn_cls[modalities == 1].mean(dim=0).abs().max() < 1e-5
    assert network.frame_logits(output)["proj"].shape == (4, 4, 5)
    assert network.cii_logits(output.interaction, modalities=modalities).shape == (4, 5)
    as_they_are, exchanged = (network.embed(clips(4), modalities=m) for m in (modalities, 1 - modalities))
    assert not torch.allclose(as_they_are, exchanged)
