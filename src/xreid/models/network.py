"""The X-ReID network: encoder, SII, LII, CII and heads (paper fig. 2).

Shapes: B clips, T frames, N patches, D width, d projected width, Y identities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import ConfigError, DataError
from xreid.core.seeding import stream_seed
from xreid.models.backbone import ClipImageEncoder, FrameTokens
from xreid.models.config import FeatureName, NetworkConfig
from xreid.models.cross_interaction import CrossModalityInteraction
from xreid.models.heads import BNNeck, Gather, IdentityClassifier
from xreid.models.interaction import LongTermInteraction, ShortTermInteraction
from xreid.models.output import NetworkOutput
from xreid.models.weights import load_encoder_weights


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


class XReID(nn.Module):
    """Clips of one person to sequence features; the losses and the prototype memory live elsewhere.

    Built with random weights; `build_network` adds the pre-trained ones.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, heads = config.width, config.interaction_heads
        self.encoder = ClipImageEncoder(config)
        self.camera_embedding = None
        if config.camera_embedding and config.cameras:
            self.camera_embedding = CameraEmbedding(width, num_cameras=len(config.cameras))
        self.sii = self.lii = self.cii = None
        if config.use_sii:
            self.sii = ShortTermInteraction(
                width, heads=heads, stride=config.sii_stride, depth=config.sii_depth
            )
        if config.use_lii:
            self.lii = LongTermInteraction(
                width, heads=heads, stride=config.lii_stride, depth=config.lii_depth
            )
        if config.use_cii:
            self.cii = CrossModalityInteraction(width, heads=heads)
        self.necks = nn.ModuleDict({name: BNNeck(self._width(name)) for name in self._feature_names()})
        trained: list[str] = [name for name in config.classifiers if name in self.necks]
        if config.cii_classifier and config.use_cii:
            self.necks["cii"] = BNNeck(width)
            trained.append("cii")
        self.classifiers = nn.ModuleDict()
        if config.num_identities:
            for name in trained:
                self.classifiers[name] = IdentityClassifier(
                    self._width(name), num_identities=config.num_identities
                )

    def forward(
        self, clips: Tensor, cameras: Tensor | None = None, *, interaction: bool = True
    ) -> NetworkOutput:
        """Features of a batch of clips.

        Args:
            clips: Normalised float [B, T, 3, H, W].
            cameras: Camera numbers int64 [B], -1 where unseen in training; none: no camera embedding, as
                while the memory is built.
            interaction: Whether to run SII and LII.

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
        sii = lii = fused = None
        if interaction and self.config.has_interaction:
            sii, lii, fused = self._interact(cls, patches)
            sequence["interaction"] = fused.mean(dim=1)
        normalised = {name: self.necks[name](feature) for name, feature in sequence.items()}
        return NetworkOutput(
            frames_cls=cls,
            frames_proj=proj,
            patches=patches,
            sequence_cls=sequence["cls"],
            sequence_proj=sequence["proj"],
            bn_cls=normalised["cls"],
            bn_proj=normalised["proj"],
            sii=sii,
            lii=lii,
            interaction_frames=fused,
            interaction=sequence.get("interaction"),
            bn_interaction=normalised.get("interaction"),
            logits=self._logits(normalised) if self.training else {},
        )

    @property
    def layout(self) -> tuple[tuple[str, int], ...]:
        """(name, width) of the parts of an inference feature, in order."""
        prefix = "bn_" if self.config.feature_layout == "bn_concat" else ""
        names: list[FeatureName] = ["cls", "proj"] if prefix else ["proj"]
        if self.config.has_interaction:
            names.append("interaction")
        return tuple((prefix + name, self._width(name)) for name in names)

    @torch.no_grad()
    def embed(self, clips: Tensor, cameras: Tensor | None = None) -> Tensor:
        """Inference features in evaluation mode (the module's mode is left as it was); CII is not run.

        Args:
            clips: Normalised float [B, T, 3, H, W].
            cameras: Camera numbers int64 [B], -1 where unseen in training; none: no camera embedding.

        Returns:
            float32 [B, sum of the layout's widths], each row of unit length.
        """
        return F.normalize(self.features(clips, cameras), dim=1)

    @torch.no_grad()
    def features(self, clips: Tensor, cameras: Tensor | None = None) -> Tensor:
        """As `embed`, before the rows are brought to unit length: what clips of one tracklet are averaged
        as."""
        was_training = self.training
        self.eval()
        try:
            output = self(clips, cameras)
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
            frames = output.frames(name)
            flat = self.necks[name](frames.flatten(0, 1), track=False)
            logits[name] = self._classify(name, flat).unflatten(0, frames.shape[:2])
        return logits

    def cii_logits(self, features: Tensor) -> Tensor:
        """Classifier outputs of O_CMII features [B, D], float32 [B, Y].

        Raises:
            ConfigError: The network has no CII classifier.
        """
        if "cii" not in self.classifiers:
            raise ConfigError("the network has no CII classifier", todo="Set cii_classifier.")
        return self._classify("cii", self.necks["cii"](features))

    def set_gather(self, gather: Gather) -> None:
        """Make every BNNeck use the rows of all processes: see xreid.losses.objective."""
        for neck in self.necks.values():
            assert isinstance(neck, BNNeck)
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

    # Paper eq 8: O_t = (SII_t + LII_t) / 2; with one branch, O is that branch
    def _interact(self, cls: Tensor, patches: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor]:
        if self.config.detach_tokens:
            cls, patches = cls.detach(), patches.detach()
        sii = self.sii(cls, patches) if self.sii is not None else None
        lii = self.lii(cls, patches) if self.lii is not None else None
        both = [branch for branch in (sii, lii) if branch is not None]
        return sii, lii, (both[0] + both[1]) / 2 if len(both) == 2 else both[0]

    def _logits(self, normalised: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: self._classify(name, feature)
            for name, feature in normalised.items()
            if name in self.classifiers
        }

    def _classify(self, name: str, normalised: Tensor) -> Tensor:
        with torch.autocast(normalised.device.type, enabled=False):
            return self.classifiers[name](normalised)

    def _feature_names(self) -> list[FeatureName]:
        return ["cls", "proj", "interaction"] if self.config.has_interaction else ["cls", "proj"]

    def _width(self, name: str) -> int:
        return self.config.projection if name == "proj" else self.config.width


def build_network(config: NetworkConfig, *, seed: int = 0) -> XReID:
    """A network with weights drawn from `seed` and, where the config names any, pre-trained encoder weights.

    The global random state is left as it was.

    Raises:
        CheckpointError: The weights are absent or of another shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "initialise"))
        network = XReID(config)
    if config.weights is not None:
        load_encoder_weights(network.encoder.vit, config.weights)
    return network
