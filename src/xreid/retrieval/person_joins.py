"""Pieces of tracks that are one person by the embedding, where `fragments` says that they may be.

Two pieces are joined where their cosine lies above the threshold of the run's calibration, and above 99% of
what pairs of strangers score in this very recording: people who are at once in its pictures. A network that
finds everybody alike here joins nobody. How often it is right is measured in docs/ingest.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.pairs import kind_of
from xreid.inference.checkpoint import LoadedModel, load_checkpoint
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.processes import choose_device
from xreid.retrieval.crops import Crop, frame_file
from xreid.retrieval.fragments import Pair, Scores, at_once, best, fitting
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.spectrum import modality_of
from xreid.retrieval.split import Pieces

_FOR = 3.0  # log-likelihood ratio of one person: 20 to 1
_STRANGERS = 0.01  # share of the recording's strangers that may be more alike
_MOST_STRANGERS = 20_000


def person_joins(
    pieces: Pieces,
    out: Path,
    *,
    config: IngestConfig,
    changes: Sequence[int],
    begun: Collection[str],
) -> Scores:
    """Which pieces go on from which, and their cosines.

    Args:
        pieces: Tracklets, cut where the modality or the person changes; their pictures lie under `out`.
        out: Folder of the ingest.
        config: With a checkpoint; a join_score takes the place of its calibration's threshold.
        changes: Numbers of the first frames of another modality.
        begun: Pieces that go on from the file before.

    Raises:
        CheckpointError: The run cannot be read.
    """
    assert config.checkpoint is not None
    long = {name: rows for name, rows in pieces.crops.items() if len(rows) >= config.min_frames}
    modalities = {
        name: modality_of([crop.chroma for crop in rows], stated=config.modality)
        for name, rows in long.items()
    }
    pairs = fitting(long, kinds=modalities, changes=changes, origin=pieces.origin, begun=begun)
    if not pairs:
        return {}
    strangers = list(islice(at_once(long, kinds=modalities), _MOST_STRANGERS))
    model = load_checkpoint(config.checkpoint, choose_device(config.device))
    rows = [
        _row(name, long[name], modalities[name], config.camera)
        for name in sorted({name for pair in (*pairs, *strangers) for name in pair})
    ]
    vectors = _embedded(model, TrackletTable(root=out, rows=tuple(rows)))

    def alike(among: Sequence[Pair], modality: Modality) -> dict[Pair, float]:
        own = [(one, other) for one, other in among if modalities[one] is modality]
        return {(one, other): float(vectors[one] @ vectors[other]) for one, other in own}

    scores = dict[Pair, float]()
    for modality in sorted(set(modalities.values())):
        here = list(alike(strangers, modality).values())
        limit = limit_of(model, modality, here, given=config.join_score)
        scores |= {pair: score for pair, score in alike(pairs, modality).items() if score > limit}
    chosen = best(scores)
    return {(before, after): scores[before, after] for after, before in chosen.items()}


def limit_of(
    model: LoadedModel, modality: Modality, strangers: Sequence[float], *, given: float | None
) -> float:
    """The cosine above which two pieces are one person; infinite where nobody knows.

    Args:
        model: With its calibration.
        modality: Of both.
        strangers: Cosines of pairs that are at once in a picture of this recording.
        given: Stands for the calibration's threshold.
    """
    limit = _calibrated(model, modality) if given is None else given
    if not strangers:
        return limit
    return max(limit, float(np.quantile(strangers, 1 - _STRANGERS, method="higher")))


def _calibrated(model: LoadedModel, modality: Modality) -> float:
    """The threshold of pairs of one modality; where too few were measured for one, 20 to 1 for one person."""
    kind = kind_of(modality, modality)
    if model.calibration is None or kind not in model.calibration.kinds:
        return math.inf
    fitted = model.calibration.kind(kind)
    stored = fitted.threshold.score
    return (_FOR - fitted.offset) / fitted.slope if stored is None else stored


def _row(name: str, crops: Sequence[Crop], modality: Modality, camera: str | None) -> Tracklet:
    return Tracklet(
        name=name,
        frames=tuple(frame_file(name, crop.frame) for crop in crops),
        modality=modality,
        camera=camera,
    )


def _embedded(model: LoadedModel, table: TrackletTable) -> dict[str, npt.NDArray[np.float32]]:
    """float32 [D] of unit length, by name."""
    vectors = Embedder(model, table, config=EmbedConfig()).embed(range(len(table)))
    return dict(zip([row.name for row in table], vectors, strict=True))
