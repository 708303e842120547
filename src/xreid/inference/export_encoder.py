"""A model as one module from pixels to features, free of code that depends on the number of frames.

Shapes: B tracklets, T frames, N patches, D width, H x W the network's frame size.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.inference.checkpoint import LoadedModel
from xreid.models.heads import BNNeck
from xreid.models.interaction import LongTermInteraction, ShortTermInteraction
from xreid.models.network import CameraEmbedding, TrackletNetwork


class TrackletEncoder(nn.Module):
    """Pixels, cameras and modalities to unit vectors and to what they were before; what is exported.

    A copy: the model it is made from stays as it was.

    Args:
        model: The model.
        half: Compute the network in float16; preprocessing, BNNecks and outputs stay float32.
    """

    scale: Tensor
    bias: Tensor

    def __init__(self, model: LoadedModel, *, half: bool = False) -> None:
        super().__init__()
        preprocessing = model.checkpoint.preprocessing
        scale = [1 / (255 * std) for std in preprocessing.std]
        bias = [-mean / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("bias", torch.tensor(bias, dtype=torch.float32).view(3, 1, 1))
        self.network = free_of_lengths(copy.deepcopy(model.network).cpu().eval())
        self.flip = preprocessing.flip
        self.dtype = torch.float16 if half else torch.float32
        if half:
            self.network.half()
            for module in self.network.modules():
                if isinstance(module, BNNeck):
                    module.float()

    def forward(self, frames: Tensor, cameras: Tensor, modalities: Tensor) -> tuple[Tensor, Tensor]:
        """Embed clips.

        Args:
            frames: uint8 [B, T, H, W, 3], RGB.
            cameras: int64 [B], position among the training cameras; negative: unknown.
            modalities: int64 [B], 0 visible, 1 infrared.

        Returns:
            float32 [B, sum of the layout's widths] twice: of unit length, and before that, which is what
            clips of one tracklet are averaged as.
        """
        clips = frames.permute(0, 1, 4, 2, 3).float() * self.scale + self.bias
        features = self.network.features(clips.to(self.dtype), cameras, modalities=modalities)
        if self.flip:
            mirrored = clips.flip(-1).to(self.dtype)
            features = (features + self.network.features(mirrored, cameras, modalities=modalities)) / 2
        return F.normalize(features, dim=1), features


def free_of_lengths(network: TrackletNetwork) -> TrackletNetwork:
    """Put stand-ins in the place of modules that slice or check by value, in place; the results are equal."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            stand_in = _STAND_INS.get(type(child))
            if stand_in is not None:
                setattr(parent, name, stand_in(child))
    return network


class _Camera(nn.Module):
    """CameraEmbedding without its check: a number past the last camera fails in onnxruntime's Gather."""

    def __init__(self, original: CameraEmbedding) -> None:
        super().__init__()
        self.vectors = original.vectors

    def forward(self, cameras: Tensor) -> Tensor:
        return F.embedding(cameras.clamp(min=0), self.vectors) * (cameras >= 0).unsqueeze(1)


class _ShortTerm(nn.Module):
    """ShortTermInteraction that gathers its neighbours by index, for any T, S > T included."""

    def __init__(self, original: ShortTermInteraction) -> None:
        super().__init__()
        self.stride, self.blocks = original.stride, original.blocks

    def forward(self, cls_BTD: Tensor, patches_BTND: Tensor) -> Tensor:
        num_frames, quarter = patches_BTND.shape[1], patches_BTND.shape[3] // 4
        frame = torch.arange(num_frames, device=patches_BTND.device)
        earlier = torch.where(frame >= self.stride, frame - self.stride, frame)
        later = torch.where(frame + self.stride < num_frames, frame + self.stride, frame)
        exchanged = torch.cat(
            [
                patches_BTND[..., :quarter].index_select(1, earlier),
                patches_BTND[..., quarter : 2 * quarter].index_select(1, later),
                patches_BTND[..., 2 * quarter :],
            ],
            dim=3,
        )
        return _attend(self.blocks, cls_BTD, exchanged)


class _LongTerm(nn.Module):
    """LongTermInteraction that turns its queries by index, for any T, S > T included."""

    def __init__(self, original: LongTermInteraction) -> None:
        super().__init__()
        self.stride, self.blocks = original.stride, original.blocks

    def forward(self, cls_BTD: Tensor, patches_BTND: Tensor) -> Tensor:
        frame = torch.arange(cls_BTD.shape[1], device=cls_BTD.device)
        num_frames = frame[-1] + 1  # a tensor: torch.onnx has no remainder by a symbolic number
        queries = cls_BTD.index_select(1, (frame - self.stride) % num_frames)
        attended = _attend(self.blocks, queries, patches_BTND)
        return attended.index_select(1, (frame + self.stride) % num_frames)


def _attend(blocks: nn.ModuleList, queries_BTD: Tensor, tokens_BTND: Tensor) -> Tensor:
    x, tokens = queries_BTD.flatten(0, 1).unsqueeze(1), tokens_BTND.flatten(0, 1)
    for block in blocks:
        x = block(x, tokens)
    return x.squeeze(1).unflatten(0, queries_BTD.shape[:2])


_STAND_INS: dict[type[nn.Module], type[nn.Module]] = {
    CameraEmbedding: _Camera,
    ShortTermInteraction: _ShortTerm,
    LongTermInteraction: _LongTerm,
}
