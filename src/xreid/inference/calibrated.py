"""A checkpoint's calibration goes with the embeddings that it fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ProtocolError
from xreid.evaluation.calibration import require_fits
from xreid.inference.checkpoint import LoadedModel


def carry_calibration(
    embeddings: EmbeddingSet,
    model: LoadedModel,
    *,
    out: Path,
    write: bool = True,
    note: Callable[[str], None] = lambda text: None,
) -> EmbeddingSet:
    """The set with the checkpoint's present calibration, which is also written into its folder.

    A set that was embedded before the model was calibrated gets it too, when it is embedded again by the same
    command: the vectors stay.

    Args:
        embeddings: Just embedded, or found done.
        model: What made them.
        out: Their folder.
        write: Whether this process writes (one of a job does).
        note: Called where the calibration does not fit, or replaces another.
    """
    if model.calibration is None:
        return embeddings
    try:
        require_fits(model.calibration, embeddings.origin)
    except ProtocolError as error:
        note(f"the checkpoint's calibration is not for these embeddings and is left out: {error.what}")
        return embeddings
    plain = json.loads(json.dumps(model.calibration.to_json()))
    if embeddings.calibration == plain:
        return embeddings
    if embeddings.calibration is not None:
        note("the checkpoint has been calibrated anew since: its present calibration is stored")
    carrying = replace(embeddings, calibration=plain)
    if write:
        carrying.save(out)
    return carrying
