"""Shape of the network, as one frozen dataclass with two builders: `vit_b16` and `tiny`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from xreid.core.errors import ConfigError

FeatureName = Literal["cls", "proj", "interaction"]
CLIP_WEIGHTS = "vit_base_patch16_clip_quickgelu_224.openai"


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A method's network: CLIP image encoder, heads, and what the method adds; X-ReID: SII, LII, CII.

    Attributes:
        method: Which method's network and losses these are: a name known to xreid.methods.
        method_options: What of the method's own options differs from its defaults, by name.
        own_feature: The method makes a sequence feature of its own, which takes the place of O; for X-ReID,
            SII and LII say so.
        num_identities: Training identities Y; the width of every classifier. 0: no classifier is built.
        cameras: Training cameras in label order, one numbering for both modalities; empty: no camera
            embedding.
        frame_size: Height and width of a frame in pixels, multiples of the patch.
        patch: Side of a square patch in pixels; also the stride.
        stem: How pixels become tokens: "patch" is CLIP's one convolution; "convolutions" is a stack of small
            residual ones on frames that are standardised one by one, with the mean of its tokens added to the
            class token; it learns many times faster from random weights and fits no published ones.
        width: Token width D.
        depth: Transformer blocks of the encoder.
        heads: Attention heads of the encoder.
        projection: Width d of CLIP's projected feature.
        activation: Activation of the encoder; OpenAI's CLIP weights need quick_gelu.
        weights: Encoder weights: a timm or Hugging Face name, a file (.safetensors, .pt), or a finished run
            of xreid at the same scale; none: random.
        freeze_patch_projection: Keep the first convolution as it was loaded; needs pre-trained weights to
            make sense.
        camera_embedding: Add a learnable vector per camera to the class token before the first block. Cameras
            unseen in training get the zero vector. Not in the paper, but in the authors' code.
        use_sii: Short-term interaction (paper eqs 5, 6).
        use_lii: Long-term interaction (paper eq 7).
        use_cii: Cross-modality interaction, in training only.
        sii_stride: Frames between the neighbours whose channels are exchanged, S of eq 5.
        lii_stride: Frames between the query and the patches it attends to, S of eq 7; 0: the same frame.
        sii_depth: Stacked SII blocks; the authors' code stacks 2, the paper prints one.
        lii_depth: Stacked LII blocks.
        interaction_heads: Attention heads of SII, LII and CII; 64 channels each in the authors' code.
        detach_tokens: Stop gradients between SII or LII and the encoder. The authors' code does; the paper
            does not say so, and its gain from CII alone (Table 5, row 4) needs the gradient. CII's own
            tokens are never cut.
        classifiers: Sequence features that carry a BNNeck classifier. The paper puts the identity loss on
            "the backbone's sequence feature" and on O: the former is read as its b, the projected feature.
        neck: "shared": one BNNeck a feature, as the paper has it; "per-modality": one for each modality, so
            that what sets all infrared features apart from all visible ones is taken off.
        cii_classifier: Give O_CMII its own BNNeck classifier, for the optional losses that keep CII from
            collapsing to the identity.
        feature_layout: Inference feature: "bn_concat" = [BN cls; BN proj; BN O] as the authors' code,
            "paper_letter" = [proj; O] before BN as printed.
        gradient_checkpointing: Recompute encoder blocks in the backward pass: less memory, about a third
            more time.
    """

    method: str = "x-reid"
    method_options: dict[str, bool | int | float | str] = field(default_factory=dict)
    own_feature: bool = False
    num_identities: int = 0
    cameras: tuple[str, ...] = ()
    frame_size: tuple[int, int] = (288, 144)
    patch: int = 16
    stem: Literal["patch", "convolutions"] = "patch"
    width: int = 768
    depth: int = 12
    heads: int = 12
    projection: int = 512
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    weights: str | None = CLIP_WEIGHTS
    freeze_patch_projection: bool = True
    camera_embedding: bool = True
    use_sii: bool = True
    use_lii: bool = True
    use_cii: bool = True
    sii_stride: int = 1
    lii_stride: int = 2
    sii_depth: int = 1
    lii_depth: int = 1
    interaction_heads: int = 12
    detach_tokens: bool = False
    classifiers: tuple[FeatureName, ...] = ("proj", "interaction")
    neck: Literal["shared", "per-modality"] = "shared"
    cii_classifier: bool = False
    feature_layout: Literal["bn_concat", "paper_letter"] = "bn_concat"
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        for name in ("patch", "width", "depth", "heads", "projection", "interaction_heads"):
            _require(getattr(self, name) >= 1, name, expected="1 or more", got=getattr(self, name))
        for name in ("num_identities", "sii_stride", "lii_stride"):
            _require(getattr(self, name) >= 0, name, expected="0 or more", got=getattr(self, name))
        for name in ("sii_depth", "lii_depth"):
            _require(getattr(self, name) >= 1, name, expected="1 or more", got=getattr(self, name))
        _require(
            len(self.frame_size) == 2
            and all(s >= self.patch and s % self.patch == 0 for s in self.frame_size),
            "frame_size",
            expected=f"height and width in multiples of the patch ({self.patch})",
            got=self.frame_size,
        )
        for name in ("heads", "interaction_heads"):
            _require(
                self.width % getattr(self, name) == 0,
                name,
                expected=f"a divisor of width {self.width}",
                got=getattr(self, name),
            )
        _require(
            self.width % 4 == 0,
            "width",
            expected="a multiple of 4 (SII exchanges channel quarters)",
            got=self.width,
        )
        if self.stem == "convolutions":
            self._require_stem()
        for name in ("cameras", "classifiers"):
            values = getattr(self, name)
            _require(len(set(values)) == len(values), name, expected="no entry twice", got=values)

    def _require_stem(self) -> None:
        _require(
            not self.freeze_patch_projection,
            "stem",
            expected='"patch" with a frozen patch projection',
            got=self.stem,
            todo="Set --network.freeze_patch_projection false.",
        )
        _require(
            self.patch >= 2 and self.patch.bit_count() == 1 and self.width % self.patch == 0,
            "stem",
            expected="a patch of 2, 4, 8, ... and a width that is a multiple of it",
            got=f"patch {self.patch}, width {self.width}",
        )

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per frame as (rows, columns)."""
        return self.frame_size[0] // self.patch, self.frame_size[1] // self.patch

    @property
    def has_interaction(self) -> bool:
        """Whether the network makes O, the method's own sequence feature."""
        return self.use_sii or self.use_lii or self.own_feature

    @classmethod
    def vit_b16(
        cls,
        *,
        num_identities: int = 0,
        cameras: tuple[str, ...] = (),
        weights: str | None = CLIP_WEIGHTS,
    ) -> NetworkConfig:
        """CLIP ViT-B/16 on 288 x 144 frames, the paper's network."""
        return cls(
            num_identities=num_identities,
            cameras=cameras,
            weights=weights,
            freeze_patch_projection=weights is not None,
        )

    @classmethod
    def tiny(
        cls,
        *,
        num_identities: int = 0,
        cameras: tuple[str, ...] = (),
    ) -> NetworkConfig:
        """Every part of the network at a size that trains from scratch on two CPU cores."""
        return cls(num_identities=num_identities, cameras=cameras).at_tiny_scale()

    def at_tiny_scale(self) -> NetworkConfig:
        """The same network, parts and options, at the tiny scale.

        It starts from random weights, so it is free of CLIP's choices: the stem is convolutional, nothing is
        frozen, and the activation is GELU, which takes a quarter less time per step than CLIP's quick_gelu
        on a CPU.
        """
        return replace(
            self,
            frame_size=(64, 32),
            patch=8,
            stem="convolutions",
            width=128,
            depth=2,
            heads=4,
            projection=64,
            activation="gelu",
            weights=None,
            freeze_patch_projection=False,
            interaction_heads=4,
        )


def _require(condition: bool, name: str, *, expected: str, got: object, todo: str = "") -> None:
    if not condition:
        raise ConfigError(
            f"network option {name} is out of range", expected=expected, got=str(got), todo=todo
        )
