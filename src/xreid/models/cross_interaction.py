"""CII: a clip's interaction feature looks at the other modality's patches of the same person; training only.

Shapes: B clips, X anchors (one per branch: SII, LII), T frames, N patches, D width.
"""

from __future__ import annotations

from torch import Tensor, nn

from xreid.models.attention import FirstTokenSelfAttentionBlock


class CrossModalityInteraction(nn.Module):
    """CII: O_CMII^{X,m} = TAP over t of the first token of FFN(MHSA([Obar^{X,m}; z^{p,m'}_{t,1..N}])).

    One block is shared by the branches X and both modalities m (decided here; the paper does not say).
    Inference never calls it.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.block = FirstTokenSelfAttentionBlock(width, heads=heads)

    def forward(self, anchors_BXD: Tensor, partner_patches_BTND: Tensor) -> Tensor:
        """Let every anchor attend to the partner's patches.

        Args:
            anchors_BXD: Obar of each branch, [B, X, D].
            partner_patches_BTND: Patches of the paired clip of the same person in the other modality, [B, T,
                N, D].

        Returns:
            O_CMII, [B, X, D].
        """
        clips, frames = partner_patches_BTND.shape[:2]
        anchors = anchors_BXD.unsqueeze(1).expand(-1, frames, -1, -1).flatten(0, 1)
        result = self.block(anchors, partner_patches_BTND.flatten(0, 1))
        return result.unflatten(0, (clips, frames)).mean(dim=1)
