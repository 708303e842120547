"""SII and LII: what a frame's class token learns from neighbouring and from distant frames.

Shapes: B clips, T frames, N patches, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xreid.models.attention import CrossAttentionBlock


# Paper eq 5: zhat_t = [z_{t-S}(1 : D/4); z_{t+S}(D/4+1 : D/2); z_t(D/2+1 : D)]
def exchange_channels(patches_BTND: Tensor, *, stride: int) -> Tensor:
    """Exchange channel quarters of the patch tokens with the frames `stride` before and after.

    Where that neighbour does not exist, the frame keeps its own channels. The result never aliases its input:
    shifted in place, frame 0 would spread over the whole clip, as it does in the authors' code.

    Args:
        patches_BTND: [B, T, N, D], D a multiple of 4.
        stride: S >= 0 frames.

    Returns:
        [B, T, N, D].
    """
    frames, quarter = patches_BTND.shape[1], patches_BTND.shape[3] // 4
    s = min(stride, frames)
    first, second = patches_BTND[..., :quarter], patches_BTND[..., quarter : 2 * quarter]
    earlier = torch.cat([first[:, :s], first[:, : frames - s]], dim=1)
    later = torch.cat([second[:, s:], second[:, frames - s :]], dim=1)
    return torch.cat([earlier, later, patches_BTND[..., 2 * quarter :]], dim=3)


class ShortTermInteraction(nn.Module):
    """SII, paper eqs 5 and 6: class tokens attend to patches that carry channels of the adjacent frames.

    o_t = FFN(MHCA(query = z_cls_t, key = value = zhat_t)), repeated `depth` times with the same zhat.
    """

    def __init__(self, width: int, *, heads: int, stride: int, depth: int) -> None:
        super().__init__()
        self.stride = stride
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads=heads) for _ in range(depth))

    def forward(self, cls_BTD: Tensor, patches_BTND: Tensor) -> Tensor:
        """Map class tokens [B, T, D] and patches [B, T, N, D] to [B, T, D], one result per frame."""
        return _attend(self.blocks, cls_BTD, exchange_channels(patches_BTND, stride=self.stride))


class LongTermInteraction(nn.Module):
    """LII, paper eq 7: the class token of frame t - S attends to the patches of frame t.

    o_{t-S} = FFN(MHCA(query = z_cls_{t-S}, key = value = z_t)), un-shifted patches. The result belongs to the
    query's frame. The index is circular (t - S modulo T), so that all T queries are used: the paper is
    silent, the authors' helper is circular.
    """

    def __init__(self, width: int, *, heads: int, stride: int, depth: int) -> None:
        super().__init__()
        self.stride = stride
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads=heads) for _ in range(depth))

    def forward(self, cls_BTD: Tensor, patches_BTND: Tensor) -> Tensor:
        """Map class tokens [B, T, D] and patches [B, T, N, D] to [B, T, D], one result per query frame."""
        # entry t is z_cls_{t-S}: rolling the queries is cheaper than rolling the patches
        queries = cls_BTD.roll(self.stride, dims=1)
        return _attend(self.blocks, queries, patches_BTND).roll(-self.stride, dims=1)


def _attend(blocks: nn.ModuleList, queries_BTD: Tensor, tokens_BTND: Tensor) -> Tensor:
    """Per frame: one query token through the blocks, over that frame's tokens."""
    x, tokens = queries_BTD.flatten(0, 1).unsqueeze(1), tokens_BTND.flatten(0, 1)
    for block in blocks:
        x = block(x, tokens)
    return x.squeeze(1).unflatten(0, queries_BTD.shape[:2])
