"""BNNeck and classifier on top of a feature (Luo et al., "Bag of Tricks", 2019)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from xreid.core.errors import DataError

Gather = Callable[[Tensor], Tensor]


def no_gather(local: Tensor) -> Tensor:
    """The gather of a single process: every row is already here."""
    return local


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision widened to float32; float32 and float64 as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class BNNeck(nn.Module):
    """BatchNorm1d with its bias frozen at zero, in float32.

    `gather` brings together the rows of all processes (see xreid.losses.objective), so that N processes
    use the statistics of the whole batch, on CPU too, where SyncBatchNorm does not run.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.gather: Gather = no_gather
        self.weight = nn.Parameter(torch.ones(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, features: Tensor, *, modalities: Tensor | None = None, track: bool = True) -> Tensor:
        """Normalise [B, D] by the statistics of the batch (training) or by the running ones (evaluation).

        Args:
            features: [B, D], any floating type.
            modalities: Not looked at: both modalities share their statistics.
            track: Whether a training batch updates the running statistics; frame features do not, since
                inference only ever normalises sequence features.

        Returns:
            float32 [B, D].

        Raises:
            DataError: A training batch of one row, whose variance does not exist.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = at_least_float32(features)
            if not self.training:
                return (features - self.running_mean) * (self.running_var + self.eps).rsqrt() * self.weight
            batch = self.gather(features)
            if len(batch) < 2:
                raise DataError(
                    "a training batch of one clip cannot be normalised", expected="2 clips or more"
                )
            variance, mean = torch.var_mean(batch, dim=0, correction=0)
            if track:
                self._track(mean.detach(), variance.detach() * (len(batch) / (len(batch) - 1)))
            return (features - mean) * (variance + self.eps).rsqrt() * self.weight

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class PerModalityBNNeck(nn.Module):
    """A BNNeck for each modality, so that neither's mean and spread are part of the feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_modality = nn.ModuleList([BNNeck(width), BNNeck(width)])

    @property
    def gather(self) -> Gather:
        """The gather of both."""
        return self._necks()[0].gather

    @gather.setter
    def gather(self, gather: Gather) -> None:
        for neck in self._necks():
            neck.gather = gather

    def forward(self, features: Tensor, *, modalities: Tensor | None = None, track: bool = True) -> Tensor:
        """As `BNNeck.forward`, each row by its modality; every process has as many rows of each.

        Args:
            features: [B, D], any floating type.
            modalities: [B], 0 visible, 1 infrared.
            track: Whether a training batch updates the running statistics.

        Raises:
            DataError: There are no modalities, or a training batch has one row of a modality.
        """
        if modalities is None:
            raise DataError(
                "this network has a BNNeck for each modality", todo="Give the modality of every clip."
            )
        normalised = torch.zeros_like(features, dtype=torch.promote_types(features.dtype, torch.float32))
        for modality, neck in enumerate(self._necks()):
            chosen = modalities == modality
            if not self.training:
                normalised = torch.where(chosen.unsqueeze(1), neck(features), normalised)
            elif bool(chosen.any()):
                rows = chosen.nonzero().squeeze(1)
                normalised = normalised.index_copy(0, rows, neck(features[rows], track=track))
        return normalised

    def _necks(self) -> list[BNNeck]:
        return [neck for neck in self.of_modality if isinstance(neck, BNNeck)]


class IdentityClassifier(nn.Linear):
    """Linear classifier without bias over training identities, behind a BNNeck."""

    def __init__(self, width: int, *, num_identities: int) -> None:
        super().__init__(width, num_identities, bias=False)
        nn.init.normal_(self.weight, std=0.001)
