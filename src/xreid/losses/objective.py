"""The objective: L = L_CPCL + L_tri + L_ce + L_CMCL (paper eq 10).

N processes equal one. Each holds whole identities of the batch. What needs the whole batch is computed on
gathered features, alike on every process; what does not is computed on the local clips and gathered
afterwards, so that the numbers reported are those of the whole batch. `gather` concatenates the rows of all
processes in rank order and is differentiable, its backward SUMMING the gradients of all processes
(torch.distributed.nn.functional.all_gather does). Then every local gradient is N times that of the
one-process loss, and averaging over processes, as DDP does, gives exactly the latter. BNNecks take part
through `TrackletNetwork.set_gather`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xreid.core.errors import ConfigError
from xreid.losses.config import ObjectiveConfig
from xreid.losses.prototypes import CrossModalityPrototypes
from xreid.losses.triplet import batch_hard_triplet
from xreid.models.config import NetworkConfig
from xreid.models.heads import Gather, at_least_float32, no_gather
from xreid.models.network import TrackletNetwork
from xreid.models.output import NetworkOutput


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """The loss of one batch.

    Attributes:
        total: Weighted sum, a scalar with gradient; the same on every process.
        terms: Scalars by name, unweighted, detached.
        bank: b of the clips of all processes, [B, d_b], detached, or None without memories.
        labels: int64 [B] of all processes.
        modalities: int64 [B] of all processes.
    """

    total: Tensor
    terms: dict[str, Tensor]
    bank: Tensor | None
    labels: Tensor
    modalities: Tensor


@dataclass(frozen=True, kw_only=True)
class BatchLabels:
    """Labels of the local clips and of those of all processes, and how to get from one to the other.

    Attributes:
        local_labels: int64 [b] of this process.
        local_modalities: int64 [b] of this process.
        keys: Row numbers int64 [b] of this process, or None.
        labels: int64 [B] of all processes.
        modalities: int64 [B] of all processes.
        gather: Concatenates rows of all processes.
    """

    local_labels: Tensor
    local_modalities: Tensor
    keys: Tensor | None
    labels: Tensor
    modalities: Tensor
    gather: Gather


class Objective(nn.Module):
    """Maps a network's output, labels and modalities to loss terms; owns the prototype memories.

    Its state_dict holds the memories, which a resumed run needs.

    Raises:
        ConfigError: Network and objective do not fit each other.
    """

    #: What keeps the prototypes; a method with another memory names its own.
    prototype_class: type[CrossModalityPrototypes] = CrossModalityPrototypes

    def __init__(self, config: ObjectiveConfig, *, network: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        _require_fit(config, network)
        self.prototypes: CrossModalityPrototypes | None = None
        if config.cpc.enabled:
            width = network.projection
            if config.cpc.feature == "bn_concat":
                width += network.width
            self.prototypes = self.prototype_class(
                config.cpc, num_identities=network.num_identities, width=width
            )

    def bank_features(self, output: NetworkOutput) -> Tensor:
        """b of a batch, [B, d_b]: what the memories are initialised with and updated by."""
        if self.config.cpc.feature == "bn_concat":
            return torch.cat([output.bn_cls, output.bn_proj], dim=1)
        return output.sequence_proj

    def forward(
        self,
        output: NetworkOutput,
        labels: Tensor,
        modalities: Tensor,
        network: TrackletNetwork,
        *,
        rows: Tensor | None = None,
        gather: Gather = no_gather,
    ) -> LossTerms:
        """Every loss of a batch.

        Args:
            output: Of the network in training mode.
            labels: int64 [B].
            modalities: [B], 0 visible, 1 infrared; every identity has as many clips of each.
            network: The network that made the output: its CII and classifiers are run here.
            rows: Row numbers int64 [B]; with them, clips are paired across modalities whatever their order.
            gather: Concatenates rows of all processes, see the module's docstring.

        Returns:
            The weighted total and every term. Call `update` with it after the backward pass.

        Raises:
            DataError: One identity only, or clips that cannot be paired across modalities.
        """
        modalities = modalities.long()
        batch = BatchLabels(
            local_labels=labels,
            local_modalities=modalities,
            keys=rows,
            labels=gather(labels),
            modalities=gather(modalities),
            gather=gather,
        )
        with torch.autocast(labels.device.type, enabled=False):
            weighted = self._backbone_terms(output, batch, network)
        weighted |= self.method_terms(output, batch, network)
        total = torch.stack([weight * term for weight, term in weighted.values()]).sum()
        return LossTerms(
            total=total,
            terms={name: term.detach() for name, (_, term) in weighted.items()},
            bank=gather(self.bank_features(output).detach()) if self.prototypes is not None else None,
            labels=batch.labels,
            modalities=batch.modalities,
        )

    def update(self, terms: LossTerms) -> None:
        """Update the memories by the clips of a batch; a no-op without memories."""
        if self.prototypes is not None and terms.bank is not None:
            self.prototypes.update(terms.bank, terms.labels, terms.modalities)

    def _backbone_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        config, terms = self.config, dict[str, tuple[float, Tensor]]()
        if self.prototypes is not None and config.cpcl_weight:
            bank = batch.gather(self.bank_features(output))
            losses = self.prototypes.loss(bank, batch.labels, batch.modalities)
            terms |= {f"cpcl_{name}": (config.cpcl_weight, loss) for name, loss in losses.items()}
        if config.triplet_weight:
            for feature in config.triplet_features:
                loss = self.triplet(output.sequence(feature), batch)
                terms[f"triplet_{feature}"] = (config.triplet_weight, loss)
        if config.identity_weight:
            for name, logits in output.logits.items():
                terms[f"identity_{name}"] = (config.identity_weight, self.identity(logits, batch))
        if config.frame_identity_weight:
            for name, logits in network.frame_logits(output).items():
                loss = self.identity(logits, batch)
                terms[f"frame_identity_{name}"] = (config.frame_identity_weight, loss)
        return terms

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """The method's own terms: weight and scalar by name; called within autocast where that is on."""
        return {}

    def triplet(self, features: Tensor, batch: BatchLabels) -> Tensor:
        """Batch-hard triplet of the clips of all processes."""
        return batch_hard_triplet(
            batch.gather(features),
            batch.labels,
            margin=self.config.triplet_margin,
            modalities=batch.modalities if self.config.triplet_pairs == "cross" else None,
        )

    def identity(self, logits: Tensor, batch: BatchLabels) -> Tensor:
        """Mean cross-entropy of clips [B, Y] or of their frames [B, T, Y]."""
        targets = batch.local_labels
        if logits.dim() == 3:
            targets = targets.repeat_interleave(logits.shape[1])
            logits = logits.flatten(0, 1)
        losses = F.cross_entropy(
            at_least_float32(logits), targets, reduction="none", label_smoothing=self.config.label_smoothing
        )
        return batch.gather(losses).mean()


def _require_fit(config: ObjectiveConfig, network: NetworkConfig) -> None:
    if network.num_identities < 2:
        raise ConfigError(
            "too few training identities", expected="2 or more", got=str(network.num_identities)
        )
    if not network.has_interaction and "interaction" in config.triplet_features and config.triplet_weight:
        raise ConfigError(
            "triplet_features names interaction, which the network does not make",
            todo="Drop it, or switch on use_sii or use_lii.",
        )
    made = [name for name in network.classifiers if name != "interaction" or network.has_interaction]
    if (config.identity_weight or config.frame_identity_weight) and not made:
        raise ConfigError(
            "identity_weight and frame_identity_weight need a classifier",
            expected="features in network.classifiers that the network makes",
            got=", ".join(network.classifiers) or "none",
            todo="Name one, or set both weights to 0.",
        )
