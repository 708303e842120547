"""CLIP's image encoder, frame by frame, through timm's VisionTransformer (Radford et al., 2021).

Shapes: F frames, N patches, D width, d projected width.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from xreid.models.config import NetworkConfig
from xreid.models.stem import ConvolutionalStem

CLIP_NORM_EPS = 1e-5


class FrameTokens(NamedTuple):
    """What the encoder makes of F frames: class tokens [F, D], patch tokens [F, N, D], projected [F, d]."""

    cls: Tensor
    patches: Tensor
    proj: Tensor


class ClipImageEncoder(nn.Module):
    """z_t = [z_cls; z_1 .. z_N] after the final layer norm, and v_t = CLIP's projection of z_cls.

    The same class serves ViT-B/16 with OpenAI's weights and the tiny scale from random weights, which starts
    from CLIP's own initialisation (it scales with the width, unlike timm's constant .02).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=config.frame_size,
            patch_size=config.patch,
            embed_dim=config.width,
            depth=config.depth,
            num_heads=config.heads,
            num_classes=config.projection,
            pre_norm=True,
            norm_layer=partial(nn.LayerNorm, eps=CLIP_NORM_EPS),
            act_layer=config.activation,
            weight_init="skip",
        )
        # CLIP projects without bias; timm's head has one, which would be trained
        self.vit.head = nn.Linear(config.width, config.projection, bias=False)
        self.gradient_checkpointing = config.gradient_checkpointing
        initialise_as_clip(self.vit)
        if config.stem == "convolutions":
            self.vit.patch_embed = ConvolutionalStem(config.width, patch=config.patch, grid=config.grid)
        #: A constant class token says nothing about the frame until attention has been learnt, which takes
        #: random weights hundreds of steps; so there it starts from the mean of the stem's tokens.
        self.pooled_class_token = config.stem == "convolutions"
        self.vit.patch_embed.requires_grad_(not config.freeze_patch_projection)

    def forward(self, frames: Tensor, *, class_offset: Tensor | None = None) -> FrameTokens:
        """Encode frames.

        Args:
            frames: Normalised float [F, 3, H, W].
            class_offset: [F, D] added to the class token before the first block (camera embedding).

        Returns:
            Tokens after the final layer norm, and the projected class token.
        """
        vit = self.vit
        patches = vit.patch_embed(frames)
        x = vit._pos_embed(patches)
        if self.pooled_class_token:
            pooled = patches.mean(dim=1)
            class_offset = pooled if class_offset is None else pooled + class_offset
        if class_offset is not None:
            x = torch.cat([x[:, :1] + class_offset.unsqueeze(1), x[:, 1:]], dim=1)
        x = vit.norm_pre(x)
        for block in vit.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        x = vit.norm(x)
        return FrameTokens(cls=x[:, 0], patches=x[:, 1:], proj=vit.head(x[:, 0]))


def initialise_as_clip(vit: VisionTransformer) -> None:
    """Initialise in place as CLIP does (its `initialize_parameters`): normal, scaled by width and depth."""
    width, depth = vit.embed_dim, len(vit.blocks)
    attention_std, residual_std = width**-0.5, width**-0.5 * (2 * depth) ** -0.5
    std = {"qkv": attention_std, "proj": residual_std, "fc1": (2 * width) ** -0.5, "fc2": residual_std}
    for parameter in (vit.cls_token, vit.pos_embed, vit.head.weight):
        assert isinstance(parameter, Tensor)
        nn.init.normal_(parameter, std=attention_std)
    for name, module in vit.blocks.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std[name.rpartition(".")[2]])
            nn.init.zeros_(module.bias)
