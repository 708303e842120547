"""One centroid per identity, against loops over its equations."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from xreid.core.errors import DataError
from xreid.losses.centroids import IdentityCentroids
from xreid.losses.config import PrototypeConfig

Y, WIDTH = 4, 6
LABELS = torch.tensor([3, 1, 3, 3, 1, 0])
MODALITIES = torch.tensor([0, 0, 1, 1, 1, 0])


def features(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x: Tensor) -> Tensor:
    return x / math.sqrt(float((x * x).sum()))


def filled(**options: Any) -> IdentityCentroids:
    module = IdentityCentroids(PrototypeConfig(**options), num_identities=Y, width=WIDTH).double()
    module.initialise(features(3 * Y, seed=1), torch.arange(Y).repeat(3), torch.zeros(3 * Y))
    return module


def test_centroids_start_from_the_mean_of_each_identity() -> None:
    b = features(3 * Y, seed=1)
    for y in range(Y):
        mean = sum(unit(b[i]) for i in (y, y + Y, y + 2 * Y)) / 3
        torch.testing.assert_close(filled().memory[0, y], unit(mean))


@pytest.mark.parametrize("temperature", [None, 0.05])
def test_loss_follows_its_equation(temperature: float | None) -> None:
    module, b, tau = filled(temperature=temperature), features(6), temperature or 1.0
    losses = []
    for i in range(6):
        exps = [math.exp(float(unit(b[i]) @ module.memory[0, j]) / tau) for j in range(Y)]
        losses.append(-math.log(exps[int(LABELS[i])] / sum(exps)))
    found = module.loss(b, LABELS, MODALITIES)
    assert found["identity"].item() == pytest.approx(sum(losses) / 6)


def test_update_moves_towards_the_mean_clip_whatever_the_order() -> None:
    module, b = filled(momentum=0.3, update="either"), features(6)
    expected = module.memory[0].clone()
    for y in (0, 1, 3):
        mine = [unit(b[i]) for i in range(6) if LABELS[i] == y]
        expected[y] = unit(0.3 * expected[y] + 0.7 * sum(mine) / len(mine))
    module.update(b, LABELS, MODALITIES)
    torch.testing.assert_close(module.memory[0], expected)
    other, order = filled(momentum=0.3, update="either"), torch.tensor([5, 2, 4, 0, 1, 3])
    other.update(b[order], LABELS[order], MODALITIES[order])
    torch.testing.assert_close(other.memory, module.memory)


def test_a_memory_that_stands_still() -> None:
    module = filled(update="none")
    before = module.memory.clone()
    module.update(features(6), LABELS, MODALITIES)
    assert torch.equal(module.memory, before)


def test_the_graph_keeps_what_the_loss_saw() -> None:
    module, b = filled(update="either"), features(6).requires_grad_()
    loss = module.loss(b, LABELS, MODALITIES)["identity"]
    module.update(b.detach(), LABELS, MODALITIES)
    loss.backward()
    first = b.grad
    assert first is not None
    b.grad = None
    filled().loss(b, LABELS, MODALITIES)["identity"].backward()
    torch.testing.assert_close(b.grad, first)


def test_an_identity_without_clips_and_an_empty_memory_are_named() -> None:
    module = IdentityCentroids(PrototypeConfig(), num_identities=Y, width=WIDTH)
    with pytest.raises(DataError, match="identity number 1"):
        module.initialise(features(3), torch.tensor([0, 2, 3]), torch.zeros(3))
    with pytest.raises(DataError, match="empty"):
        module.loss(features(6), LABELS, MODALITIES)
