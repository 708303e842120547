"""TF-CLIP's own equations against loops."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch.nn import functional as F

from tests.methods.small import LABELS, MODALITIES, built, clips
from xreid.methods.tf_clip import SequenceSpecificPrompt, TemporalMemoryDiffusion, video_to_memory
from xreid.models.attention import Attention, FeedForward


def attend(module: Attention, query: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """One query [D] over tokens [M, D], head by head."""
    q, (k, v) = module.query(query), module.key_value(tokens).chunk(2, dim=1)
    size, parts = len(q) // module.heads, []
    for head in range(module.heads):
        own = slice(head * size, (head + 1) * size)
        weights = torch.stack([q[own] @ key[own] / math.sqrt(size) for key in k]).softmax(0)
        parts.append(sum(w * value[own] for w, value in zip(weights, v, strict=True)))
    return module.proj(torch.cat(parts))


def feed(module: FeedForward, x: torch.Tensor) -> torch.Tensor:
    return module.contract(F.gelu(module.expand(x)))


def test_ssp_prompts_each_memory_by_the_frames_of_one_clip() -> None:
    torch.manual_seed(0)
    ssp, memory, frames = SequenceSpecificPrompt(8), torch.randn(3, 8), torch.randn(2, 4, 8)
    assert bool((ssp.scale == 1e-4).all())
    with torch.no_grad():
        ssp.scale.uniform_(0.5, 1)
    found, block = ssp(memory, frames), ssp.block
    for i in range(2):
        for y in range(3):
            tokens = block.norm_tokens(frames[i])
            x = memory[y] + attend(block.attention, block.norm_query(memory[y]), tokens)
            x = x + feed(block.ffn, block.norm_ffn(x))
            torch.testing.assert_close(found[i, y], memory[y] + ssp.scale * (x - memory[y]))


def test_tmd_lets_frames_communicate_and_gives_the_memory_to_the_frame() -> None:
    torch.manual_seed(0)
    tmd, cls, patches = TemporalMemoryDiffusion(8, heads=2), torch.randn(2, 3, 8), torch.randn(2, 3, 5, 8)
    found = tmd(cls, patches)
    for i in range(2):
        memories = [tmd.memory(cls[i, t]) for t in range(3)]
        normed = torch.stack([tmd.norm(m) for m in memories])
        for t in range(3):
            memory = memories[t] + attend(tmd.communicate, normed[t], normed)
            tokens = torch.stack([cls[i, t], *patches[i, t], memory])
            block = tmd.diffuse
            normed_tokens = torch.stack([block.norm_attention(token) for token in tokens])
            x = cls[i, t] + attend(block.attention, normed_tokens[0], normed_tokens)
            torch.testing.assert_close(found[i, t], x + feed(block.ffn, block.norm_ffn(x)))


def test_a_frame_hears_of_the_others() -> None:
    torch.manual_seed(0)
    tmd, cls, patches = TemporalMemoryDiffusion(8, heads=2), torch.randn(1, 3, 8), torch.randn(1, 3, 5, 8)
    other = cls.clone()
    other[0, 2] += 1
    assert not torch.allclose(tmd(cls, patches)[0, 0], tmd(other, patches)[0, 0])


def test_video_to_memory_loss_follows_its_equation() -> None:
    network, objective = built("tf_clip")
    output = network(clips(), modalities=MODALITIES)
    terms = objective(output, LABELS, MODALITIES, network)
    memory = objective.prototypes
    assert memory is not None
    prompted = cast(torch.nn.Module, network.ssp)(memory.memory[0], output.frames_proj)
    losses = []
    for i, label in enumerate(LABELS.tolist()):
        v = output.sequence_proj[i]
        logits = torch.stack([v @ m / v.norm() / m.norm() / 0.05 for m in prompted[i]])
        losses.append(logits.logsumexp(0) - logits[label])
    torch.testing.assert_close(terms.terms["v2m"], torch.stack(losses).mean().detach())


def test_logits_are_cosines_over_the_temperature() -> None:
    sequences, prompted = torch.tensor([[3.0, 4.0]]), torch.tensor([[[6.0, 8.0], [-4.0, 3.0]]])
    torch.testing.assert_close(
        video_to_memory(sequences, prompted, temperature=0.5), torch.tensor([[2.0, 0.0]])
    )


def test_the_memory_stands_still() -> None:
    network, objective = built("tf_clip")
    assert objective.prototypes is not None
    before = objective.prototypes.memory.clone()
    terms = objective(network(clips(), modalities=MODALITIES), LABELS, MODALITIES, network)
    objective.update(terms)
    assert torch.equal(objective.prototypes.memory, before)
