"""Groups, multipliers, schedules, and the state as named tensors."""

from __future__ import annotations

import pytest
import torch

from tests.training.micro import NETWORK
from xreid.methods.registry import build_network
from xreid.training.config import OptimiserConfig
from xreid.training.optimiser import (
    build_optimiser,
    learning_rate,
    multiplier,
    optimiser_tensors,
    restore_optimiser,
    set_lr,
    trainable,
)

PAPER = OptimiserConfig()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder.vit.blocks.0.attn.qkv.weight", 1),
        ("encoder.vit.blocks.0.attn.qkv.bias", 2),
        ("necks.proj.weight", 1),
        ("classifiers.proj.weight", 10),
        ("classifiers.cls.weight", 10),
        ("classifiers.interaction.weight", 100),
        ("classifiers.cii.weight", 100),
        ("sii.blocks.0.attention.query.weight", 10),
        ("lii.blocks.0.ffn.expand.bias", 20),
        ("cii.block.norm_ffn.bias", 20),
        ("camera_embedding.vectors", 1),
    ],
)
def test_multipliers(name: str, expected: float) -> None:
    assert multiplier(name, PAPER) == expected


def test_schedule_of_the_paper() -> None:
    def at(epoch: float) -> float:
        return learning_rate(PAPER, epoch=epoch, epochs=60)

    assert at(0) == 5e-7
    assert at(5) == pytest.approx((5e-7 + 5e-6) / 2)
    assert at(10) == at(29.99) == 5e-6
    assert at(30) == at(49.99) == pytest.approx(5e-7)
    assert at(50) == at(59.99) == pytest.approx(5e-8)


def test_cosine_and_constant() -> None:
    cosine = OptimiserConfig(lr=1.0, warmup_epochs=2, warmup_lr=0, decay="cosine")
    rates = [learning_rate(cosine, epoch=e, epochs=10) for e in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0])
    flat = OptimiserConfig(lr=1.0, warmup_epochs=0, decay="none")
    assert learning_rate(flat, epoch=9, epochs=10) == 1


def test_groups_hold_every_trainable_parameter_once_and_no_frozen_one() -> None:
    network = build_network(NETWORK)
    network.encoder.vit.patch_embed.requires_grad_(False)
    config = OptimiserConfig(decay_vectors=False, weight_decay=0.1)
    optimiser = build_optimiser(network, config)
    held = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(trainable(network)))
    assert all(p.requires_grad for p in held)
    for group in optimiser.param_groups:
        assert all((p.dim() > 1) == (group["weight_decay"] == 0.1) for p in group["params"])
    set_lr(optimiser, 2.0)
    assert {group["lr"] / group["multiplier"] for group in optimiser.param_groups} == {2.0}


def test_state_comes_back_by_name() -> None:
    networks = [build_network(NETWORK) for _ in range(2)]
    optimisers = [build_optimiser(network, OptimiserConfig(lr=0.1)) for network in networks]
    generator = torch.Generator().manual_seed(0)

    def step(which: int, gradients: list[torch.Tensor]) -> None:
        for (_, parameter), gradient in zip(trainable(networks[which]), gradients, strict=True):
            parameter.grad = gradient.clone()
        optimisers[which].step()

    shapes = [parameter.shape for _, parameter in trainable(networks[0])]
    first, second = ([torch.randn(s, generator=generator) for s in shapes] for _ in range(2))
    step(0, first)
    networks[1].load_state_dict(networks[0].state_dict())
    saved = {name: value.clone() for name, value in optimiser_tensors(optimisers[0], networks[0]).items()}
    restore_optimiser(optimisers[1], networks[1], saved)
    step(0, second)
    step(1, second)
    for one, two in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, two)
