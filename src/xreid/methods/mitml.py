"""MITML: modality-related information removed by an adversary, frames joined by a memory (preset "mitml").

Lin, Li, Ma, Li, Li, Xu, Lu, Zhang: Learning Modal-Invariant and Temporal-Memory for Video-based
Visible-Infrared Person Re-Identification. CVPR 2022. Its abstract and the caption of its figure 3 were read:
a temporal memory refinement (TMR) module aggregates frame-level into sequence-level features; W_id and W_m
classify identities and modalities; by adversarial learning, modality-related information is removed. The rest
of the text could not be found and its code was not read, so the forms below are ours:

    TMR   (h_t, c_t) = LSTM(z_t; h_{t-1}, c_{t-1}), z_t the class token of frame t
          O_t = z_t + W h_t
          a = softmax_t(<W_q h_T, W_k z_t> / sqrt(D)),  O = sum_t a_t O_t
    L_m   -log softmax(W_m R(BN O))_m, m the modality; R is the identity forwards, -lambda backwards
    L     L_id + L_tri + L_m

The paper alternates two steps, one for W_m and one for the features; a reversed gradient (Ganin and
Lempitsky, 2015) does both in one. lambda is 0.1: at 1, an adversary that is right from the start drowns the
identities. Published on ResNet-50 with body parts; here frames are class tokens of this encoder, and the
inference feature is O alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from xreid.core.errors import ConfigError
from xreid.losses.config import ObjectiveConfig
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
        modality_weight: Weight of L_m; 0 leaves the adversary out.
        reversal: lambda, how strongly the features work against the classifier of modalities.
    """

    modality_weight: float = 1.0
    reversal: float = 0.1

    def __post_init__(self) -> None:
        for name in ("modality_weight", "reversal"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"{name} is out of range", expected="0 or more", got=str(getattr(self, name))
                )


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


class GradientReversal(torch.autograd.Function):
    """The identity, whose gradient comes back multiplied by -strength."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        """The features as they are."""
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """-strength times the gradient."""
        return -ctx.strength * gradients[0], None


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
    """L = L_id + L_tri + L_m; L_m is reported as "modality", log 2 where the adversary is at a loss."""

    def __init__(self, config: ObjectiveConfig, *, network: NetworkConfig) -> None:
        super().__init__(config, network=network)
        self.options = options_of(network, MITMLOptions)

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """L_m of the clips."""
        if not self.options.modality_weight or output.bn_interaction is None:
            return {}
        with torch.autocast(output.bn_interaction.device.type, enabled=False):
            reversed_ = GradientReversal.apply(output.bn_interaction, self.options.reversal)
            logits = cast(MITML, network).modality_classifier(reversed_)
            losses = nn.functional.cross_entropy(logits, batch.local_modalities, reduction="none")
        return {"modality": (self.options.modality_weight, batch.gather(losses).mean())}


METHOD = Method(
    title="MITML",
    reference="Lin, Li, Ma, Li, Li, Xu, Lu, Zhang: Learning Modal-Invariant and Temporal-Memory for "
    "Video-based Visible-Infrared Person Re-Identification. CVPR 2022",
    network=MITML,
    objective=MITMLObjective,
    options=MITMLOptions,
)
