"""An exported model against its original: embeddings and rankings on given tracklets.

Shapes: N tracklets, H x W the network's frame size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import CheckpointError
from xreid.core.tracklets import TrackletTable
from xreid.evaluation.evaluator import evaluate_directions
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, protocol_named
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.selection import require_answers
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.embed import EmbedConfig, Embedder, Tell, embed_tracklets
from xreid.inference.onnx_encoder import OnnxEncoder
from xreid.models.network import TrackletNetwork

Note = Callable[[str], None]
_ROUNDING = 1e-9  # points; a query of a hundred is 1 point, give or take the last bit


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far an export may move from its original.

    Attributes:
        points: Most that Rank-1 or mAP may change, up or down, in percentage points.
        cosine: Least cosine between a tracklet's two vectors.
    """

    points: float
    cosine: float


@dataclass(frozen=True, kw_only=True)
class DirectionCheck:
    """One direction, before and after.

    Attributes:
        direction: Who asked whom.
        rank1: Rank-1 of the original and of the export, fractions.
        mean_average_precision: mAP of both, fractions.
        gained: Queries whose first answer became right.
        lost: Queries whose first answer became wrong.
        moved: Share of right tracklets whose rank changed.
        queries: Queries with a right tracklet in the gallery.
    """

    direction: str
    rank1: tuple[float, float]
    mean_average_precision: tuple[float, float]
    gained: int
    lost: int
    moved: float
    queries: int

    @property
    def change(self) -> float:
        """The larger change of the two scores, in percentage points."""
        return 100 * max(abs(b - a) for a, b in (self.rank1, self.mean_average_precision))


@dataclass(frozen=True, kw_only=True)
class ExportCheck:
    """What a check found.

    Attributes:
        source: Name of the data.
        tracklets: How many were embedded twice.
        protocol: Name, version and hash of the rule.
        least_cosine: Over the tracklets.
        mean_cosine: Over the tracklets.
        directions: I2V and V2I.
        tolerance: What was allowed.
    """

    source: str
    tracklets: int
    protocol: str
    least_cosine: float
    mean_cosine: float
    directions: tuple[DirectionCheck, ...]
    tolerance: Tolerance

    @property
    def failures(self) -> list[str]:
        """What lies outside of the tolerance, in words."""
        found = []
        if not self.least_cosine >= self.tolerance.cosine:
            found.append(f"the least cosine is {self.least_cosine:.5f}")
        found += [
            f"{d.direction} moved by {d.change:.2f} points"
            for d in self.directions
            if d.change > self.tolerance.points + _ROUNDING
        ]
        return found

    def require(self) -> None:
        """Refuse an export outside of the tolerance.

        Raises:
            CheckpointError: It is.
        """
        if self.failures:
            raise CheckpointError(
                f"the export is not the same model: {', '.join(self.failures)}",
                expected=f"cosine {self.tolerance.cosine:g} or more, Rank-1 and mAP within "
                f"{self.tolerance.points:g} points",
                todo="Nothing was kept. Choose another precision, more calibration tracklets, or a wider "
                "tolerance.",
            )

    def text(self) -> str:
        """A few lines for a terminal."""
        lines = [
            f"check against the original on {self.tracklets} tracklets of {self.source}, {self.protocol}",
            f"cosine: least {self.least_cosine:.6f}, mean {self.mean_cosine:.6f} "
            f"(least allowed {self.tolerance.cosine:g})",
        ]
        for d in self.directions:
            scores = ", ".join(
                f"{name} {100 * a:.2f} -> {100 * b:.2f}"
                for name, (a, b) in (("Rank-1", d.rank1), ("mAP", d.mean_average_precision))
            )
            lines.append(
                f"{d.direction}: {scores} (allowed {self.tolerance.points:g} points); of {d.queries} queries "
                f"{d.gained} gained and {d.lost} lost Rank-1; {100 * d.moved:.1f}% of the right tracklets "
                "changed rank"
            )
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def require_checkable(model: LoadedModel, table: TrackletTable) -> None:
    """Refuse tracklets that no check could rank, before anything is traced or embedded.

    Raises:
        ProtocolError: They cannot be evaluated.
    """
    made = Embedder(model, table, config=EmbedConfig()).origin.preprocessing
    protocol = protocol_named("auto", table=table)
    require_answers(table, protocol, directions=DEFAULT_DIRECTIONS, made=made)


