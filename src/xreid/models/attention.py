"""Attention blocks shared by SII, LII and CII.

All are pre-norm with MLP ratio 4, GELU, no dropout, qkv without bias and an output projection with bias,
as in the authors' code; the paper names them only MHCA, MHSA and FFN.

Shapes: F frames (any leading batch), Q query tokens, M key tokens, D width, H heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MLP_RATIO = 4


class Attention(nn.Module):
    """Multi-head attention of query tokens over other tokens, both already normalised."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, queries_FQD: Tensor, tokens_FMD: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            queries_FQD: [F, Q, D].
            tokens_FMD: [F, M, D].
            mask: bool [Q, M], True where a query may look; none: everywhere.

        Returns:
            [F, Q, D].
        """
        query = self._split(self.query(queries_FQD))
        key, value = self.key_value(tokens_FMD).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(query, self._split(key), self._split(value), attn_mask=mask)
        return self.proj(attended.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """FFN: width -> 4 x width -> width with GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, MLP_RATIO * width)
        self.contract = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [..., D] to [..., D]."""
        return self.contract(F.gelu(self.expand(tokens)))


class CrossAttentionBlock(nn.Module):
    """FFN(MHCA(query, key = value)): one pre-norm residual block."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(width)
        self.norm_tokens = nn.LayerNorm(width)
        self.attention = Attention(width, heads=heads)
        self.norm_ffn = nn.LayerNorm(width)
        self.ffn = FeedForward(width)

    def forward(self, queries_FQD: Tensor, tokens_FMD: Tensor) -> Tensor:
        """Map queries [F, Q, D] with tokens [F, M, D] to [F, Q, D]."""
        x = queries_FQD + self.attention(self.norm_query(queries_FQD), self.norm_tokens(tokens_FMD))
        return x + self.ffn(self.norm_ffn(x))


class FirstTokenSelfAttentionBlock(nn.Module):
    """FFN(MHSA([anchor; patches])), of which only the anchor's output is kept: one pre-norm residual block.

    Only the first token of the result is used, so only its query is computed; what comes out is the same.
    Several anchors over the same patches share their keys and values: a mask hides the anchors from each
    other.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads=heads)
        self.norm_ffn = nn.LayerNorm(width)
        self.ffn = FeedForward(width)

    def forward(self, anchors_FXD: Tensor, patches_FND: Tensor) -> Tensor:
        """Map X anchors [F, X, D], each attending to itself and to patches [F, N, D], to [F, X, D]."""
        num_anchors, num_patches = anchors_FXD.shape[1], patches_FND.shape[1]
        tokens = self.norm_attention(torch.cat([anchors_FXD, patches_FND], dim=1))
        mask = None
        if num_anchors > 1:
            own = torch.eye(num_anchors, dtype=torch.bool, device=tokens.device)
            mask = torch.cat([own, own.new_ones(num_anchors, num_patches)], dim=1)
        x = anchors_FXD + self.attention(tokens[:, :num_anchors], tokens, mask=mask)
        return x + self.ffn(self.norm_ffn(x))
