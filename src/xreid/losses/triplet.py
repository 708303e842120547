"""Batch-hard triplet loss over both modalities (Hermans et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from xreid.core.errors import DataError
from xreid.models.heads import at_least_float32


# L_tri = mean_a max(0, margin + max_{p: y_p = y_a} ||f_a - f_p|| - min_{n: y_n != y_a} ||f_a - f_n||)
def batch_hard_triplet(
    features: Tensor, labels: Tensor, *, margin: float, modalities: Tensor | None = None
) -> Tensor:
    """Hardest positive against hardest negative of every clip.

    Args:
        features: [B, D], neither normalised nor batch-normalised.
        labels: int64 [B].
        margin: Distance by which negatives should be further.
        modalities: [B]; where given, only clips of the other modality are positives or negatives.

    Returns:
        Scalar.

    Raises:
        DataError: The batch holds one identity only, or one in one modality only where those count.
    """
    features = at_least_float32(features)
    # differences, not products: exact where features are long and close together
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    if bool(same.all()):
        raise DataError("a batch of one identity has no negatives", expected="2 identities or more")
    counts = torch.ones_like(same)
    if modalities is not None:
        counts = modalities.unsqueeze(0) != modalities.unsqueeze(1)
        if not bool((same & counts).any(dim=1).all() and (~same & counts).any(dim=1).all()):
            raise DataError(
                "a clip has no positive or no negative in the other modality",
                expected="2 identities or more, each in both modalities",
            )
    hardest_positive = distances.masked_fill(~(same & counts), -torch.inf).amax(dim=1)
    hardest_negative = distances.masked_fill(same | ~counts, torch.inf).amin(dim=1)
    return (margin + hardest_positive - hardest_negative).clamp(min=0).mean()