def check_export(
    model: LoadedModel,
    encoder: OnnxEncoder,
    table: TrackletTable,
    *,
    work: Path,
    tolerance: Tolerance,
    batch: int = 16,
    tell: Tell = lambda done, total: None,
    note: Note = lambda text: None,
) -> ExportCheck:
    """Embed tracklets with both and compare; killed and called again, it goes on where it was.

    Args:
        model: The original.
        encoder: The export.
        table: Tracklets of known identity, of both modalities.
        work: Folder for the two embedding sets.
        tolerance: What is allowed; see `ExportCheck.require`.
        batch: Clips at once.
        tell: Called with tracklets done and to do, of each of the two.
        note: Called with remarks.

    Raises:
        ProtocolError: The tracklets cannot be evaluated.
        DataError: A frame cannot be read.
        ConfigError: `work` holds something else.
    """
    sets = []
    for name, one in (("original", model), ("exported", as_model(encoder, model))):
        note(f"embedding with the {name} model")
        config = EmbedConfig(clips_per_batch=batch)
        sets.append(embed_tracklets(one, table, out=work / name, config=config, tell=tell, note=note))
    return compare_sets(sets[0], sets[1], tolerance=tolerance)


def compare_sets(original: EmbeddingSet, exported: EmbeddingSet, *, tolerance: Tolerance) -> ExportCheck:
    """Cosines and rankings of two embeddings of the same tracklets.

    Raises:
        ProtocolError: They cannot be evaluated.
    """
    cosines = np.einsum("nd,nd->n", original.vectors, exported.vectors, dtype=np.float64)
    protocol = protocol_named("auto", table=original.table)
    results = [
        evaluate_directions(one, protocol, directions=DEFAULT_DIRECTIONS, bootstrap=Bootstrap(resamples=0))
        for one in (original, exported)
    ]
    return ExportCheck(
        source=original.origin.source,
        tracklets=len(original),
        protocol=protocol.label,
        least_cosine=float(cosines.min()),
        mean_cosine=float(cosines.mean()),
        directions=tuple(_compare(a, b) for a, b in zip(*results, strict=True)),
        tolerance=tolerance,
    )


def _compare(before: EvaluationResult, after: EvaluationResult) -> DirectionCheck:
    right = [one.per_query[one.valid_rows(), 0].astype(bool) for one in (before, after)]
    return DirectionCheck(
        direction=before.direction.name,
        rank1=(before.rank1, after.rank1),
        mean_average_precision=(before.mean_average_precision, after.mean_average_precision),
        gained=int((right[1] & ~right[0]).sum()),
        lost=int((right[0] & ~right[1]).sum()),
        moved=float((before.ranks.ranks != after.ranks.ranks).mean()),
        queries=before.num_valid,
    )


def as_model(encoder: OnnxEncoder, original: LoadedModel) -> LoadedModel:
    """The export in the place of the network, so that all that embeds with a model embeds with it.

    Its preprocessing hands pixels on as they are (mean 0, deviation 1/255), since the export has its own.
    """
    network, pixels = original.network, (1 / 255, 1 / 255, 1 / 255)
    stand_in = SimpleNamespace(
        config=network.config,
        layout=network.layout,
        camera_embedding=network.camera_embedding,
        features=partial(_features, encoder),
    )
    preprocessing = replace(original.checkpoint.preprocessing, mean=(0.0, 0.0, 0.0), std=pixels)
    return LoadedModel(
        network=cast(TrackletNetwork, stand_in),
        checkpoint=replace(original.checkpoint, preprocessing=preprocessing),
        sha256=encoder.sha256,
        device=torch.device("cpu"),
    )


def _features(encoder: OnnxEncoder, clips: Tensor, cameras: Tensor, *, modalities: Tensor) -> Tensor:
    frames = clips.permute(0, 1, 3, 4, 2).round().to(torch.uint8).contiguous().numpy()
    return torch.from_numpy(encoder.features(frames, cameras=cameras.numpy(), modalities=modalities.numpy()))
