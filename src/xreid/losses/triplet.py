"""Batch-hard triplet loss over both modalities (Hermans et al., 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from xreid.core.errors import DataError
from xreid.models.heads import at_least_float32


# L_tri = mean_a max(0, margin + max_{p: y_p = y_a} ||f_a - f_p|| - min_{n: y_n != y_a} ||f_a - f_n||)
def batch_hard_triplet(features: Tensor, labels: Tensor, *, margin: float) -> Tensor:
    """Hardest positive against hardest negative of every clip, whatever their modality.

    Args:
        features: [B, D], neither normalised nor batch-normalised.
        labels: int64 [B].
        margin: Distance by which negatives should be further.

    Returns:
        Scalar.

    Raises:
        DataError: The batch holds one identity only.
    """
    features = at_least_float32(features)
    # differences, not products: exact where features are long and close together
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    if bool(same.all()):
        raise DataError("a batch of one identity has no negatives", expected="2 identities or more")
    hardest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
    hardest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return (margin + hardest_positive - hardest_negative).clamp(min=0).mean()
