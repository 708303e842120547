"""CPC against loops over equations 1 to 4."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from xreid.core.errors import ConfigError, DataError
from xreid.losses.config import PrototypeConfig
from xreid.losses.prototypes import CrossModalityPrototypes

Y, WIDTH = 5, 6
LABELS = torch.tensor([3, 3, 3, 3, 1, 1, 1, 1])
MODALITIES = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])


def features(count: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filled(**options: Any) -> CrossModalityPrototypes:
    module = CrossModalityPrototypes(PrototypeConfig(**options), num_identities=Y, width=WIDTH).double()
    labels = torch.arange(Y).repeat_interleave(4)
    module.initialise(features(4 * Y, seed=1), labels, torch.tensor([0, 1, 1, 0]).repeat(Y))
    return module


def unit(x: Tensor) -> Tensor:
    return x / math.sqrt(float((x * x).sum()))


def test_memories_start_from_the_mean_of_each_identity_and_modality() -> None:
    module = filled()
    b, labels = features(4 * Y, seed=1), torch.arange(Y).repeat_interleave(4)
    for y in range(Y):
        for modality, places in ((0, (0, 3)), (1, (1, 2))):
            chosen = [unit(b[i]) for i in range(len(b)) if labels[i] == y and i % 4 in places]
            torch.testing.assert_close(module.memory[modality, y], unit(sum(chosen) / len(chosen)))


def test_memories_can_be_built_again() -> None:
    module = filled()
    before = module.memory.clone()
    module.update(features(), LABELS, MODALITIES)
    labels = torch.arange(Y).repeat_interleave(4)
    module.initialise(features(4 * Y, seed=1), labels, torch.tensor([0, 1, 1, 0]).repeat(Y))
    assert torch.equal(module.memory, before)


@pytest.mark.parametrize("temperature", [None, 0.05])
@pytest.mark.parametrize("denominator", ["all", "batch"])
@pytest.mark.parametrize("pairing", ["both", "own"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_loss_follows_equations_3_and_4(
    temperature: float | None, denominator: str, pairing: str, reduction: str
) -> None:
    module = filled(temperature=temperature, denominator=denominator, pairing=pairing, reduction=reduction)
    b = features()
    found = module.loss(b, LABELS, MODALITIES)
    identities = range(Y) if denominator == "all" else sorted(set(LABELS.tolist()))
    for modality, name in enumerate(("vis", "ir")):
        terms = []
        for i in range(len(b)):
            if pairing == "own" and MODALITIES[i] != modality:
                continue

            def similarity(j: int, i: int = i, modality: int = modality) -> float:
                cosine = float(unit(b[i]) @ unit(module.memory[modality, j]))
                return math.exp(cosine / (temperature or 1.0))

            terms.append(-math.log(similarity(int(LABELS[i])) / sum(similarity(j) for j in identities)))
        expected = sum(terms) / (len(terms) if reduction == "mean" else 1)
        assert found[name].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("update", ["cross", "either", "own"])
def test_update_follows_equations_1_and_2(update: str) -> None:
    module = filled(update=update, momentum=0.2)
    old, b = module.memory.clone(), features()
    module.update(b, LABELS, MODALITIES)
    for m in (0, 1):
        sources = {"cross": (1 - m,), "either": (0, 1), "own": (m,)}[update]
        for y in range(Y):
            clips = [unit(b[i]) for i in range(len(b)) if LABELS[i] == y and int(MODALITIES[i]) in sources]
            expected = old[m, y]
            if clips:
                hardest = min(clips, key=lambda clip: float(clip @ old[m, y]))
                expected = unit(0.2 * old[m, y] + 0.8 * hardest)
            torch.testing.assert_close(module.memory[m, y], expected)
    torch.testing.assert_close(module.memory.norm(dim=2), torch.ones(2, Y, dtype=torch.float64))


def test_update_does_not_depend_on_the_order() -> None:
    first, second, order = filled(), filled(), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    first.update(features(), LABELS, MODALITIES)
    second.update(features()[order], LABELS[order], MODALITIES[order])
    assert torch.equal(first.memory, second.memory)


def test_an_identity_in_one_modality_moves_only_the_other_memory() -> None:
    module = filled()
    old = module.memory.clone()
    module.update(features(1), torch.tensor([2]), torch.tensor([1]))
    moved = (module.memory != old).any(dim=2)
    assert moved.nonzero().tolist() == [[0, 2]]


def test_gradients_reach_the_clips_and_not_the_memories() -> None:
    module = filled()
    b = features().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: sum(module.loss(x, LABELS, MODALITIES).values()), b)
    assert not any(True for _ in module.parameters())


def test_update_between_loss_and_backward_is_harmless() -> None:
    module = filled()
    b = features().requires_grad_()
    (expected,) = torch.autograd.grad(sum(module.loss(b, LABELS, MODALITIES).values()), b)
    loss = sum(module.loss(b, LABELS, MODALITIES).values())
    module.update(b, LABELS, MODALITIES)
    (found,) = torch.autograd.grad(loss, b)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_hard_negatives_are_the_most_similar_other_identities(count: int) -> None:
    module, b = filled(hard_negatives=count), features()
    found = module.loss(b, LABELS, MODALITIES)
    for modality, name in enumerate(("vis", "ir")):
        total = 0.0
        for i in range(len(b)):
            cosines = [float(unit(b[i]) @ module.memory[modality, y]) / 0.05 for y in range(Y)]
            own = cosines.pop(int(LABELS[i]))
            hardest = sorted(cosines, reverse=True)[:count]
            total -= own - math.log(sum(math.exp(c) for c in (own, *hardest)))
        assert found[name].item() == pytest.approx(total / len(b), rel=1e-9)


def test_bound_without_temperature() -> None:
    """The reason for the default: with cosine 1 against 499 times -1, the best there is, 4.23 is left."""
    module = CrossModalityPrototypes(PrototypeConfig(temperature=None), num_identities=500, width=3)
    best = torch.tensor([1.0, 0.0, 0.0])
    prototypes = torch.where(torch.arange(500).unsqueeze(1) == 0, best, -best)
    module.initialise(prototypes.repeat(2, 1), torch.arange(500).repeat(2), torch.arange(1000) // 500)
    loss = module.loss(best.unsqueeze(0), torch.tensor([0]), torch.tensor([0]))["vis"]
    assert loss.item() == pytest.approx(4.23, abs=0.01)


def test_memories_travel_in_the_state_dict() -> None:
    module, other = (
        filled(),
        CrossModalityPrototypes(PrototypeConfig(), num_identities=Y, width=WIDTH).double(),
    )
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.memory, module.memory)
    other.loss(features(), LABELS, MODALITIES)


def test_errors() -> None:
    module = CrossModalityPrototypes(PrototypeConfig(), num_identities=2, width=WIDTH)
    with pytest.raises(DataError, match="Call initialise"):
        module.loss(features(), LABELS, MODALITIES)
    with pytest.raises(DataError, match="identity number 1 has no ir tracklet"):
        module.initialise(features(3), torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]))
    for options in ({"momentum": 1.0}, {"momentum": -0.1}, {"temperature": 0.0}):
        with pytest.raises(ConfigError, match="out of range"):
            replace(PrototypeConfig(), **options)
