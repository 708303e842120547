"""CII against full self-attention, written out, of which only the first token is kept."""

import pytest
import torch

from tests.models.attention_oracle import naive_attention, naive_ffn, naive_norm, random, randomise
from xreid.models.cross_interaction import CrossModalityInteraction

B, T, N, D, HEADS = 2, 3, 4, 8, 2


@pytest.mark.parametrize("num_branches", [1, 2])
def test_cii_is_the_first_token_of_self_attention(num_branches: int) -> None:
    module = CrossModalityInteraction(D, heads=HEADS)
    randomise(module)
    anchors, patches = random(B, num_branches, D), random(B, T, N, D, seed=2)
    result = module(anchors, patches)
    block = module.block
    for b in range(B):
        for x in range(num_branches):
            kept = []
            for t in range(T):
                tokens = [anchors[b, x], *patches[b, t]]
                normed = [naive_norm(token, block.norm_attention) for token in tokens]
                outputs = []
                for token, query in zip(tokens, normed, strict=True):  # every token, as MHSA does
                    attended = token + naive_attention(query, normed, block.attention)
                    outputs.append(attended + naive_ffn(naive_norm(attended, block.norm_ffn), block.ffn))
                kept.append(outputs[0])
            torch.testing.assert_close(result[b, x], sum(kept) / T, rtol=1e-10, atol=1e-10)


def test_branches_do_not_see_each_other() -> None:
    module = CrossModalityInteraction(D, heads=HEADS)
    randomise(module)
    anchors, patches = random(B, 2, D), random(B, T, N, D, seed=2)
    alone = module(anchors[:, :1], patches)
    torch.testing.assert_close(module(anchors, patches)[:, :1], alone)


def test_gradients() -> None:
    module = CrossModalityInteraction(4, heads=2)
    randomise(module)
    anchors = random(1, 2, 4).requires_grad_()
    patches = random(1, 2, 2, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(module, (anchors, patches))
