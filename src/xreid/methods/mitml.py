"""MITML: modality-related information removed by an adversary, frames joined by a memory (preset "mitml").

Lin, Li, Ma, Li, Li, Xu, Lu, Zhang: Learning Modal-Invariant and Temporal-Memory for Video-based
Visible-Infrared Person Re-Identification. CVPR 2022. Its abstract and the caption of its figure 3 were read:
a temporal memory refinement (TMR) module aggregates frame-level into sequence-level features; W_id and W_m
classify identities and modalities; by adversarial learning, modality-related information is removed. The rest
of the text could not be found and its code was not read, so the forms below are ours:

    TMR   (h_t, c_t) = LSTM(z_t; h_{t-1}, c_{t-1}), z_t the class token of frame t
          O_t = z_t + W h_t
          a = softmax_t(<W_q h_T, W_k z_t> / sqrt(D)),  O = sum_t a_t O_t
    L_m   -log softmax(W_m sg(BN O))_m, m the modality, sg without gradient: W_m learns to tell modalities
    L_c   -(1/2) sum_m log softmax(sg(W_m) BN O)_m: the features learn to leave W_m at a loss
    L     L_id + L_tri + L_m + lambda L_c

Both sides of the adversary are trained in one step, each without moving the other. The usual alternative,
maximising L_m through a reversed gradient, has no lower bound and was tried first: the features drove L_m to
5 times log 2 within 22 steps, where W_m is sure and wrong, not at a loss. Published on ResNet-50 with body
parts; here frames are class tokens of this encoder, and the inference feature is O alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import ConfigError
from xreid.losses.objective import BatchLabels, Objective
from xreid.methods.registry import Method, options_of
from xreid.models.config import FeatureName, NetworkConfig
from xreid.models.heads import at_least_float32
from xreid.models.network import Interaction, TrackletNetwork
from xreid.models.output import NetworkOutput


@dataclass(frozen=True, kw_only=True)
class MITMLOptions:
    """Options of MITML.

    Attributes:
        confusion: lambda, weight of L_c; 0 leaves the adversary out.
    """

    confusion: float = 1.0

    def __post_init__(self) -> None:
        if self.confusion < 0:
            raise ConfigError("confusion is out of range", expected="0 or more", got=str(self.confusion))


# (h_t, c_t) = LSTM(z_t; h_{t-1}, c_{t-1}); O_t = z_t + W h_t; a = softmax_t(<W_q h_T, W_k z_t> / sqrt(D));
# O = sum_t a_t O_t
class TemporalMemoryRefinement(nn.Module):
    """TMR: a recurrent memory of the clip refines its frames and says how much each counts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(width, width)
        self.write = nn.Linear(width, width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, frames_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames [B, T, D] to refined ones, float32 [B, T, D], and the sequence feature, [B, D]."""
        with torch.autocast(frames_BTD.device.type, enabled=False):  # LSTM cells take one type only
            frames = at_least_float32(frames_BTD)
            hidden = self._remember(frames)
            refined = frames + self.write(hidden)
            scores = torch.einsum("bd,btd->bt", self.query(hidden[:, -1]), self.key(frames))
            weights = (scores / frames.shape[2] ** 0.5).softmax(dim=1)
            return refined, torch.einsum("bt,btd->bd", weights, refined)

    def _remember(self, frames: Tensor) -> Tensor:
        """h_1 .. h_T, [B, T, D]."""
        states: list[Tensor] = []
        state = None
        for frame in frames.unbind(1):
            state = self.cell(frame, state)
            states.append(state[0])
        return torch.stack(states, dim=1)


# L_m = -log p_m(sg(f)); L_c = -(1/2) sum_m log p_m(f) with W_m held
def adversary(classifier: nn.Linear, features: Tensor, modalities: Tensor) -> tuple[Tensor, Tensor]:
    """The losses of both sides, each with a gradient to its own side only.

    Args:
        classifier: W_m, to 2 modalities.
        features: float32 [B, D].
        modalities: int64 [B], 0 visible, 1 infrared.

    Returns:
        L_m and L_c of each clip, [B].
    """
    told = F.cross_entropy(classifier(features.detach()), modalities, reduction="none")
    bias = None if classifier.bias is None else classifier.bias.detach()
    logits = F.linear(features, classifier.weight.detach(), bias)
    return told, -logits.log_softmax(dim=1).mean(dim=1)


class MITML(TrackletNetwork):
    """TMR makes O; W_m is run by the losses, in training only."""

    def build_parts(self, config: NetworkConfig) -> None:
        """TMR and W_m."""
        self.tmr = TemporalMemoryRefinement(config.width)
        self.modality_classifier = nn.Linear(config.width, 2)

    def interact(self, cls: Tensor, patches: Tensor) -> Interaction:
        """O_t and O of TMR."""
        frames, sequence = self.tmr(cls)
        return Interaction(frames=frames, sequence=sequence)

    def inference_features(self) -> list[FeatureName]:
        """O alone."""
        return ["interaction"]


class MITMLObjective(Objective):
    """L = L_id + L_tri + L_m + lambda L_c; "confusion" is log 2 where W_m is at a loss, as is "modality"."""

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """L_m and L_c of the clips."""
        weight = options_of(network.config, MITMLOptions).confusion
        if not weight:
            return {}
        features = output.bn_interaction
        assert features is not None
        with torch.autocast(features.device.type, enabled=False):
            classifier = cast(MITML, network).modality_classifier
            told, confused = adversary(classifier, features, batch.local_modalities)
        return {
            "modality": (1.0, batch.gather(told).mean()),
            "confusion": (weight, batch.gather(confused).mean()),
        }


METHOD = Method(
    title="MITML",
    reference="Lin, Li, Ma, Li, Li, Xu, Lu, Zhang: Learning Modal-Invariant and Temporal-Memory for "
    "Video-based Visible-Infrared Person Re-Identification. CVPR 2022",
    network=MITML,
    objective=MITMLObjective,
    options=MITMLOptions,
)
