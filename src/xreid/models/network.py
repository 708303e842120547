"""What every method's network shares: encoder, camera embedding, BNNecks, classifiers, inference features.

Shapes: B clips, T frames, N patches, D width, d projected width, Y identities.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import ConfigError, DataError
from xreid.models.backbone import ClipImageEncoder, FrameTokens
from xreid.models.config import FeatureName, NetworkConfig
from xreid.models.heads import BNNeck, Gather, IdentityClassifier, PerModalityBNNeck
from xreid.models.output import NetworkOutput


class CameraEmbedding(nn.Module):
    """One learnable D-vector per camera, added to the class token (in the authors' code, not in the
    paper)."""

    def __init__(self, width: int, *, num_cameras: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(nn.init.trunc_normal_(torch.empty(num_cameras, width), std=0.02))

    def forward(self, cameras: Tensor) -> Tensor:
        """Map camera numbers int64 [B] to [B, D]; -1, a camera unseen in training, gives zero.

        Raises:
            DataError: A number names no camera.
        """
        if cameras.device.type == "cpu" and (cameras.max() >= len(self.vectors) or cameras.min() < -1):
            raise DataError(
                "a camera number is out of range",
                expected=f"-1 (unseen) to {len(self.vectors) - 1}",
                got=str(sorted(set(cameras.tolist()))),
            )
        return F.embedding(cameras.clamp(min=0), self.vectors) * (cameras >= 0).unsqueeze(1)


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """What a method makes of the frames of B clips beyond their mean.

    Attributes:
        frames: O_t, [B, T, D]; none where the method only makes a sequence feature.
        sequence: O, [B, D]; none: the mean of `frames` over T.
        parts: Whatever else its losses need, by name.
    """

    frames: Tensor | None = None
    sequence: Tensor | None = None
    parts: dict[str, Tensor] = field(default_factory=dict)


class TrackletNetwork(nn.Module):
    """Clips of one person to sequence features; the losses and the prototype memory live elsewhere.

    A method overrides `build_parts` and `interact`; alone, this class is the image baseline: frames one by
    one, then their mean.

    Raises:
        ConfigError: The configuration asks for a feature that the method does not make.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ClipImageEncoder(config)
        self.camera_embedding = None
        if config.camera_embedding and config.cameras:
            self.camera_embedding = CameraEmbedding(config.width, num_cameras=len(config.cameras))
        if config.has_interaction and type(self).interact is TrackletNetwork.interact:
            raise ConfigError(
                f"method {config.method} makes no feature of its own",
                todo="Set own_feature, use_sii and use_lii to false.",
            )
        self.build_parts(config)
        self.necks = nn.ModuleDict()
        for name in self._feature_names():
            self.add_neck(name)
        self.classifiers = nn.ModuleDict()
        for name in config.classifiers:
            if name in self.necks:
                self.add_classifier(name)

    def build_parts(self, config: NetworkConfig) -> None:
        """Make the method's own modules; the optimiser takes them at `interaction_multiplier`."""

    def interact(self, cls: Tensor, patches: Tensor) -> Interaction:
        """The method's own feature of clips; called where the configuration says that there is one.

        Args:
            cls: z_cls after the final layer norm, [B, T, D].
            patches: Patch tokens, [B, T, N, D].
        """
        raise NotImplementedError  # a configuration that asks for it is refused when the network is built

    def add_neck(self, name: str) -> None:
        """Put a BNNeck behind the feature of that name."""
        kind = PerModalityBNNeck if self.config.neck == "per-modality" else BNNeck
        self.necks[name] = kind(self._width(name))

    def normalise(
        self, name: str, features: Tensor, *, modalities: Tensor | None, track: bool = True
    ) -> Tensor:
        """Features [B, D] behind the BNNeck of that name, float32; see `BNNeck.forward`."""
        return self.necks[name](features, modalities=modalities, track=track)

    def add_classifier(self, name: str) -> None:
        """Put a classifier behind the BNNeck of that name; nothing while the identities are not counted."""
        if self.config.num_identities:
            self.classifiers[name] = IdentityClassifier(
                self._width(name), num_identities=self.config.num_identities
            )

    def forward(
        self,
        clips: Tensor,
        cameras: Tensor | None = None,
        *,
        modalities: Tensor | None = None,
        interaction: bool = True,
    ) -> NetworkOutput:
        """Features of a batch of clips.

        Args:
            clips: Normalised float [B, T, 3, H, W].
            cameras: Camera numbers int64 [B], -1 where unseen in training; none: no camera embedding, as
                while the memory is built.
            modalities: [B], 0 visible, 1 infrared; needed where each has a BNNeck of its own.
            interaction: Whether to make the method's own feature.

        Returns:
            Every feature by name; logits in training mode only.

        Raises:
            DataError: The clips have another shape.
        """
        tokens = self._encode(clips, cameras)
        cls = tokens.cls.unflatten(0, clips.shape[:2])
        proj = tokens.proj.unflatten(0, clips.shape[:2])
        patches = tokens.patches.unflatten(0, clips.shape[:2])
        sequence: dict[str, Tensor] = {"cls": cls.mean(dim=1), "proj": proj.mean(dim=1)}
        own = Interaction()
        if interaction and self.config.has_interaction:
            own = self.interact(cls, patches)
            sequence["interaction"] = _sequence_of(own)
        normalised = {
            name: self.normalise(name, feature, modalities=modalities) for name, feature in sequence.items()
        }
        return NetworkOutput(
            frames_cls=cls,
            frames_proj=proj,
            patches=patches,
            sequence_cls=sequence["cls"],
            sequence_proj=sequence["proj"],
            bn_cls=normalised["cls"],
            bn_proj=normalised["proj"],
            interaction_frames=own.frames,
            interaction=sequence.get("interaction"),
            bn_interaction=normalised.get("interaction"),
            modalities=modalities,
            parts=own.parts,
            logits=self._logits(normalised) if self.training else {},
        )

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """(name, width) of the parts of an inference feature, in order."""
        prefix = "bn_" if self.config.feature_layout == "bn_concat" else ""
        return tuple((prefix + name, self._width(name)) for name in self.inference_features())

    def inference_features(self) -> list[FeatureName]:
        """What an inference feature is made of; a method whose losses leave some out overrides it."""
        names: list[FeatureName] = ["cls", "proj"] if self.config.feature_layout == "bn_concat" else ["proj"]
        return [*names, "interaction"] if self.config.has_interaction else names

    @property
    def own_width(self) -> int:
        """Width of the method's own feature."""
        return self.config.width

    @torch.no_grad()
    def embed(
        self, clips: Tensor, cameras: Tensor | None = None, *, modalities: Tensor | None = None
    ) -> Tensor:
        """Inference features in evaluation mode (the module's mode is left as it was).

        Args:
            clips: Normalised float [B, T, 3, H, W].
            cameras: Camera numbers int64 [B], -1 where unseen in training; none: no camera embedding.
            modalities: [B], 0 visible, 1 infrared; needed where each has a BNNeck of its own.

        Returns:
            float32 [B, sum of the layout's widths], each row of unit length.
        """
        return F.normalize(self.features(clips, cameras, modalities=modalities), dim=1)

    @torch.no_grad()
    def features(
        self, clips: Tensor, cameras: Tensor | None = None, *, modalities: Tensor | None = None
    ) -> Tensor:
        """As `embed`, before the rows are brought to unit length: what clips of one tracklet are averaged
        as."""
        was_training = self.training
        self.eval()
        try:
            output = self(clips, cameras, modalities=modalities)
        finally:
            self.train(was_training)
        parts = {
            "bn_cls": output.bn_cls,
            "bn_proj": output.bn_proj,
            "bn_interaction": output.bn_interaction,
            "proj": output.sequence_proj,
            "interaction": output.interaction,
        }
        return torch.cat([parts[name].float() for name, _ in self.layout], dim=1)

    def frame_logits(self, output: NetworkOutput) -> dict[str, Tensor]:
        """Classifier outputs of every frame by feature name, float32 [B, T, Y]; training only.

        The frames share neck and classifier with their sequence. The neck takes their own batch statistics
        and leaves its running ones alone, since inference only normalises sequences.
        """
        logits = {}
        for name in output.logits:
            frames, modalities = output.frames(name), output.modalities
            if modalities is not None:
                modalities = modalities.repeat_interleave(frames.shape[1])
            flat = self.normalise(name, frames.flatten(0, 1), modalities=modalities, track=False)
            logits[name] = self.classify(name, flat).unflatten(0, frames.shape[:2])
        return logits

    def set_gather(self, gather: Gather) -> None:
        """Make every BNNeck use the rows of all processes: see xreid.losses.objective."""
        for neck in self.necks.values():
            assert isinstance(neck, BNNeck | PerModalityBNNeck)
            neck.gather = gather

    def _encode(self, clips: Tensor, cameras: Tensor | None) -> FrameTokens:
        expected = (3, *self.config.frame_size)
        if clips.dim() != 5 or tuple(clips.shape[2:]) != expected:
            raise DataError(
                "clips do not fit the network",
                expected=f"[B, T, {', '.join(map(str, expected))}]",
                got=str(list(clips.shape)),
            )
        offset = None
        if self.camera_embedding is not None and cameras is not None:
            offset = self.camera_embedding(cameras).repeat_interleave(clips.shape[1], dim=0)
        return self.encoder(clips.flatten(0, 1), class_offset=offset)

    def _logits(self, normalised: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: self.classify(name, feature)
            for name, feature in normalised.items()
            if name in self.classifiers
        }

    def classify(self, name: str, normalised: Tensor) -> Tensor:
        """Classifier outputs of features behind the BNNeck of that name, float32 [.., Y]."""
        with torch.autocast(normalised.device.type, enabled=False):
            return self.classifiers[name](normalised)

    def _feature_names(self) -> list[FeatureName]:
        return ["cls", "proj", "interaction"] if self.config.has_interaction else ["cls", "proj"]

    def _width(self, name: str) -> int:
        if name.startswith("interaction"):
            return self.own_width
        return self.config.projection if name == "proj" else self.config.width


def _sequence_of(own: Interaction) -> Tensor:
    if own.sequence is not None:
        return own.sequence
    assert own.frames is not None, "a method gives frames, a sequence feature, or both"
    return own.frames.mean(dim=1)
