"""Who is whose partner: the k-th visible clip of a person goes with the k-th infrared one."""

from __future__ import annotations

import torch
from torch import Tensor

from xreid.core.errors import DataError

VISIBLE, INFRARED = 0, 1
MODALITIES = {"vis": VISIBLE, "ir": INFRARED}


def partners(labels: Tensor, modalities: Tensor, *, keys: Tensor | None = None) -> Tensor:
    """The partner of every clip: the same person in the other modality.

    Pairs follow from labels, modalities and keys, not from where a clip stands in the batch. Clips of one
    person and modality are ordered by key; without keys, or among equal ones, by position.

    Args:
        labels: int64 [B].
        modalities: [B], 0 visible, 1 infrared.
        keys: int64 [B], for instance row numbers in the tracklet table.

    Returns:
        int64 [B], an involution.

    Raises:
        DataError: An identity has not as many visible as infrared clips.
    """
    visible, infrared = (_ordered(labels, modalities == m, keys=keys) for m in (VISIBLE, INFRARED))
    if len(visible) != len(infrared) or not torch.equal(labels[visible], labels[infrared]):
        raise DataError(
            "the clips of a batch cannot be paired across modalities",
            expected="as many visible as infrared clips of every identity",
            got=_counts(labels, modalities),
        )
    partner = torch.empty_like(labels)
    partner[visible], partner[infrared] = infrared, visible
    return partner


def _ordered(labels: Tensor, chosen: Tensor, *, keys: Tensor | None) -> Tensor:
    """Positions of the chosen clips by label, then key, then position."""
    positions = chosen.nonzero().squeeze(1)
    if keys is not None:
        positions = positions[keys[positions].argsort(stable=True)]
    return positions[labels[positions].argsort(stable=True)]


def _counts(labels: Tensor, modalities: Tensor) -> str:
    for label in labels.unique().tolist():
        of_label = modalities[labels == label]
        visible, infrared = int((of_label == VISIBLE).sum()), int((of_label == INFRARED).sum())
        if visible != infrared:
            return f"{visible} visible and {infrared} infrared clips of label {label}"
    return "modalities other than 0 and 1"
