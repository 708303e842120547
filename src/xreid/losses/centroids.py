"""A memory of one prototype per identity, whatever the modality of its clips: PCL-CLIP, TF-CLIP.

Shapes: B clips, Y identities, d_b width of the bank feature b.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xreid.core.errors import DataError
from xreid.losses.config import PrototypeConfig
from xreid.losses.prototypes import CrossModalityPrototypes
from xreid.models.heads import at_least_float32


class IdentityCentroids(CrossModalityPrototypes):
    """Centroids c, a buffer [1, Y, d_b] of unit rows; no gradient reaches them.

    Of the configuration, `momentum` and `temperature` are read, and `update`, which is "none" for a memory
    that stands still; there is no modality to choose by.
    """

    def __init__(self, config: PrototypeConfig, *, num_identities: int, width: int) -> None:
        super().__init__(config, num_identities=num_identities, width=width)
        self.memory = torch.zeros(1, num_identities, width)

    # c_y = (1/n_y) sum_{i: y_i = y} b_i, brought to unit length, as every b_i before
    @torch.no_grad()
    def initialise(self, features: Tensor, labels: Tensor, modalities: Tensor) -> None:
        """Set each centroid to the mean of b over the clips of its identity.

        Args:
            features: b of every training clip, [n, d_b].
            labels: int64 [n] in 0..Y-1.
            modalities: [n]; not read.

        Raises:
            DataError: An identity has no clip.
        """
        unit, labels = F.normalize(features.to(self.memory), dim=1), labels.to(self.memory.device)
        missing = torch.bincount(labels, minlength=self.memory.shape[1]) == 0
        if bool(missing.any()):
            raise DataError(
                f"training identity number {int(missing.nonzero()[0])} has no tracklet",
                todo="Leave such identities out of training.",
            )
        sums = torch.zeros_like(self.memory[0]).index_add_(0, labels, unit)
        self.memory[0] = F.normalize(sums, dim=1)
        self.is_initialised.fill_(True)

    # L = -log exp(<b_i, c_{y_i}> / tau) / sum_j exp(<b_i, c_j> / tau), < , > the cosine
    def loss(self, features: Tensor, labels: Tensor, modalities: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of each clip against all centroids, one term, "identity".

        Args:
            features: b, [B, d_b], with gradient.
            labels: int64 [B].
            modalities: [B]; not read.

        Raises:
            DataError: `initialise` was never called.
        """
        unit = F.normalize(at_least_float32(features), dim=1)
        logits = unit @ self.centroids(unit.dtype).t() / self.temperature
        return {"identity": F.cross_entropy(logits, labels, reduction=self.config.reduction)}

    # c_y <- normalise(mu c_y + (1 - mu) mean of b_i over the clips i of y in the batch)
    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor, modalities: Tensor) -> None:
        """Move the centroids of the batch's identities towards the mean of their clips.

        The order of the clips has no effect: taken one after the other, the last one, which in our batches
        is infrared, would weigh more than the rest together.

        Args:
            features: b of all processes, [B, d_b].
            labels: int64 [B].
            modalities: [B]; not read.
        """
        if self.config.update == "none":
            return
        self._require_initialised()
        unit, mu = F.normalize(features.to(self.memory), dim=1), self.config.momentum
        present, place = labels.unique(return_inverse=True)
        sums = unit.new_zeros(len(present), unit.shape[1]).index_add_(0, place, unit)
        means = sums / torch.bincount(place).unsqueeze(1)
        self.memory[0, present] = F.normalize(mu * self.memory[0, present] + (1 - mu) * means, dim=1)

    def centroids(self, dtype: torch.dtype) -> Tensor:
        """A copy [Y, d_b]: the graph keeps it while `update` works on the original.

        Raises:
            DataError: `initialise` was never called.
        """
        self._require_initialised()
        return self.memory[0].to(dtype, copy=True)

    @property
    def temperature(self) -> float:
        """tau; 1 where the configuration has none."""
        return 1.0 if self.config.temperature is None else self.config.temperature
