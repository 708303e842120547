"""Where a track changes over to another person: found by the embedding, cut there.

A track is cut into windows as long as the model's clips; before and after each border between two windows, up
to four windows are averaged. Where the two sides agree least, and less than the threshold, the track is cut;
then both parts are searched in the same way. How often that is right is measured in docs/ingest.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.pairs import kind_of
from xreid.inference.checkpoint import LoadedModel, load_checkpoint
from xreid.inference.embed import EmbedConfig, Embedder
from xreid.inference.processes import choose_device
from xreid.retrieval.crops import Crop, frame_file
from xreid.retrieval.ingest_config import IngestConfig
from xreid.retrieval.spectrum import modality_of
from xreid.retrieval.split import Cuts, parts_of

_SIDE = 4  # windows that are averaged on each side of a border
_LEAST = 2  # windows on each side: fewer may be one bad moment
_AGAINST = -3.0  # log-likelihood ratio below which a calibration speaks against one person: 1 to 20

Vectors = npt.NDArray[np.float32]


def person_cuts(
    crops: Mapping[str, Sequence[Crop]],
    out: Path,
    *,
    config: IngestConfig,
    before: Cuts,
) -> Cuts:
    """The first frames of other persons within tracklets.

    Args:
        crops: The tracklets; their pictures lie under `out`.
        out: Folder of the ingest.
        config: With a checkpoint; without a switch_score its calibration says where two people begin.
        before: Cuts that are already decided; no window lies across one.

    Raises:
        CheckpointError: The run cannot be read.
        ConfigError: There is neither a threshold nor a calibration.
    """
    assert config.checkpoint is not None
    model = load_checkpoint(config.checkpoint, choose_device(config.device))
    size = model.checkpoint.preprocessing.frames
    windows = list[tuple[str, list[Crop]]]()
    parts = list[tuple[str, int, int]]()  # tracklet, first and end of its windows
    for name in sorted(crops):
        for part in parts_of(crops[name], before.get(name, [])):
            count = len(part) // size
            if count >= 2 * _LEAST:
                parts.append((name, len(windows), len(windows) + count))
                windows += [(name, list(part[i * size : (i + 1) * size])) for i in range(count)]
    if not windows:
        return {}
    rows = [_row(number, name, window, config) for number, (name, window) in enumerate(windows)]
    limits = {m: _limit(model, m, config.switch_score) for m in sorted({row.modality for row in rows})}
    vectors = _embedded(model, TrackletTable(root=out, rows=tuple(rows)))
    cuts: Cuts = {}
    for name, start, end in parts:
        limit = limits[rows[start].modality]
        borders = switches_of(vectors[start:end], limit=limit)
        if borders:
            cuts.setdefault(name, []).extend(windows[start + place][1][0].frame for place in borders)
    return cuts


def switches_of(vectors: Vectors, *, limit: float) -> list[int]:
    """Numbers of the windows that begin another person, rising.

    Args:
        vectors: float32 [K, D] of unit length, of consecutive windows.
        limit: Cosine of the two sides below which they are two people.
    """
    places = range(_LEAST, len(vectors) - _LEAST + 1)
    if not places:
        return []
    scores = [agreement(vectors, place) for place in places]
    place = places[int(np.argmin(scores))]
    if min(scores) >= limit:
        return []
    later = [place + found for found in switches_of(vectors[place:], limit=limit)]
    return [*switches_of(vectors[:place], limit=limit), place, *later]


def agreement(vectors: Vectors, place: int) -> float:
    """Cosine between the means of up to four windows before and after a border."""
    first = vectors[max(0, place - _SIDE) : place].mean(axis=0)
    second = vectors[place : place + _SIDE].mean(axis=0)
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-12))


def _row(number: int, name: str, window: Sequence[Crop], config: IngestConfig) -> Tracklet:
    return Tracklet(
        name=str(number),
        frames=tuple(frame_file(name, crop.frame) for crop in window),
        modality=modality_of([crop.chroma for crop in window], stated=config.modality),
    )


def _limit(model: LoadedModel, modality: Modality, given: float | None) -> float:
    if given is not None:
        return given
    kind = kind_of(modality, modality)
    if model.calibration is None or kind not in model.calibration.kinds:
        raise ConfigError(
            f"the checkpoint has no calibration of {kind} pairs, so that nobody knows where two people begin",
            todo="Give --switch_score (a cosine), or calibrate the checkpoint (`xreid calibrate`).",
        )
    fitted = model.calibration.kind(kind)
    return (_AGAINST - fitted.offset) / fitted.slope


def _embedded(model: LoadedModel, table: TrackletTable) -> Vectors:
    return Embedder(model, table, config=EmbedConfig()).embed(range(len(table)))
