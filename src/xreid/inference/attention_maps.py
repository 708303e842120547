"""Where the class token, SII and LII look: attention weights, which fused attention does not give away.

The inputs of the modules are caught by hooks while the network runs as always; the weights are made from them
by the modules' own query and key layers. Weights are means over the heads.

Shapes: B clips, T frames, F = B x T frames, Q query tokens, M key tokens, N patches, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from timm.layers import Attention as EncoderAttention
from torch import Tensor, nn

from xreid.models.attention import Attention
from xreid.models.network import TrackletNetwork

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AttentionMaps:
    """Shares of attention over the patches of B clips of T frames.

    Attributes:
        cls: float32 [B, T, N], the class token in the encoder's last block; adds up to 1 with `cls_itself`.
        cls_itself: float32 [B, T], what the class token keeps for itself.
        sii: float32 [B, T, N], SII's last block, adding up to 1; entry t is over zhat_t, whose channels come
            from the frames t - S, t and t + S. None where the network has no SII.
        lii: float32 [B, T, N], LII's last block, adding up to 1; entry t is over frame t, asked by the class
            token of frame t - S (circular). None where the network has no LII.
    """

    cls: Floats
    cls_itself: Floats
    sii: Floats | None
    lii: Floats | None


@torch.no_grad()
def attention_maps(
    network: TrackletNetwork,
    clips: Tensor,
    cameras: Tensor | None = None,
    *,
    modalities: Tensor | None = None,
) -> AttentionMaps:
    """Run the network on clips and keep where it looked.

    Args:
        network: In evaluation mode; its state does not change.
        clips: Normalised float [B, T, 3, H, W].
        cameras: Camera numbers int64 [B], -1 where unseen in training; none: no camera embedding.
        modalities: [B], 0 visible, 1 infrared; needed where each has a BNNeck of its own.
    """
    shape = clips.shape[:2]
    encoder = network.encoder.vit.blocks[-1].attn
    assert isinstance(encoder, EncoderAttention)
    branches = {name: _last_attention(getattr(network, name, None)) for name in ("sii", "lii")}
    modules = {"cls": encoder} | {name: module for name, module in branches.items() if module is not None}
    with _inputs_of(modules) as caught:
        network(clips, cameras, modalities=modalities)
    own = self_attention(encoder, *caught["cls"])[:, :, 0].mean(dim=1)
    maps = {
        name: _by_clip(cross_attention(module, *caught[name])[:, :, 0].mean(dim=1), shape)
        for name, module in branches.items()
        if module is not None
    }
    return AttentionMaps(
        cls=_by_clip(own[:, 1:], shape),
        cls_itself=_by_clip(own[:, 0], shape),
        sii=maps.get("sii"),
        lii=maps.get("lii"),
    )


def self_attention(module: EncoderAttention, tokens_FMD: Tensor) -> Tensor:
    """Attention weights of timm's self-attention, [F, H, M, M]; each row adds up to 1."""
    query, key, _ = self_attention_parts(module, tokens_FMD)
    return (query @ key.transpose(-2, -1) * module.scale).softmax(dim=-1)


def self_attention_parts(module: EncoderAttention, tokens_FMD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of timm's self-attention, each [F, H, M, D / H]."""
    split = module.qkv(tokens_FMD).unflatten(-1, (3, module.num_heads, module.head_dim))
    query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
    return module.q_norm(query), module.k_norm(key), value


def cross_attention(module: Attention, queries_FQD: Tensor, tokens_FMD: Tensor) -> Tensor:
    """Attention weights of the attention of SII and LII, [F, H, Q, M]; each row adds up to 1."""
    query = _split(module.query(queries_FQD), module.heads)
    key = _split(module.key_value(tokens_FMD).chunk(2, dim=-1)[0], module.heads)
    return (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1)


def _split(tokens: Tensor, heads: int) -> Tensor:
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def _last_attention(branch: nn.Module | None) -> Attention | None:
    """The attention of the last of a branch's blocks; None where the network has no such branch."""
    blocks = getattr(branch, "blocks", None)
    found = getattr(blocks[-1], "attention", None) if blocks is not None else None
    return found if isinstance(found, Attention) else None


@contextmanager
def _inputs_of(modules: dict[str, Any]) -> Iterator[dict[str, tuple[Tensor, ...]]]:
    """The tensors that each module is called with, by its name; the hooks are gone afterwards."""
    caught: dict[str, tuple[Tensor, ...]] = {}

    def catch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            caught[name] = inputs

        return hook

    handles = [module.register_forward_pre_hook(catch(name)) for name, module in modules.items()]
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def _by_clip(values_F: Tensor, shape: torch.Size) -> Floats:
    result: Floats = values_F.unflatten(0, shape).float().cpu().numpy()
    return result
