"""Scores on held-out training identities, by which an epoch may be chosen; test data is never read."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import TrackletTable
from xreid.data.clips import OnUnreadable
from xreid.evaluation.directions import I2V, V2I
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.protocols import GENERIC
from xreid.inference.checkpoint import Checkpoint, LoadedModel
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.processes import Processes
from xreid.models.network import TrackletNetwork

_PART = 64  # tracklets embedded by one process at a time


class HeldOutScore:
    """Evaluates the current network on the held-out tracklets: Rank-1 and mAP, I2V and V2I.

    Args:
        table: Tracklets of the held-out identities.
        network: The network that is being trained.
        checkpoint: Its description; gives the preprocessing.
        precision: Arithmetic of the encoder.
        on_unreadable: What to do about unreadable frames.
        processes: This process among those of the job, which share the work.
        workers: Loader processes.
        cache_bytes: Memory for decoded frames.

    Raises:
        DataError: The held-out tracklets cannot be evaluated (no person in two cameras).
    """

    def __init__(
        self,
        table: TrackletTable,
        *,
        network: TrackletNetwork,
        checkpoint: Checkpoint,
        precision: Literal["fp32", "bf16"],
        on_unreadable: OnUnreadable,
        processes: Processes,
        workers: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        self.table, self.processes = table, processes
        model = LoadedModel(
            network=network, checkpoint=checkpoint, sha256="in training", device=processes.device
        )
        config = EmbedConfig(precision=precision, on_unreadable=on_unreadable)
        self.embedder = Embedder(model, table, config=config, workers=workers, cache_bytes=cache_bytes)
        self._require_answerable()

    def __call__(self) -> dict[str, float]:
        """Fractions by name: mAP (the mean of both directions, which selects), and each direction's."""
        return self._scores(self._embed())

    def _embed(self) -> np.ndarray:
        parts = [
            range(start, min(start + _PART, len(self.table))) for start in range(0, len(self.table), _PART)
        ]
        mine = parts[self.processes.rank :: self.processes.size]
        width = sum(width for _, width in self.embedder.model.network.layout)
        vectors = torch.zeros(len(self.table), width)
        for rows, part in zip(mine, self.embedder.embed_parts(mine), strict=True):
            vectors[rows.start : rows.stop] = torch.from_numpy(part)
        return self.processes.sum(vectors.to(self.processes.device)).cpu().numpy()

    def _scores(self, vectors: np.ndarray) -> dict[str, float]:
        embeddings = EmbeddingSet(vectors=vectors, table=self.table, origin=self.embedder.origin)
        scores: dict[str, float] = {}
        for direction in (I2V, V2I):
            result = evaluate(embeddings, GENERIC, direction=direction, bootstrap=Bootstrap(resamples=0))
            scores[f"{direction.name} Rank-1"] = result.rank1
            scores[f"{direction.name} mAP"] = result.mean_average_precision
        return {"mAP": (scores["I2V mAP"] + scores["V2I mAP"]) / 2, **scores}

    def _require_answerable(self) -> None:
        """Fail before the first epoch, not after it."""
        width = sum(width for _, width in self.embedder.model.network.layout)
        anything = np.full((len(self.table), width), width**-0.5, dtype=np.float32)
        try:
            self._scores(anything)
        except ProtocolError as error:
            raise DataError(
                f"the held-out identities cannot be evaluated: {error.what}",
                todo="Raise --selection.held_out, or set it to 0 and keep the last epoch.",
            ) from error


def choose(best: dict[str, Any] | None, *, epoch: int, scores: dict[str, float]) -> dict[str, Any] | None:
    """The new best, or None where the old one stays; the earlier of two equal epochs is kept."""
    if best is not None and scores["mAP"] <= best["scores"]["mAP"]:
        return None
    return {"epoch": epoch, "scores": scores}
