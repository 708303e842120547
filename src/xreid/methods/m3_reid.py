"""M3-ReID: attention masks in three views, losses on frames and clips, alignment across modalities.

Preset "m3_reid". Liang, Jin, Zhong, Chen, Meng, Wang, Li: M3-ReID: Unifying Multi-View, Granularity, and
Modality for Video-Based Visible-Infrared Person Re-Identification. IEEE TIFS 2025. The text could not be
found; read was its authors' code (github.com/workingcoder/M3-ReID, MIT licence, 2025 "workingcoder"), from
which the equations below are taken. The lines here are our own.

    MVL    A^{v,k} = sigmoid(w^{v,k} x + b^{v,k}), v in {HW, TW, TH}, k = 1..K
           f_t = [pool_n A^{v,k}_{t,n} x_{t,n}] over v and k
    DAC    sum_v mean over slices and pairs k != l of cos(A^{v,k}, A^{v,l})^2
    OFR    mean over clips and pairs s != t of cos(g_s, g_t)^2, g_t = BN(f_t)
    MMA    mean_m mean_{i in m} log(1 + exp(d+_i - d-_i)), d+- the mean of (1 - cos)/2 to the other modality's
           clips of the same, of another person
    MID    cross-entropy of clips and of frames, a classifier each
    L      MID + MMA (clips) + MMA (frames) + OFR + DAC, all weights 1

A view's slice is a frame (HW), a row of patches (TW) or a column (TH), and its masks are functions of one
patch alone, so that views differ by DAC only: that is so in their code too.

Different here: the encoder is this one and not ResNet-50 with non-local blocks; patches have both signs,
which generalised-mean pooling has no root for, so that pooling is the mean (their code's other mode; `pooling
gem` clamps at zero); a clip's feature is normalised by the statistics of clips and a frame's by those of
frames, where they have one BatchNorm over frames; style and grey-scale augmentation are the scale's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import ConfigError, DataError
from xreid.losses.config import ObjectiveConfig
from xreid.losses.objective import BatchLabels, Objective
from xreid.methods.registry import Method, options_of
from xreid.models.config import FeatureName, NetworkConfig
from xreid.models.heads import at_least_float32
from xreid.models.network import Interaction, TrackletNetwork
from xreid.models.output import NetworkOutput

VIEWS = 3
GEM_POWER = 3
GEM_FLOOR = 1e-12


@dataclass(frozen=True, kw_only=True)
class M3Options:
    """Options of M3-ReID.

    Attributes:
        heads: K, masks of each view; the feature is 3 K times as wide as a token.
        pooling: Over the patches of a frame: "mean", or "gem" (power 3) of what is above zero.
        mma_weight: Weight of both MMA terms.
        ofr_weight: Weight of OFR.
        dac_weight: Weight of DAC; needs two heads.
    """

    heads: int = 2
    pooling: Literal["mean", "gem"] = "mean"
    mma_weight: float = 1.0
    ofr_weight: float = 1.0
    dac_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ConfigError("heads is out of range", expected="1 or more", got=str(self.heads))
        for name in ("mma_weight", "ofr_weight", "dac_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"{name} is out of range", expected="0 or more", got=str(getattr(self, name))
                )


# A^{v,k}_{t,n} = sigmoid(w^{v,k} x_{t,n} + b^{v,k}); f_t = [pool_n A^{v,k}_{t,n} x_{t,n}] over v and k
class MultiViewAttention(nn.Module):
    """MVL: soft masks over the patches, and what each lets through, pooled by frame."""

    def __init__(self, width: int, *, heads: int, pooling: Literal["mean", "gem"]) -> None:
        super().__init__()
        self.masks = nn.Linear(width, VIEWS * heads)
        nn.init.zeros_(self.masks.bias)
        self.pooling = pooling

    def forward(self, patches_BTND: Tensor) -> tuple[Tensor, Tensor]:
        """Map patches [B, T, N, D] to features [B, T, 3 K D] and masks [B, T, N, 3 K]."""
        masks = self.masks(patches_BTND).sigmoid()
        count = patches_BTND.shape[2]
        if self.pooling == "mean":
            pooled = torch.einsum("btnk,btnd->btkd", masks, patches_BTND) / count
        else:  # masks are positive, so that they may leave the clamp and the power
            positive = at_least_float32(patches_BTND).clamp(min=0).pow(GEM_POWER)
            mean = torch.einsum("btnk,btnd->btkd", masks.to(positive).pow(GEM_POWER), positive) / count
            pooled = (mean + GEM_FLOOR).pow(1 / GEM_POWER)
        return pooled.flatten(2), masks


class M3ReID(TrackletNetwork):
    """MVL makes O_t, [B, T, 3 K D]; the inference feature is BN of its mean."""

    def build_parts(self, config: NetworkConfig) -> None:
        """MVL."""
        options = options_of(config, M3Options)
        self.mvl = MultiViewAttention(config.width, heads=options.heads, pooling=options.pooling)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        if "interaction" in self.classifiers:
            self.add_classifier("interaction_frames")

    def interact(self, cls: Tensor, patches: Tensor) -> Interaction:
        """O_t, with the masks as part "masks", [B, T, rows, columns, 3, K]."""
        frames, masks = self.mvl(patches)
        masks = masks.unflatten(3, (VIEWS, -1)).unflatten(2, self.config.grid)
        return Interaction(frames=frames, parts={"masks": masks})

    def inference_features(self) -> list[FeatureName]:
        """O alone."""
        return ["interaction"]

    @property
    def own_width(self) -> int:
        """3 K D."""
        return VIEWS * options_of(self.config, M3Options).heads * self.config.width


class M3Objective(Objective):
    """L = MID + MMA + OFR + DAC; the identity loss of clips is the shared objective's."""

    def __init__(self, config: ObjectiveConfig, *, network: NetworkConfig) -> None:
        super().__init__(config, network=network)
        self.options = options_of(network, M3Options)

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """The identity loss of frames, MMA of clips and of frames, OFR and DAC."""
        o, m3 = self.options, cast(M3ReID, network)
        with torch.autocast(output.patches.device.type, enabled=False):
            assert output.interaction_frames is not None
            assert output.bn_interaction is not None
            count = output.interaction_frames.shape[1]
            labels, modalities = (x.repeat_interleave(count) for x in (batch.labels, batch.modalities))
            frames = m3.normalise(
                "interaction",
                output.interaction_frames.flatten(0, 1),
                modalities=batch.local_modalities.repeat_interleave(count),
                track=False,
            )
            clips = batch.gather(output.bn_interaction)
            everywhere = batch.gather(frames)
            frames = frames.unflatten(0, (-1, count))
            masks = at_least_float32(output.parts["masks"])
            terms = {
                "mma_clips": (o.mma_weight, alignment(clips, batch.labels, batch.modalities)),
                "mma_frames": (o.mma_weight, alignment(everywhere, labels, modalities)),
                "ofr": (o.ofr_weight, batch.gather(separation(frames)).mean()),
                "dac": (o.dac_weight, batch.gather(diversity(masks)).mean()),
            }
            if "interaction_frames" in m3.classifiers:
                logits = m3.classify("interaction_frames", frames)
                terms["identity_frames"] = (self.config.identity_weight, self.identity(logits, batch))
        return {name: (weight, term) for name, (weight, term) in terms.items() if weight}


