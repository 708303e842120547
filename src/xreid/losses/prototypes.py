"""CPC: one prototype per identity and modality, updated across modalities, and the loss against them.

Shapes: B clips, Y identities, d_b width of the bank feature b.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import DataError
from xreid.losses.config import PrototypeConfig
from xreid.losses.pairing import MODALITIES
from xreid.models.heads import at_least_float32


class CrossModalityPrototypes(nn.Module):
    """The memories M^vis and M^ir, buffers [Y, d_b] of unit rows; no gradient reaches them.

    `initialise` may be called again at any time: once before training (paper) or before every epoch (the
    authors' code).
    """

    memory: Tensor
    is_initialised: Tensor

    def __init__(self, config: PrototypeConfig, *, num_identities: int, width: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("memory", torch.zeros(len(MODALITIES), num_identities, width))
        self.register_buffer("is_initialised", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def initialise(self, features: Tensor, labels: Tensor, modalities: Tensor) -> None:
        """Set each prototype to the mean of b over the clips of its identity and modality.

        Each b is brought to unit length first, so that long features do not outweigh the rest.

        Args:
            features: b of every training clip, [n, d_b].
            labels: int64 [n] in 0..Y-1.
            modalities: [n], 0 visible, 1 infrared.

        Raises:
            DataError: An identity has no clip in one modality.
        """
        num_identities, width = self.memory.shape[1:]
        device = self.memory.device
        unit = F.normalize(features.to(self.memory), dim=1)
        slots = (modalities.to(device).long() * num_identities + labels.to(device)).long()
        sums = unit.new_zeros(self.memory[..., 0].numel(), width).index_add_(0, slots, unit)
        counts = torch.bincount(slots, minlength=len(sums))
        if not bool((counts > 0).all()):
            modality, label = divmod(int((counts == 0).nonzero()[0]), num_identities)
            raise DataError(
                f"training identity number {label} has no {list(MODALITIES)[modality]} tracklet",
                expected="at least one tracklet of each training identity in both modalities",
                todo="Leave such identities out of training.",
            )
        self.memory.copy_(F.normalize(sums / counts.unsqueeze(1), dim=1).view_as(self.memory))
        self.is_initialised.fill_(True)

    # Paper eqs 3, 4: L^m = -log exp<b_i, M^m_{y_i}> / sum_j exp<b_i, M^m_j>, < , > the cosine; L_CPCL =
    # L^vis + L^ir
    def loss(self, features: Tensor, labels: Tensor, modalities: Tensor) -> dict[str, Tensor]:
        """CPCL, one term per memory ("vis", "ir").

        Args:
            features: b, [B, d_b], with gradient.
            labels: int64 [B].
            modalities: [B], 0 visible, 1 infrared.

        Returns:
            Scalars; their sum is L_CPCL.

        Raises:
            DataError: `initialise` was never called.
        """
        self._require_initialised()
        unit = F.normalize(at_least_float32(features), dim=1)
        targets, memory = (
            labels,
            self.memory.to(unit.dtype, copy=True),
        )  # the graph keeps it; `update` works on the original
        if self.config.denominator == "batch":
            present, targets = labels.unique(return_inverse=True)
            memory = memory[:, present]
        terms = {}
        for name, modality in MODALITIES.items():
            logits = unit @ memory[modality].t()
            if self.config.temperature is not None:
                logits = logits / self.config.temperature
            clip_targets = targets
            if self.config.pairing == "own":
                own = modalities == modality
                logits, clip_targets = logits[own], targets[own]
            if self.config.hard_negatives:
                logits, clip_targets = _hardest(logits, clip_targets, count=self.config.hard_negatives)
            terms[name] = F.cross_entropy(logits, clip_targets, reduction=self.config.reduction)
        return terms

    # Paper eqs 1, 2: M^vis_y <- mu M^vis_y + (1 - mu) b*, b* the infrared clip of y least similar to
    # M^vis_y; and the reverse. Prototypes return to unit length.
    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, modalities: Tensor) -> None:
        """Move the prototypes of the batch's identities towards their hardest clip; call it after the loss.

        An identity without an eligible clip keeps its prototype. The order of the clips has no effect.

        Args:
            features: b of all processes, [B, d_b].
            labels: int64 [B].
            modalities: [B], 0 visible, 1 infrared.
        """
        self._require_initialised()
        unit = F.normalize(features.to(self.memory), dim=1)
        for modality in MODALITIES.values():
            eligible = self._eligible(modalities, modality)
            self._move(self.memory[modality], unit[eligible], labels[eligible])

    def _eligible(self, modalities: Tensor, modality: int) -> Tensor:
        if self.config.update == "cross":
            return modalities != modality
        if self.config.update == "own":
            return modalities == modality
        if self.config.update == "none":
            return torch.zeros_like(modalities, dtype=torch.bool)
        return torch.ones_like(modalities, dtype=torch.bool)

    def _move(self, prototypes: Tensor, unit: Tensor, labels: Tensor) -> None:
        if not len(unit):
            return
        present = labels.unique()
        similarity = (unit * prototypes[labels]).sum(dim=1)
        of_identity = present.unsqueeze(1) == labels.unsqueeze(0)
        hardest = similarity.masked_fill(~of_identity, torch.inf).argmin(dim=1)
        mu = self.config.momentum
        prototypes[present] = F.normalize(mu * prototypes[present] + (1 - mu) * unit[hardest], dim=1)

    def _require_initialised(self) -> None:
        if not bool(self.is_initialised):
            raise DataError("the prototype memories are empty", todo="Call initialise before training.")


def _hardest(logits: Tensor, targets: Tensor, *, count: int) -> tuple[Tensor, Tensor]:
    """Logits [B, 1 + count]: the target's first, then those of the most similar others; and targets 0."""
    own = logits.gather(1, targets.unsqueeze(1))
    others = logits.scatter(1, targets.unsqueeze(1), -torch.inf)
    hardest = others.topk(min(count, logits.shape[1] - 1), dim=1).values
    return torch.cat([own, hardest], dim=1), torch.zeros_like(targets)
