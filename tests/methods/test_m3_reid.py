"""M3-ReID's own equations against loops."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.methods.small import LABELS, MODALITIES, built, clips, config_of
from xreid.core.errors import DataError
from xreid.methods.m3_reid import MultiViewAttention, alignment, diversity, separation
from xreid.methods.registry import build_network


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("pooling", ["mean", "gem"])
def test_mvl_pools_each_frame_under_each_mask(pooling: Literal["mean", "gem"]) -> None:
    torch.manual_seed(0)
    mvl, x = MultiViewAttention(4, heads=2, pooling=pooling), torch.randn(2, 3, 5, 4)
    features, masks = mvl(x)
    assert features.shape == (2, 3, 24)
    for i, t, k in itertools.product(range(2), range(3), range(6)):
        masked = []
        for n in range(5):
            mask = torch.sigmoid(mvl.masks.weight[k] @ x[i, t, n] + mvl.masks.bias[k])
            torch.testing.assert_close(masks[i, t, n, k], mask)
            masked.append(mask * x[i, t, n])
        if pooling == "mean":
            expected = sum(masked) / 5
        else:
            expected = (sum(m.clamp(min=0) ** 3 for m in masked) / 5 + 1e-12) ** (1 / 3)
        torch.testing.assert_close(features[i, t, 4 * k : 4 * k + 4], expected)


def test_gem_has_a_gradient_where_everything_is_clamped() -> None:
    mvl, x = MultiViewAttention(4, heads=2, pooling="gem"), -torch.ones(1, 1, 5, 4, requires_grad=True)
    mvl(x)[0].sum().backward()
    assert bool(mvl.masks.weight.grad.isfinite().all())


def test_separation_is_the_mean_squared_cosine_of_pairs() -> None:
    vectors = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    for i in range(2):
        pairs = [cosine(vectors[i, s], vectors[i, t]) ** 2 for s, t in itertools.permutations(range(3), 2)]
        assert separation(vectors)[i].item() == pytest.approx(sum(pairs) / 6, rel=1e-5)
    assert separation(torch.randn(2, 1, 5)).tolist() == [0, 0]
    assert separation(torch.eye(3)).item() == pytest.approx(0)


def test_diversity_compares_the_masks_of_a_view_within_its_slices() -> None:
    b, t, h, w, k = 2, 3, 4, 5, 2
    masks = torch.rand(b, t, h, w, 3, k, generator=torch.Generator().manual_seed(0))
    for i in range(b):
        frames = [cosine(*(masks[i, s, :, :, 0, j].flatten() for j in range(k))) ** 2 for s in range(t)]
        rows = [cosine(*(masks[i, :, r, :, 1, j].flatten() for j in range(k))) ** 2 for r in range(h)]
        columns = [cosine(*(masks[i, :, :, c, 2, j].flatten() for j in range(k))) ** 2 for c in range(w)]
        expected = sum(frames) / t + sum(rows) / h + sum(columns) / w
        assert diversity(masks)[i].item() == pytest.approx(expected, rel=1e-5)


def test_alignment_follows_its_equation() -> None:
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))
    per_modality = []
    for m in (0, 1):
        losses = []
        for i in (i for i in range(16) if MODALITIES[i] == m):
            others = [j for j in range(16) if MODALITIES[j] != m]
            near = [(1 - cosine(x[i], x[j])) / 2 for j in others if LABELS[j] == LABELS[i]]
            far = [(1 - cosine(x[i], x[j])) / 2 for j in others if LABELS[j] != LABELS[i]]
            losses.append(math.log(1 + math.exp(sum(near) / len(near) - sum(far) / len(far))))
        per_modality.append(sum(losses) / len(losses))
    assert alignment(x, LABELS, MODALITIES).item() == pytest.approx(sum(per_modality) / 2, rel=1e-5)


@pytest.mark.parametrize("modalities", [torch.zeros(16), torch.tensor([0] * 8 + [1] * 8)])
def test_a_clip_without_counterpart_is_an_error(modalities: Tensor) -> None:
    with pytest.raises(DataError, match="no counterpart"):
        alignment(torch.randn(16, 6), LABELS, modalities)


def test_clips_and_frames_have_a_classifier_each() -> None:
    network, objective = built("m3_reid")
    output = network(clips(), modalities=MODALITIES)
    terms = objective(output, LABELS, MODALITIES, network).terms
    flat = network.necks["interaction"](output.interaction_frames.flatten(0, 1), track=False)
    logits = flat @ network.classifiers["interaction_frames"].weight.t()
    expected = F.cross_entropy(logits, LABELS.repeat_interleave(3))
    torch.testing.assert_close(terms["identity_frames"], expected.detach())
    grid = network.config.grid
    assert output.parts["masks"].shape == (16, 3, *grid, 3, 2)


def test_masks_stand_where_their_patches_stand() -> None:
    network, _ = built("m3_reid")
    output = network(clips(), modalities=MODALITIES)
    rows, columns = network.config.grid
    token = output.patches[1, 2, 1 * columns + 1]
    expected = network.mvl.masks(token).sigmoid().unflatten(0, (3, 2))
    torch.testing.assert_close(output.parts["masks"][1, 2, 1, 1], expected)
    assert rows > 1 < columns


def test_more_heads_are_a_wider_feature() -> None:
    config = config_of("m3_reid")
    network = build_network(replace(config.network, num_identities=6, method_options={"heads": 3}))
    assert network.layout == (("bn_interaction", 3 * 3 * 16),)
