"""CLIP's text encoder, for the "textual prompts" row of the paper's Table 4 only (Radford et al., 2021).

Parameters carry OpenAI's names, so that its weights load as they are.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from xreid.core.errors import CheckpointError
from xreid.models.weight_names import Weights, to_openai_text_names
from xreid.models.weights import locate_weights, read_tensors

HEAD_WIDTH = 64


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x), CLIP's activation."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(1.702 * x)


class TextBlock(nn.Module):
    """Pre-norm transformer block with causal attention."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        parts = (("c_fc", nn.Linear(width, 4 * width)), ("gelu", QuickGELU()))
        self.mlp = nn.Sequential(OrderedDict([*parts, ("c_proj", nn.Linear(4 * width, width))]))

    def forward(self, x: Tensor, *, mask: Tensor) -> Tensor:
        """Map [P, L, W] to [P, L, W]; mask bool [L, L], True where a token may not look."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class ClipTextEncoder(nn.Module):
    """Embedded prompts to text features."""

    def __init__(
        self, *, width: int, depth: int, projection: int, vocabulary: int, context: int, heads: int
    ) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(context, width))
        blocks = nn.ModuleList(TextBlock(width, heads=heads) for _ in range(depth))
        self.transformer = nn.ModuleDict({"resblocks": blocks})
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(width**-0.5 * torch.randn(width, projection))

    @property
    def width(self) -> int:
        """Width W of a token embedding."""
        return self.token_embedding.embedding_dim

    def forward(self, embedded: Tensor) -> Tensor:
        """Map P prompts of L embedded tokens, [P, L, W], the last of them end-of-text, to [P, d]."""
        length = embedded.shape[1]
        mask = torch.ones(length, length, dtype=torch.bool, device=embedded.device).triu(1)
        x = embedded + self.positional_embedding[:length]
        blocks = self.transformer["resblocks"]
        assert isinstance(blocks, nn.ModuleList)
        for block in blocks:
            x = block(x, mask=mask)
        return self.ln_final(x[:, -1]) @ self.text_projection


def load_text_encoder(source: str) -> ClipTextEncoder:
    """The frozen text encoder of CLIP weights that hold both towers; its sizes are read from them.

    Args:
        source: A file (.safetensors, OpenAI's ViT-B-16.pt) or a Hugging Face name.

    Raises:
        CheckpointError: The weights are absent, damaged, or hold no text encoder.
    """
    tensors = read_tensors(locate_weights(source))
    try:
        weights = to_openai_text_names(tensors)
        with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
            encoder = _fitting(weights)
        encoder.load_state_dict(weights)
    except (LookupError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{source} holds no CLIP text encoder",
            got=" ".join(str(error).split())[:200],
            todo="Give weights with both towers, such as OpenAI's ViT-B-16.pt itself.",
        ) from error
    return encoder.requires_grad_(False).eval()


def _fitting(weights: Weights) -> ClipTextEncoder:
    vocabulary, width = weights["token_embedding.weight"].shape
    blocks = {name.split(".")[2] for name in weights if name.startswith("transformer.resblocks.")}
    return ClipTextEncoder(
        width=width,
        depth=len(blocks),
        projection=weights["text_projection"].shape[1],
        vocabulary=vocabulary,
        context=len(weights["positional_embedding"]),
        heads=max(1, width // HEAD_WIDTH),
    )
