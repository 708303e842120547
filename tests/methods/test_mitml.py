"""MITML's own equations against loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tests.methods.small import LABELS, MODALITIES, built, clips, config_of
from xreid.core.errors import ConfigError
from xreid.methods.mitml import GradientReversal, TemporalMemoryRefinement
from xreid.methods.registry import build_network, build_objective


def test_tmr_follows_its_equations() -> None:
    torch.manual_seed(0)
    tmr, z = TemporalMemoryRefinement(4), torch.randn(2, 3, 4)
    frames, sequence = tmr(z)
    cell = tmr.cell
    for i in range(2):
        h, c, hidden = torch.zeros(4), torch.zeros(4), []
        for t in range(3):
            gates = cell.weight_ih @ z[i, t] + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh
            entry, forget, candidate, exit_ = gates.chunk(4)
            c = forget.sigmoid() * c + entry.sigmoid() * candidate.tanh()
            h = exit_.sigmoid() * c.tanh()
            hidden.append(h)
        refined = [z[i, t] + tmr.write(hidden[t]) for t in range(3)]
        scores = torch.stack([tmr.query(hidden[-1]) @ tmr.key(z[i, t]) / math.sqrt(4) for t in range(3)])
        weights = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(frames[i], torch.stack(refined))
        torch.testing.assert_close(sequence[i], sum(weights[t] * refined[t] for t in range(3)))


def test_the_gradient_comes_back_reversed() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = GradientReversal.apply(x, 0.5)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([-1.5, -2.0]))


def test_the_modality_loss_trains_its_classifier_and_works_against_the_features() -> None:
    network, objective = built("mitml")
    output = network(clips(), modalities=MODALITIES)
    feature = output.bn_interaction.detach().requires_grad_()
    logits = network.modality_classifier(feature)
    expected = F.cross_entropy(logits, MODALITIES)
    expected.backward()
    found, _ = _terms(
        objective, replace(output, bn_interaction=(own := feature.detach().requires_grad_())), network
    )
    torch.testing.assert_close(found["modality"], expected.detach())
    weight = network.modality_classifier.weight
    by_hand, weight.grad = weight.grad, None
    _terms(objective, replace(output, bn_interaction=own), network)[1].backward()
    torch.testing.assert_close(own.grad, -0.1 * feature.grad)
    torch.testing.assert_close(weight.grad, by_hand)


def _terms(objective, output, network):  # type: ignore[no-untyped-def]
    """L_m alone: as reported, and with its gradient."""
    from xreid.losses.objective import BatchLabels

    batch = BatchLabels(
        local_labels=LABELS, local_modalities=MODALITIES, keys=None, labels=LABELS, modalities=MODALITIES,
        gather=lambda x: x,
    )  # fmt: skip
    terms = objective.method_terms(output, batch, network)
    return {name: term.detach() for name, (_, term) in terms.items()}, terms["modality"][1]


def test_the_adversary_can_be_left_out_and_a_bad_option_is_named() -> None:
    config = config_of("mitml")
    shape = replace(config.network, num_identities=6, method_options={"modality_weight": 0.0})
    network = build_network(shape)
    objective = build_objective(config.objective, network=shape)
    terms = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    assert "modality" not in terms.terms
    with pytest.raises(ConfigError, match="reversal is out of range"):
        build_network(replace(shape, method_options={"reversal": -1.0}))
