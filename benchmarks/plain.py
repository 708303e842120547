"""The network as one would first write it: the baseline of the benchmarks, with the same weights.

Clips one after the other, frames one after the other where the paper's equations have an index t, attention
as softmax(Q K^T) V, the shift by torch.cat, CII once per frame and branch over all tokens. It must give the
same numbers; the benchmarks check that before they time anything.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from xreid.models.attention import Attention, CrossAttentionBlock, FirstTokenSelfAttentionBlock
from xreid.models.output import NetworkOutput
from xreid.models.x_reid import XReID


def attention(module: Attention, queries: Tensor, tokens: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V, written out; [Q, D] over [M, D]."""
    width, heads = queries.shape[-1], module.heads
    q = module.query(queries).view(-1, heads, width // heads).transpose(0, 1)
    k, v = module.key_value(tokens).chunk(2, dim=-1)
    k, v = (x.reshape(-1, heads, width // heads).transpose(0, 1) for x in (k, v))
    weights = torch.softmax(q @ k.transpose(1, 2) / (width // heads) ** 0.5, dim=-1)
    return module.proj((weights @ v).transpose(0, 1).reshape(-1, width))


def cross_block(block: CrossAttentionBlock, query: Tensor, tokens: Tensor) -> Tensor:
    """One query [1, D] over tokens [N, D]."""
    x = query + attention(block.attention, block.norm_query(query), block.norm_tokens(tokens))
    return x + block.ffn(block.norm_ffn(x))


def self_block(block: FirstTokenSelfAttentionBlock, anchor: Tensor, patches: Tensor) -> Tensor:
    """MHSA over [anchor; patches] in full, of which the first token is kept."""
    tokens = torch.cat([anchor, patches])
    normed = block.norm_attention(tokens)
    x = tokens + attention(block.attention, normed, normed)
    return (x + block.ffn(block.norm_ffn(x)))[:1]


def encode(network: XReID, clip: Tensor, camera: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Class tokens [T, D], patches [T, N, D] and projections [T, d] of one clip, frame by frame."""
    vit, offset = network.encoder.vit, None
    if network.camera_embedding is not None and camera is not None:
        offset = network.camera_embedding(camera[None])[0]
    rows = []
    for frame in clip:
        patches = vit.patch_embed(frame[None])
        x = vit._pos_embed(patches)
        if network.encoder.pooled_class_token:
            x = torch.cat([x[:, :1] + patches.mean(dim=1), x[:, 1:]], dim=1)
        if offset is not None:
            x = torch.cat([x[:, :1] + offset, x[:, 1:]], dim=1)
        x = vit.norm_pre(x)
        for block in vit.blocks:
            x = x + _timm_attention(block.attn, block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        rows.append(vit.norm(x)[0])
    tokens = torch.stack(rows)
    return tokens[:, 0], tokens[:, 1:], vit.head(tokens[:, 0])


def _timm_attention(module: nn.Module, x: Tensor) -> Tensor:
    batch, count, width = x.shape
    heads = module.num_heads
    qkv = module.qkv(x).reshape(batch, count, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    weights = torch.softmax(q @ k.transpose(-2, -1) / (width // heads) ** 0.5, dim=-1)
    return module.proj((weights @ v).transpose(1, 2).reshape(batch, count, width))


def short_term(network: XReID, cls: Tensor, patches: Tensor) -> Tensor:
    """SII of one clip, [T, D]."""
    assert network.sii is not None
    count, s, d = len(cls), network.sii.stride, cls.shape[1]
    results = []
    for t in range(count):
        before = patches[t - s] if t - s >= 0 else patches[t]
        after = patches[t + s] if t + s < count else patches[t]
        parts = [before[:, : d // 4], after[:, d // 4 : d // 2], patches[t][:, d // 2 :]]
        x, tokens = cls[t : t + 1], torch.cat(parts, dim=1)
        for block in network.sii.blocks:
            x = cross_block(block, x, tokens)
        results.append(x)
    return torch.cat(results)


def long_term(network: XReID, cls: Tensor, patches: Tensor) -> Tensor:
    """LII of one clip, [T, D]."""
    assert network.lii is not None
    count, s = len(cls), network.lii.stride
    results = [cls[:1]] * count
    for t in range(count):
        query = (t - s) % count
        x = cls[query : query + 1]
        for block in network.lii.blocks:
            x = cross_block(block, x, patches[t])
        results[query] = x
    return torch.cat(results)


class PlainCrossModality(nn.Module):
    """CII, one clip, branch and frame at a time."""

    def __init__(self, block: FirstTokenSelfAttentionBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, anchors: Tensor, patches: Tensor) -> Tensor:
        """As `CrossModalityInteraction`."""
        clips = []
        for anchor, frames in zip(anchors, patches, strict=True):
            branches = [
                torch.cat([self_block(self.block, branch[None], frame) for frame in frames]).mean(dim=0)
                for branch in anchor
            ]
            clips.append(torch.stack(branches))
        return torch.stack(clips)


def forward(network: XReID, clips: Tensor, cameras: Tensor | None) -> NetworkOutput:
    """As `network(clips, cameras)`, clip by clip; necks and classifiers need the whole batch."""
    found: dict[str, list[Tensor]] = {}
    for number, clip in enumerate(clips):
        cls, patches, proj = encode(network, clip, None if cameras is None else cameras[number])
        parts = {"frames_cls": cls, "patches": patches, "frames_proj": proj}
        if network.sii is not None:
            parts["sii"] = short_term(network, cls, patches)
        if network.lii is not None:
            parts["lii"] = long_term(network, cls, patches)
        for name, value in parts.items():
            found.setdefault(name, []).append(value)
    stacked = {name: torch.stack(values) for name, values in found.items()}
    parts = {name: stacked.pop(name) for name in ("sii", "lii") if name in stacked}
    branches = list(parts.values())
    if branches:
        stacked["interaction_frames"] = sum(branches[1:], branches[0]) / len(branches)
    sequence = {
        name: stacked[source].mean(dim=1)
        for name, source in (
            ("cls", "frames_cls"),
            ("proj", "frames_proj"),
            ("interaction", "interaction_frames"),
        )
        if source in stacked
    }
    necks = {name: network.necks[name](value) for name, value in sequence.items()}
    return NetworkOutput(
        **stacked,
        parts=parts,
        sequence_cls=sequence["cls"],
        sequence_proj=sequence["proj"],
        interaction=sequence.get("interaction"),
        bn_cls=necks["cls"],
        bn_proj=necks["proj"],
        bn_interaction=necks.get("interaction"),
        logits={n: network.classifiers[n](v) for n, v in necks.items() if n in network.classifiers}
        if network.training
        else {},
    )


class PlainNetwork(nn.Module):
    """A network that shares its weights with an XReID and computes plainly."""

    def __init__(self, network: XReID) -> None:
        super().__init__()
        self.network = network
        self.cii = None if network.cii is None else PlainCrossModality(network.cii.block)

    def forward(self, clips: Tensor, cameras: Tensor | None) -> NetworkOutput:
        """As `XReID.forward`."""
        return forward(self.network, clips, cameras)

    def frame_logits(self, output: NetworkOutput) -> dict[str, Tensor]:
        """As `XReID.frame_logits`."""
        return self.network.frame_logits(output)


def largest_difference(one: NetworkOutput, two: NetworkOutput) -> float:
    """Over all features both have."""
    worst = 0.0
    for field in fields(NetworkOutput):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name == "parts":
            a, b = (torch.cat([torch.zeros(1), *map(torch.flatten, parts.values())]) for parts in (a, b))
        if isinstance(a, Tensor):
            worst = max(worst, float((a.float() - b.float()).abs().max()))
    return worst


def read_frames(paths: list[Path], *, size: tuple[int, int]) -> Tensor:
    """[T, 3, H, W], frame by frame: Pillow in full, torchvision's Resize, ToTensor, Normalize."""
    transform = transforms.Compose(
        [
            transforms.Resize(size),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
