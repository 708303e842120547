"""The X-ReID network: encoder, SII, LII and CII (paper fig. 2).

Shapes: B clips, T frames, N patches, D width, Y identities.
"""

from __future__ import annotations

from torch import Tensor

from xreid.core.errors import ConfigError
from xreid.models.config import NetworkConfig
from xreid.models.cross_interaction import CrossModalityInteraction
from xreid.models.interaction import LongTermInteraction, ShortTermInteraction
from xreid.models.network import Interaction, TrackletNetwork


class XReID(TrackletNetwork):
    """SII and LII make O; CII is run by the losses, in training only."""

    def build_parts(self, config: NetworkConfig) -> None:
        """SII, LII and CII, each where it is switched on."""
        width, heads = config.width, config.interaction_heads
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

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        if config.cii_classifier and config.use_cii:
            self.add_neck("cii")
            self.add_classifier("cii")

    # Paper eq 8: O_t = (SII_t + LII_t) / 2; with one branch, O is that branch
    def interact(self, cls: Tensor, patches: Tensor) -> Interaction:
        """O_t, with both branches as parts "sii" and "lii" where they are on."""
        if self.config.detach_tokens:
            cls, patches = cls.detach(), patches.detach()
        parts: dict[str, Tensor] = {}
        if self.sii is not None:
            parts["sii"] = self.sii(cls, patches)
        if self.lii is not None:
            parts["lii"] = self.lii(cls, patches)
        both = list(parts.values())
        return Interaction(frames=(both[0] + both[1]) / 2 if len(both) == 2 else both[0], parts=parts)

    def cii_logits(self, features: Tensor, *, modalities: Tensor | None = None) -> Tensor:
        """Classifier outputs of O_CMII features [B, D] of clips of these modalities [B], float32 [B, Y].

        Raises:
            ConfigError: The network has no CII classifier.
        """
        if "cii" not in self.classifiers:
            raise ConfigError("the network has no CII classifier", todo="Set cii_classifier.")
        return self.classify("cii", self.normalise("cii", features, modalities=modalities))
