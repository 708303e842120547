"""What the network returns for a batch of clips."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from xreid.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class NetworkOutput:
    """Features of B clips of T frames; TAP is the mean over T.

    Attributes:
        frames_cls: Class tokens z_cls after the final layer norm, [B, T, D].
        frames_proj: Projected class tokens v, [B, T, d].
        patches: Patch tokens, [B, T, N, D].
        sequence_cls: TAP of z_cls, [B, D].
        sequence_proj: TAP of v, [B, d].
        bn_cls: BNNeck of sequence_cls, float32 [B, D].
        bn_proj: BNNeck of sequence_proj, float32 [B, d].
        interaction_frames: O_t, [B, T, D], or None where the method makes none.
        interaction: O, for X-ReID the TAP of O_t, [B, D], or None where the method makes none.
        bn_interaction: BNNeck of O, float32 [B, D], or None where the method makes none.
        modalities: [B], 0 visible, 1 infrared, as they were given.
        parts: What else the method's losses need; X-ReID's branches "sii" and "lii", each [B, T, D].
        logits: Training only: classifier outputs by feature name, float32 [B, Y].
    """

    frames_cls: Tensor
    frames_proj: Tensor
    patches: Tensor
    sequence_cls: Tensor
    sequence_proj: Tensor
    bn_cls: Tensor
    bn_proj: Tensor
    interaction_frames: Tensor | None = None
    interaction: Tensor | None = None
    bn_interaction: Tensor | None = None
    modalities: Tensor | None = None
    parts: dict[str, Tensor] = field(default_factory=dict)
    logits: dict[str, Tensor] = field(default_factory=dict)

    def sequence(self, name: str) -> Tensor:
        """The sequence feature of that name, before BN, [B, width].

        Raises:
            ConfigError: The network does not make it.
        """
        return _present(
            {"cls": self.sequence_cls, "proj": self.sequence_proj, "interaction": self.interaction}[name],
            name,
        )

    def frames(self, name: str) -> Tensor:
        """The frame features of that name, before BN, [B, T, width].

        Raises:
            ConfigError: The network does not make them.
        """
        return _present(
            {"cls": self.frames_cls, "proj": self.frames_proj, "interaction": self.interaction_frames}[name],
            name,
        )

    def branches(self) -> dict[str, Tensor]:
        """Obar of each branch, the anchors of CII: "sii" and "lii" where present, else "cls", each [B, D]."""
        found = {name: x.mean(dim=1) for name, x in self.parts.items() if name in ("sii", "lii")}
        return found or {"cls": self.sequence_cls}  # paper Table 5, row 4: CII alone


def _present(feature: Tensor | None, name: str) -> Tensor:
    if feature is None:
        raise ConfigError(f"the network makes no {name} feature", todo="Switch on use_sii or use_lii.")
    return feature
