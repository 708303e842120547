"""The objective: its terms, its weights, the order of a batch, and N processes against one."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.waiting import PATIENCE_S
from xreid.core.errors import ConfigError, DataError
from xreid.losses.config import ObjectiveConfig, PrototypeConfig
from xreid.losses.objective import LossTerms, Objective
from xreid.losses.x_reid import XReIDObjective
from xreid.methods.registry import build_network
from xreid.models.config import NetworkConfig
from xreid.models.x_reid import XReID

NETWORK = replace(
    NetworkConfig.tiny(num_identities=6, cameras=("D1", "D2")),
    frame_size=(32, 16),
    width=16,
    depth=2,
    heads=2,
    interaction_heads=2,
    projection=8,
    cii_classifier=True,
)
EVERYTHING = ObjectiveConfig(
    triplet_features=("cls", "proj", "interaction"),
    frame_identity_weight=0.5,
    cii_identity_weight=0.25,
    cii_triplet_weight=0.125,
    label_smoothing=0.1,
)
# 4 identities x 2 clips per modality
LABELS = torch.tensor([5, 0, 3, 2]).repeat_interleave(4)
MODALITIES = torch.tensor([0, 0, 1, 1]).repeat(4)
ROWS = torch.tensor([31, 30, 2, 7, 12, 13, 11, 10, 20, 21, 22, 23, 5, 4, 1, 3])


def clips(frames: int = 3) -> Tensor:
    return torch.randn(16, frames, 3, 32, 16, generator=torch.Generator().manual_seed(0))


def pieces(config: ObjectiveConfig = EVERYTHING, **network: Any) -> tuple[XReID, Objective]:
    built = build_network(replace(NETWORK, **network))
    objective = XReIDObjective(config, network=built.config)
    if objective.prototypes is not None:
        width = objective.prototypes.memory.shape[2]
        bank = torch.randn(12, width, generator=torch.Generator().manual_seed(1))
        objective.prototypes.initialise(bank, torch.arange(6).repeat(2), torch.arange(12) // 6)
    return built, objective


def losses_of(order: Tensor, *, rows: Tensor | None = ROWS) -> LossTerms:
    network, objective = pieces()
    cameras = MODALITIES.clone()
    output = network(clips()[order], cameras[order])
    rows = rows[order] if rows is not None else None
    return objective(output, LABELS[order], MODALITIES[order], network, rows=rows)


def test_terms_and_total() -> None:
    found = losses_of(torch.arange(16))
    branches = ("sii", "lii")
    weights = {"cpcl_vis": 1, "cpcl_ir": 1}
    weights |= {f"triplet_{name}": 1 for name in ("cls", "proj", "interaction")}
    weights |= {f"identity_{name}": 1 for name in ("proj", "interaction")}
    weights |= {f"frame_identity_{name}": 0.5 for name in ("proj", "interaction")}
    weights |= {f"cmcl_{branch}_{name}": 1 for branch in branches for name in ("vis", "ir")}
    weights |= {f"cii_identity_{branch}": 0.25 for branch in branches}
    weights |= {f"cii_triplet_{branch}": 0.125 for branch in branches}
    assert found.terms.keys() == weights.keys()
    expected = sum(weight * found.terms[name].item() for name, weight in weights.items())
    assert found.total.item() == pytest.approx(expected, rel=1e-6)
    assert not any(term.requires_grad for term in found.terms.values())


def test_cmcl_follows_equation_9_with_partners_of_the_same_person() -> None:
    network, objective = pieces()
    output = network(clips())
    terms = objective(output, LABELS, MODALITIES, network, rows=ROWS).terms
    for branch in ("sii", "lii"):
        mean_branch = output.parts[branch].mean(dim=1)
        for modality, name in enumerate(("vis", "ir")):
            total, count = 0.0, 0
            for i in range(16):
                if MODALITIES[i] != modality:
                    continue
                same = [j for j in range(16) if LABELS[j] == LABELS[i]]
                mine = sorted((j for j in same if MODALITIES[j] == modality), key=lambda j: int(ROWS[j]))
                theirs = sorted((j for j in same if MODALITIES[j] != modality), key=lambda j: int(ROWS[j]))
                partner = theirs[mine.index(i)]
                crossed = network.cii(mean_branch[i][None, None], output.patches[partner][None])[0, 0]
                total += ((mean_branch[i] - crossed) ** 2).sum().item()
                count += 1
            assert terms[f"cmcl_{branch}_{name}"].item() == pytest.approx(total / count, rel=1e-4)


def test_identity_terms_are_cross_entropies() -> None:
    network, objective = pieces(replace(EVERYTHING, label_smoothing=0.0))
    output = network(clips())
    terms = objective(output, LABELS, MODALITIES, network).terms
    logits = output.logits["proj"]
    expected = sum(-F.log_softmax(logits[i], dim=0)[LABELS[i]] for i in range(16)) / 16
    assert terms["identity_proj"].item() == pytest.approx(expected.item(), rel=1e-5)
    frames = network.frame_logits(output)["interaction"]
    frame_losses = [-F.log_softmax(frames[i, t], dim=0)[LABELS[i]] for i in range(16) for t in range(3)]
    assert terms["frame_identity_interaction"].item() == pytest.approx(
        sum(frame_losses).item() / 48, rel=1e-5
    )


ORDERS = {
    "infrared first": torch.cat([torch.arange(16)[MODALITIES == 1], torch.arange(16)[MODALITIES == 0]]),
    "visible first": torch.cat([torch.arange(16)[MODALITIES == 0], torch.arange(16)[MODALITIES == 1]]),
    "reversed": torch.arange(16).flip(0),
    "shuffled": torch.randperm(16, generator=torch.Generator().manual_seed(5)),
}


@pytest.mark.parametrize("name", ORDERS)
def test_losses_do_not_depend_on_the_order_of_the_batch(name: str) -> None:
    expected, found = losses_of(torch.arange(16)), losses_of(ORDERS[name])
    for term, value in expected.terms.items():
        assert found.terms[term].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6), term


@pytest.mark.parametrize("name", ["infrared first", "visible first"])
def test_streams_may_come_in_any_order_even_without_rows(name: str) -> None:
    expected, found = losses_of(torch.arange(16), rows=None), losses_of(ORDERS[name], rows=None)
    assert found.total.item() == pytest.approx(expected.total.item(), rel=1e-5)


def test_every_weight_can_be_switched_off() -> None:
    off = ObjectiveConfig(
        cpc=PrototypeConfig(enabled=False), triplet_weight=0, identity_weight=1, cmcl_weight=0
    )
    network, objective = pieces(off, use_cii=False, use_sii=False, use_lii=False)
    terms = objective(network(clips()), LABELS, MODALITIES, network)
    assert list(terms.terms) == ["identity_proj"]
    assert terms.bank is None
    objective.update(terms)


def test_cii_alone_works_on_the_class_token_and_reaches_the_encoder() -> None:
    config = ObjectiveConfig(
        cpc=PrototypeConfig(enabled=False), triplet_weight=0, identity_weight=0, cmcl_reduction="mean"
    )
    network, objective = pieces(config, use_sii=False, use_lii=False, detach_tokens=True)
    terms = objective(network(clips()), LABELS, MODALITIES, network)
    assert list(terms.terms) == ["cmcl_cls_vis", "cmcl_cls_ir"]
    terms.total.backward()
    assert network.encoder.vit.norm.weight.grad is not None


@pytest.mark.parametrize(("feature", "width"), [("tap_v", 8), ("bn_concat", 24)])
def test_bank_feature(feature: Any, width: int) -> None:
    network, objective = pieces(ObjectiveConfig(cpc=PrototypeConfig(feature=feature)))
    output = network(clips())
    bank = objective.bank_features(output)
    expected = output.sequence_proj if width == 8 else torch.cat([output.bn_cls, output.bn_proj], dim=1)
    assert torch.equal(bank, expected)
    terms = objective(output, LABELS, MODALITIES, network)
    before = objective.prototypes.memory.clone()
    terms.total.backward()
    objective.update(terms)
    changed = (objective.prototypes.memory != before).any(dim=2).all(dim=0)
    assert changed.nonzero().flatten().tolist() == [0, 2, 3, 5]


def test_every_trained_parameter_gets_a_gradient() -> None:
    network, objective = pieces(replace(EVERYTHING, cpc=PrototypeConfig(feature="bn_concat")))
    objective(network(clips(), MODALITIES), LABELS, MODALITIES, network).total.backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_bfloat16_autocast_keeps_losses_in_float32() -> None:
    network, objective = pieces()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = objective(network(clips()), LABELS, MODALITIES, network)
    assert {term.dtype for term in terms.terms.values()} == {torch.float32}
    terms.total.backward()


class Ranks:
    """The gather of processes played by threads: rows of all in rank order, and one autograd graph for all.

    Adding up the processes' losses and going backward once makes the backward of every gather sum over
    processes.
    """

    def __init__(self, size: int) -> None:
        self.size, self.slots = size, dict[int, Tensor]()
        self.barrier = threading.Barrier(size, timeout=PATIENCE_S)

    def gather_of(self, rank: int) -> Callable[[Tensor], Tensor]:
        def gather(local: Tensor) -> Tensor:
            self.slots[rank] = local
            self.barrier.wait()
            rows = torch.cat([self.slots[r] for r in range(self.size)])
            self.barrier.wait()
            return rows

        return gather

    def run(self, work: Callable[[int], None]) -> None:
        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("feature", ["tap_v", "bn_concat"])
def test_two_processes_equal_one(feature: Any) -> None:
    config = replace(EVERYTHING, cpc=PrototypeConfig(feature=feature, denominator="batch"))
    network, objective = pieces(config)
    ranks = Ranks(2)
    copies = [(copy.deepcopy(network), copy.deepcopy(objective)) for _ in range(2)]
    found: dict[int, LossTerms] = {}

    def work(rank: int) -> None:
        part, gather = slice(8 * rank, 8 * rank + 8), ranks.gather_of(rank)
        own_network, own_objective = copies[rank]
        own_network.set_gather(gather)
        output = own_network(clips()[part], MODALITIES[part])
        found[rank] = own_objective(
            output, LABELS[part], MODALITIES[part], own_network, rows=ROWS[part], gather=gather
        )

    ranks.run(work)
    assert set(found) == {0, 1}
    expected = objective(network(clips(), MODALITIES), LABELS, MODALITIES, network, rows=ROWS)
    for name, value in expected.terms.items():
        for rank in range(2):
            assert found[rank].terms[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name
    expected.total.backward()
    (found[0].total + found[1].total).backward()
    for (name, one), two, three in zip(
        network.named_parameters(), copies[0][0].parameters(), copies[1][0].parameters(), strict=True
    ):
        if one.grad is None:  # the neck of z_cls, where nothing trained looks at it
            assert two.grad is None
            continue
        torch.testing.assert_close((two.grad + three.grad) / 2, one.grad, rtol=1e-3, atol=2e-5, msg=name)
    objective.update(expected)
    for rank, (own_network, own_objective) in enumerate(copies):
        own_objective.update(found[rank])
        torch.testing.assert_close(own_objective.prototypes.memory, objective.prototypes.memory)
        for name, buffer in own_network.named_buffers():
            torch.testing.assert_close(buffer, dict(network.named_buffers())[name])


@pytest.mark.parametrize(
    ("objective", "network", "message"),
    [
        (ObjectiveConfig(), {"num_identities": 1}, "too few"),
        (ObjectiveConfig(), {"use_sii": False, "use_lii": False}, "triplet_features"),
        (ObjectiveConfig(cii_identity_weight=1), {"cii_classifier": False}, "cii_classifier"),
        (ObjectiveConfig(), {"classifiers": ()}, "identity_weight"),
        (ObjectiveConfig(identity_weight=0, frame_identity_weight=1), {"classifiers": ()}, "classifier"),
        (
            ObjectiveConfig(triplet_features=("proj",)),
            {"classifiers": ("interaction",), "use_sii": False, "use_lii": False},
            "network makes; got interaction",
        ),
        (ObjectiveConfig(cmcl_weight=0), {}, "CII would never be trained"),
    ],
)
def test_objective_and_network_must_fit(
    objective: ObjectiveConfig, network: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        XReIDObjective(objective, network=replace(NETWORK, **network))


@pytest.mark.parametrize("change", [{"cpcl_weight": -1}, {"triplet_margin": -0.1}, {"label_smoothing": 1.0}])
def test_bad_values_are_named(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(ObjectiveConfig(), **change)


def test_unpaired_batch_and_single_identity() -> None:
    network, objective = pieces()
    with pytest.raises(DataError, match="cannot be paired"):
        objective(network(clips()), LABELS, torch.zeros(16), network)
    with pytest.raises(DataError, match="2 identities"):
        objective(network(clips()), torch.zeros(16, dtype=torch.long), MODALITIES, network)
