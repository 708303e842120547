"""The weights are those the modules use: they rebuild the modules' outputs, and agree with plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.models.attention_oracle import random, randomise
from tests.training.micro import NETWORK
from xreid.inference.attention_maps import (
    attention_maps,
    cross_attention,
    self_attention,
    self_attention_parts,
)
from xreid.methods.registry import build_network
from xreid.models.attention import Attention
from xreid.models.network import TrackletNetwork

ALONE = {"use_sii": False, "use_lii": False, "use_cii": False, "classifiers": ("proj",)}


def network(**changes: object) -> TrackletNetwork:
    built = build_network(replace(NETWORK, **changes), seed=3)
    randomise(built)
    return built.eval()


def clips(count: int = 2, frames: int = 3) -> Tensor:
    return random(count, frames, 3, *NETWORK.frame_size)


def test_the_encoders_weights_rebuild_its_output() -> None:
    module, tokens = network().encoder.vit.blocks[-1].attn, random(3, 9, 16)
    weights = self_attention(module, tokens)
    assert weights.shape == (3, 2, 9, 9)
    attended = (weights @ self_attention_parts(module, tokens)[2]).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module.proj(attended), module(tokens))


def test_weights_of_sii_and_lii_rebuild_their_output() -> None:
    module = randomise(Attention(12, heads=3))
    assert isinstance(module, Attention)
    queries, tokens = random(4, 2, 12), random(4, 7, 12, seed=2)
    weights = cross_attention(module, queries, tokens)
    assert weights.shape == (4, 3, 2, 7)
    value = module.key_value(tokens)[..., 12:].unflatten(-1, (3, 4)).transpose(1, 2)
    attended = (weights @ value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module.proj(attended), module(queries, tokens))


def test_weights_equal_a_loop_over_heads_and_tokens() -> None:
    module = randomise(Attention(8, heads=2))
    assert isinstance(module, Attention)
    queries, tokens = random(1, 1, 8), random(1, 5, 8, seed=2)
    found = cross_attention(module, queries, tokens)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        query = (module.query.weight @ queries[0, 0])[part]
        keys = [(module.key_value.weight @ token)[:8][part] for token in tokens[0]]
        scores = [
            math.exp(float((query @ key).detach()) / 2) for key in keys
        ]  # 2: the root of 4 channels a head
        expected = torch.tensor([score / sum(scores) for score in scores], dtype=torch.float64)
        torch.testing.assert_close(found[0, head, 0], expected)


def test_maps_are_shares_of_every_frame_in_its_place() -> None:
    model, frames = network(), clips()
    maps = attention_maps(model, frames)
    assert maps.sii is not None
    assert maps.lii is not None
    assert maps.cls.shape == maps.sii.shape == maps.lii.shape == (2, 3, 8)
    for total in (maps.cls.sum(-1) + maps.cls_itself, maps.sii.sum(-1), maps.lii.sum(-1)):
        assert total == pytest.approx(1, abs=1e-5)
    alone = attention_maps(model, frames[1:])
    assert alone.cls[0] == pytest.approx(maps.cls[1], abs=1e-5)
    assert alone.lii is not None
    assert alone.lii[0] == pytest.approx(maps.lii[1], abs=1e-5)


def test_lii_asks_frame_t_with_the_class_token_of_an_earlier_frame() -> None:
    model, frames = network(lii_stride=1), clips(1)
    maps = attention_maps(model, frames)
    output = model(frames)
    block = model.lii.blocks[-1]  # type: ignore[union-attr]
    assert maps.lii is not None
    for frame, asking in ((0, 2), (1, 0), (2, 1)):
        weights = cross_attention(
            block.attention,
            block.norm_query(output.frames_cls[:, asking : asking + 1]),
            block.norm_tokens(output.patches[:, frame]),
        )
        expected = weights.mean(dim=1)[0, 0].detach().numpy()
        assert maps.lii[0, frame] == pytest.approx(expected, abs=1e-5)


def test_a_network_without_sii_and_lii_has_no_such_maps_and_keeps_no_hooks() -> None:
    model = network(**ALONE)
    before = model(clips())
    maps = attention_maps(model, clips())
    assert maps.sii is None
    assert maps.lii is None
    assert not model.encoder.vit.blocks[-1].attn._forward_pre_hooks
    assert not model.training
    torch.testing.assert_close(model(clips()).bn_cls, before.bn_cls)


def test_a_network_of_another_method_is_looked_at_too() -> None:
    model = network(method="image-baseline", **ALONE)
    assert attention_maps(model, clips()).cls.shape == (2, 3, 8)
