"""TF-CLIP: a memory of CLIP features in the place of texts, prompted by each sequence (preset "tf_clip").

Yu, Liu, Wang, Zhang, Lu: TF-CLIP: Learning Text-Free CLIP for Video-Based Person Re-identification. AAAI
2024 (arXiv 2312.09627). Its abstract was read; the rest of the text could not be found, so what follows is
the paper as its abstract says it, filled in from memory where that is silent; its code was not read.

    CLIP-Memory  M_y = mean over the tracklets of y of TAP(v), from the encoder before training
    SSP          Mhat_{y,i} = M_y + alpha FFN(MHCA(query = M_y, key = value = v_{i,1..T}))
    L_v2m        -log exp(<TAP v_i, Mhat_{y_i,i}> / tau) / sum_y exp(<TAP v_i, Mhat_{y,i}> / tau)
    TMC          m_t = W z_cls_t;  mhat = m + MHSA(m), over the T frames of a clip
    MD           O_t = first token of FFN(MHSA([z_cls_t; z_t,1..N; mhat_t]));  O = TAP
    L            L_v2m + L_tri + L_ce

From the abstract: one stage, a memory of identity-specific sequence features instead of text features, SSP
updates it online, TMC lets frame-level memories of a sequence communicate, MD diffuses them to each token.
From memory or decided: one attention block for each of the three; alpha is learnt, one number a channel, from
1e-4 (as in X-CLIP, whose prompts SSP resembles); only the class token of MD is read out, so only its query is
computed; tau, margin and label smoothing are those that X-ReID has here; one memory holds both modalities, of
which the paper knows one. Without pre-trained weights (scale tiny) there is no CLIP to ask before training:
there the memory is built anew from the network at the start of every epoch.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.losses.centroids import IdentityCentroids
from xreid.losses.objective import BatchLabels, Objective
from xreid.methods.registry import Method
from xreid.models.attention import Attention, CrossAttentionBlock, FirstTokenSelfAttentionBlock
from xreid.models.config import NetworkConfig
from xreid.models.heads import at_least_float32
from xreid.models.network import Interaction, TrackletNetwork
from xreid.models.output import NetworkOutput

HEAD_WIDTH = 64
PROMPT_SCALE = 1e-4


# Mhat_{y,i} = M_y + alpha (block(M_y, v_i) - M_y), block(q, x) = a + FFN(LN a), a = q + MHCA(LN q, LN x)
class SequenceSpecificPrompt(nn.Module):
    """SSP: the memory of every identity as one clip would have it. Training only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        heads = width // HEAD_WIDTH if width % HEAD_WIDTH == 0 else 1
        self.block = CrossAttentionBlock(width, heads=heads)
        self.scale = nn.Parameter(torch.full((width,), PROMPT_SCALE))

    def forward(self, memory_Yd: Tensor, frames_BTd: Tensor) -> Tensor:
        """Map memory [Y, d] and frames v [B, T, d] to a memory for each clip, [B, Y, d]."""
        queries = memory_Yd.expand(len(frames_BTd), -1, -1)
        return queries + self.scale * (self.block(queries, frames_BTd) - queries)


# m_t = W z_cls_t; mhat = m + MHSA(LN m); O_t = first token of FFN(MHSA([z_cls_t; z_t,1..N; mhat_t]))
class TemporalMemoryDiffusion(nn.Module):
    """TMD: TMC makes a memory of each frame and lets them communicate, MD gives it to its tokens."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.memory = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.communicate = Attention(width, heads=heads)
        self.diffuse = FirstTokenSelfAttentionBlock(width, heads=heads)

    def forward(self, cls_BTD: Tensor, patches_BTND: Tensor) -> Tensor:
        """Map class tokens [B, T, D] and patches [B, T, N, D] to O_t, [B, T, D]."""
        memories = self.construct(cls_BTD)
        tokens = torch.cat([patches_BTND, memories.unsqueeze(2)], dim=2).flatten(0, 1)
        diffused = self.diffuse(cls_BTD.flatten(0, 1).unsqueeze(1), tokens)
        return diffused.squeeze(1).unflatten(0, cls_BTD.shape[:2])

    def construct(self, cls_BTD: Tensor) -> Tensor:
        """TMC: mhat, [B, T, D]."""
        memories = self.memory(cls_BTD)
        normed = self.norm(memories)
        return memories + self.communicate(normed, normed)


class TFClip(TrackletNetwork):
    """TMD makes O; SSP is run by the losses, in training only."""

    def build_parts(self, config: NetworkConfig) -> None:
        """TMD and SSP."""
        self.tmd = TemporalMemoryDiffusion(config.width, heads=config.interaction_heads)
        self.ssp = SequenceSpecificPrompt(config.projection)

    def interact(self, cls: Tensor, patches: Tensor) -> Interaction:
        """O_t of TMD."""
        return Interaction(frames=self.tmd(cls, patches))


class ClipMemory(IdentityCentroids):
    """CLIP-Memory: centroids that stand still; what they are held against is made by SSP."""

    def loss(self, features: Tensor, labels: Tensor, modalities: Tensor) -> dict[str, Tensor]:
        """Nothing: the loss needs SSP, see `TFClipObjective.method_terms`."""
        return {}


class TFClipObjective(Objective):
    """L = L_v2m + L_tri + L_ce; L_v2m is reported as "v2m", weighted by `cpcl_weight`."""

    prototype_class = ClipMemory

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """L_v2m against the memory as SSP prompts it for each clip."""
        if self.prototypes is None or not self.config.cpcl_weight:
            return {}
        memory = cast(ClipMemory, self.prototypes)
        prompted = cast(TFClip, network).ssp(memory.centroids(torch.float32), output.frames_proj)
        logits = video_to_memory(output.sequence_proj, prompted, temperature=memory.temperature)
        return {"v2m": (self.config.cpcl_weight, self.identity(logits, batch))}


# <TAP v_i, Mhat_{y,i}> / tau, < , > the cosine
def video_to_memory(sequences: Tensor, prompted: Tensor, *, temperature: float) -> Tensor:
    """Logits of clips [B, d] against their own memories [B, Y, d]: float32 [B, Y]."""
    with torch.autocast(sequences.device.type, enabled=False):
        sequences = F.normalize(at_least_float32(sequences), dim=1)
        prompted = F.normalize(at_least_float32(prompted), dim=2)
        return torch.einsum("bd,byd->by", sequences, prompted) / temperature


METHOD = Method(
    title="TF-CLIP",
    reference="Yu, Liu, Wang, Zhang, Lu: TF-CLIP: Learning Text-Free CLIP for Video-Based Person "
    "Re-identification. AAAI 2024",
    network=TFClip,
    objective=TFClipObjective,
)
