"""Options of the objective; defaults are what the paper prints, decisions where it is silent say why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from xreid.core.errors import ConfigError
from xreid.models.config import FeatureName


@dataclass(frozen=True, kw_only=True)
class PrototypeConfig:
    """Cross-modality Prototype Collaboration (CPC).

    The rows of the paper's Table 4: vanilla is enabled = False; visual memories is update = pairing = "own";
    cross-modal update only is update "cross", pairing "own"; collaboration only is update "own", pairing
    "both".

    Attributes:
        enabled: Keep memories and use CPCL.
        feature: b, what memories hold: "tap_v" = TAP of v (paper), "bn_concat" = [BN(TAP z_cls); BN(TAP v)]
            (the authors' code).
        update: Which clips of an identity may update its prototype of modality m: the other modality's
            ("cross", paper), those of both ("either", the authors' code) or those of m ("own", the baseline).
        momentum: mu of eqs 1 and 2, the weight of the OLD prototype; the authors' code has 0.1.
        temperature: Divides the cosines of eqs 3 and 4; none: 1, as printed, with which the loss over 500
            identities cannot fall below 4.23. The default is that of the authors' code.
        denominator: Identities in the sum of eqs 3 and 4: "all" (the authors' code) or those of the "batch"
            (printed).
        hard_negatives: Other identities in the sum: only that many, the most similar to the clip; 0: all.
        pairing: Which memories a clip is held against: "both" or that of its "own" modality.
        reduction: Over the clips of a batch: "mean", or "sum".
    """

    enabled: bool = True
    feature: Literal["tap_v", "bn_concat"] = "tap_v"
    update: Literal["cross", "either", "own", "none"] = "cross"
    momentum: float = 0.2
    temperature: float | None = 0.05
    denominator: Literal["all", "batch"] = "all"
    hard_negatives: int = 0
    pairing: Literal["both", "own"] = "both"
    reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ConfigError("momentum is out of range", expected="0 <= mu < 1", got=str(self.momentum))
        if self.hard_negatives < 0:
            raise ConfigError(
                "hard_negatives is out of range", expected="0 or more", got=str(self.hard_negatives)
            )
        if self.temperature is not None and self.temperature <= 0:
            raise ConfigError("temperature is out of range", expected="above 0", got=str(self.temperature))


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """Stage one of CLIP-ReID: prompts are learnt while both encoders stand still ("textual prompts", Table
    4).

    Attributes:
        weights: CLIP weights with the text encoder: a file (.safetensors, ViT-B-16.pt) or a Hugging Face
            name.
        epochs: Passes over the stored image features.
        batch_size: Features in a batch.
        learning_rate: Of Adam, falling to 0 along a half cosine.
        temperature: Divides the cosines; 0.01 is what CLIP was trained to.
    """

    weights: str = "openai/clip-vit-base-patch16"
    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 3.5e-4
    temperature: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "temperature"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is out of range", expected="above 0", got=str(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """L = L_CPCL + L_tri + L_ce + L_CMCL (paper eq 10), every weight a field.

    Attributes:
        cpc: The prototype memories and their loss.
        cpcl_weight: Weight of L_CPCL.
        triplet_weight: Weight of L_tri, the sum over `triplet_features`.
        triplet_features: Sequence features, before BN, under the triplet loss. The authors' code adds "cls".
        triplet_margin: Margin of the triplet loss.
        triplet_pairs: Candidates for a clip's hardest positive and negative: "all" clips, or those of the
            other modality ("cross").
        identity_weight: Weight of L_ce, the sum over the network's classifiers; 0.25 in the authors' code.
        frame_identity_weight: Weight of the identity cross-entropy of single frames, averaged over the
            frames of a clip; 1 in the authors' code, absent from the paper.
        label_smoothing: Of both cross-entropies.
        cmcl_weight: Weight of L_CMCL (paper eq 9).
        cmcl_reduction: Over the D channels: "sum" as printed, "mean" where the sum (about 31 a term at the
            start for D = 768) would drown the other losses.
        cii_identity_weight: Weight of an identity cross-entropy on O_CMII, which keeps CII from reaching a
            zero L_CMCL by doing nothing; needs the network's cii_classifier.
        cii_triplet_weight: Weight of a triplet loss on O_CMII, for the same reason.
    """

    cpc: PrototypeConfig = field(default_factory=PrototypeConfig)
    cpcl_weight: float = 1.0
    triplet_weight: float = 1.0
    triplet_features: tuple[FeatureName, ...] = ("proj", "interaction")
    triplet_margin: float = 0.3
    triplet_pairs: Literal["all", "cross"] = "all"
    identity_weight: float = 1.0
    frame_identity_weight: float = 0.0
    label_smoothing: float = 0.0
    cmcl_weight: float = 1.0
    cmcl_reduction: Literal["sum", "mean"] = "sum"
    cii_identity_weight: float = 0.0
    cii_triplet_weight: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if name.endswith(("_weight", "_margin")) and getattr(self, name) < 0:
                raise ConfigError(
                    f"{name} is out of range", expected="0 or more", got=str(getattr(self, name))
                )
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(
                "label_smoothing is out of range", expected="0 <= s < 1", got=str(self.label_smoothing)
            )
