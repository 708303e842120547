"""MITML's own equations against loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tests.methods.small import LABELS, MODALITIES, clips, config_of
from xreid.core.errors import ConfigError
from xreid.methods.mitml import TemporalMemoryRefinement, adversary
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


def test_each_side_of_the_adversary_moves_itself_only() -> None:
    torch.manual_seed(0)
    classifier, features = torch.nn.Linear(4, 2), torch.randn(5, 4, requires_grad=True)
    modalities = torch.tensor([0, 1, 1, 0, 1])
    told, confused = adversary(classifier, features, modalities)
    for i, modality in enumerate(modalities.tolist()):
        logits = classifier.weight @ features[i] + classifier.bias
        shares = logits.exp() / logits.exp().sum()
        torch.testing.assert_close(told[i], -shares[modality].log())
        torch.testing.assert_close(confused[i], -(shares[0].log() + shares[1].log()) / 2)
    assert torch.autograd.grad(told.sum(), features, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(confused.sum(), classifier.weight, allow_unused=True, retain_graph=True) == (
        None,
    )
    assert bool(torch.autograd.grad(told.sum(), classifier.weight)[0].any())
    assert bool(torch.autograd.grad(confused.sum(), features)[0].any())


def test_features_that_say_nothing_leave_the_classifier_at_a_loss() -> None:
    told, confused = adversary(torch.nn.Linear(4, 2, bias=False), torch.zeros(2, 4), torch.tensor([0, 1]))
    torch.testing.assert_close(told, torch.full((2,), math.log(2)))
    torch.testing.assert_close(confused, told)


def test_the_adversary_can_be_left_out_and_a_bad_option_is_named() -> None:
    config = config_of("mitml")
    shape = replace(config.network, num_identities=6, method_options={"confusion": 0.0})
    network = build_network(shape)
    objective = build_objective(config.objective, network=shape)
    terms = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    assert set(terms.terms) == {"triplet_interaction", "identity_interaction"}
    with pytest.raises(ConfigError, match="confusion is out of range"):
        build_network(replace(shape, method_options={"confusion": -1.0}))
