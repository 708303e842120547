"""The objective of X-ReID: what every method has, and CII with its constraint (paper eqs 9, 10)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from xreid.core.errors import ConfigError
from xreid.losses.config import ObjectiveConfig
from xreid.losses.constraint import cross_modality_constraint
from xreid.losses.objective import BatchLabels, Objective
from xreid.losses.pairing import MODALITIES, partners
from xreid.models.config import NetworkConfig
from xreid.models.network import TrackletNetwork
from xreid.models.output import NetworkOutput
from xreid.models.x_reid import XReID


class XReIDObjective(Objective):
    """Runs CII in training: its tokens are those of the paired clips of the batch.

    Raises:
        ConfigError: Network and objective do not fit each other.
    """

    def __init__(self, config: ObjectiveConfig, *, network: NetworkConfig) -> None:
        super().__init__(config, network=network)
        if config.cii_identity_weight and not (network.cii_classifier and network.use_cii):
            raise ConfigError(
                "cii_identity_weight needs a classifier", todo="Set use_cii and cii_classifier."
            )
        weights = (config.cmcl_weight, config.cii_identity_weight, config.cii_triplet_weight)
        if network.use_cii and not any(weights):
            raise ConfigError(
                "CII would never be trained: all of its weights are 0",
                todo="Set cmcl_weight, or switch off use_cii.",
            )

    def method_terms(
        self, output: NetworkOutput, batch: BatchLabels, network: TrackletNetwork
    ) -> dict[str, tuple[float, Tensor]]:
        """CMCL of every branch and modality (paper eq 9), and the optional losses on O_CMII."""
        config, terms = self.config, dict[str, tuple[float, Tensor]]()
        network = cast(XReID, network)
        if network.cii is None:
            return terms
        partner = partners(batch.local_labels, batch.local_modalities, keys=batch.keys)
        branches = output.branches()
        crossed = network.cii(torch.stack(list(branches.values()), dim=1), output.patches[partner])
        for (branch, anchor), crossed_branch in zip(branches.items(), crossed.unbind(1), strict=True):
            if config.cmcl_weight:
                distances = cross_modality_constraint(anchor, crossed_branch, reduction=config.cmcl_reduction)
                everywhere = batch.gather(distances)
                for name, modality in MODALITIES.items():
                    loss = everywhere[batch.modalities == modality].mean()
                    terms[f"cmcl_{branch}_{name}"] = (config.cmcl_weight, loss)
            if config.cii_identity_weight:
                loss = self.identity(
                    network.cii_logits(crossed_branch, modalities=batch.local_modalities), batch
                )
                terms[f"cii_identity_{branch}"] = (config.cii_identity_weight, loss)
            if config.cii_triplet_weight:
                loss = self.triplet(crossed_branch, batch)
                terms[f"cii_triplet_{branch}"] = (config.cii_triplet_weight, loss)
        return terms
