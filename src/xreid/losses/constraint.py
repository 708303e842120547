"""CMCL: what a branch knows should not change when it looks at the other modality."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from xreid.models.heads import at_least_float32


# Paper eq 9: (1/PK) sum_i || Obar_i^{X,m} - O_CMII,i^{X,m} ||_2^2
def cross_modality_constraint(
    branch: Tensor, crossed: Tensor, *, reduction: Literal["sum", "mean"]
) -> Tensor:
    """Squared distance of each clip's branch feature to its cross-modality one.

    Args:
        branch: Obar^{X,m}, [B, D].
        crossed: O_CMII^{X,m}, [B, D].
        reduction: Over D: "sum" as printed, or "mean".

    Returns:
        float32 [B]; the loss is its mean over the PK clips of each modality.
    """
    squares = (at_least_float32(branch) - at_least_float32(crossed)).square()
    return squares.sum(dim=1) if reduction == "sum" else squares.mean(dim=1)