# mean over k != l of cos(x_k, x_l)^2
def separation(vectors: Tensor) -> Tensor:
    """How alike K vectors are, [..., K, D] to [...]; 0 where they are orthogonal, and for K = 1."""
    count = vectors.shape[-2]
    unit = F.normalize(vectors, dim=-1)
    squares = (unit @ unit.transpose(-1, -2)).square()
    apart = squares.sum(dim=(-1, -2)) - squares.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return apart / max(count * (count - 1), 1)


# DAC = sum over the views of the mean over their slices of `separation` of the K masks
def diversity(masks_BTHWVK: Tensor) -> Tensor:
    """How alike the masks of a view are within its slices, [B, T, rows, columns, 3, K] to [B]."""
    per_view = masks_BTHWVK.unbind(4)
    slices = (  # view, the dimension that counts its slices, the two that a slice spans
        per_view[0].permute(0, 1, 4, 2, 3),  # HW, by frame
        per_view[1].permute(0, 2, 4, 1, 3),  # TW, by row
        per_view[2].permute(0, 3, 4, 1, 2),  # TH, by column
    )
    return torch.stack([separation(view.flatten(3)).mean(dim=1) for view in slices]).sum(dim=0)


# mean_m mean_{i in m} log(1 + exp(d+_i - d-_i)), d = (1 - cos) / 2
def alignment(features: Tensor, labels: Tensor, modalities: Tensor) -> Tensor:
    """MMA: in the other modality, one's own person should be nearer than the others, on average.

    Args:
        features: [B, D].
        labels: int64 [B].
        modalities: [B], 0 visible, 1 infrared.

    Returns:
        Scalar.

    Raises:
        DataError: A clip has nobody, or only its own person, in the other modality.
    """
    unit = F.normalize(at_least_float32(features), dim=1)
    distances = (1 - unit @ unit.t()) / 2
    crossed = modalities.unsqueeze(1) != modalities
    same = labels.unsqueeze(1) == labels
    own, others = crossed & same, crossed & ~same
    if not bool((own.any(dim=1) & others.any(dim=1)).all()):
        raise DataError("a clip has no counterpart", expected="2 identities or more, in both modalities")
    near = (distances * own).sum(dim=1) / own.sum(dim=1)
    far = (distances * others).sum(dim=1) / others.sum(dim=1)
    losses = F.softplus(near - far)
    return torch.stack([losses[modalities == m].mean() for m in modalities.unique()]).mean()


METHOD = Method(
    title="M3-ReID",
    reference="Liang, Jin, Zhong, Chen, Meng, Wang, Li: M3-ReID: Unifying Multi-View, Granularity, and "
    "Modality for Video-Based Visible-Infrared Person Re-Identification. IEEE TIFS 2025",
    network=M3ReID,
    objective=M3Objective,
    options=M3Options,
)
