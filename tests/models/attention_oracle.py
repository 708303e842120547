"""Attention written out: loops over queries, heads and channels, from the parameters of a fast block."""

import math

import torch
from torch import Tensor, nn

from xreid.models.attention import Attention, CrossAttentionBlock, FeedForward


def randomise(module: nn.Module, *, seed: int = 0) -> nn.Module:
    """Double precision, parameters in no special place: norms at 1 and biases at 0 hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(
                0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64) + 0.1
            )
    return module


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt(centred.square().mean() + norm.eps) * norm.weight + norm.bias


def naive_attention(query: Tensor, tokens: list[Tensor], attention: Attention) -> Tensor:
    """One query [D] over a list of tokens [D], head by head."""
    width = len(query)
    head = width // attention.heads
    q = attention.query.weight @ query
    keys = [(attention.key_value.weight @ token)[:width] for token in tokens]
    values = [(attention.key_value.weight @ token)[width:] for token in tokens]
    out = torch.zeros(width, dtype=query.dtype)
    for h in range(attention.heads):
        part = slice(h * head, (h + 1) * head)
        scores = torch.stack([(q[part] * k[part]).sum() / math.sqrt(head) for k in keys])
        shares = scores.exp() / scores.exp().sum()
        for share, value in zip(shares, values, strict=True):
            out[part] += share * value[part]
    return attention.proj.weight @ out + attention.proj.bias


def naive_ffn(x: Tensor, ffn: FeedForward) -> Tensor:
    hidden = ffn.expand.weight @ x + ffn.expand.bias
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return ffn.contract.weight @ hidden + ffn.contract.bias


def naive_cross_block(query: Tensor, tokens: list[Tensor], block: CrossAttentionBlock) -> Tensor:
    normed = [naive_norm(token, block.norm_tokens) for token in tokens]
    x = query + naive_attention(naive_norm(query, block.norm_query), normed, block.attention)
    return x + naive_ffn(naive_norm(x, block.norm_ffn), block.ffn)
