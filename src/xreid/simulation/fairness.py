"""Hand-crafted matchers: what can be found in an archive without learning anything.

A simulated archive is a fair test only if these stay low; docs/simulator.md holds their scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from xreid.core.errors import DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.simulation.arrays import Bytes, Floats

HOG_SIZE = (64, 128)  # width, height of the window of Dalal and Triggs' descriptor


def mean_colour(image: Bytes) -> Floats:
    """Mean blue, green, red of a frame: float32 [3]."""
    return image.reshape(-1, 3).mean(0, dtype=np.float32)


def striped_colour(image: Bytes) -> Floats:
    """Mean colour of six horizontal stripes of the middle half of a frame: float32 [18]."""
    width = image.shape[1]
    middle = image[:, width // 4 : width - width // 4]
    return cv2.resize(middle, (1, 6), interpolation=cv2.INTER_AREA).reshape(-1).astype(np.float32)


def colour_histogram(image: Bytes) -> Floats:
    """Histogram of 8 x 8 x 8 colours, square root of the shares: float32 [512]."""
    counts = cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    return np.sqrt(counts.reshape(-1) / counts.sum()).astype(np.float32)


def hog(image: Bytes) -> Floats:
    """Histogram of oriented gradients of the grey frame at 64 x 128: float32 [3780]."""
    grey = cv2.cvtColor(cv2.resize(image, HOG_SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.HOGDescriptor().compute(grey), np.float32).reshape(-1)


MATCHERS: dict[str, Callable[[Bytes], Floats]] = {
    "mean colour": mean_colour,
    "striped colour": striped_colour,
    "colour histogram": colour_histogram,
    "HOG": hog,
}


def tracklet_features(table: TrackletTable, *, every: int = 1) -> dict[str, Floats]:
    """Features of every tracklet by matcher, the mean over every `every`-th of its frames: float32 [N, D].

    Raises:
        DataError: A frame cannot be read.
    """

    def of_row(row: Tracklet) -> list[Floats]:
        images = [_read(table.frame_path(frame)) for frame in row.frames[::every]]
        return [np.mean([matcher(image) for image in images], 0) for matcher in MATCHERS.values()]

    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(of_row, table))
    return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(MATCHERS)}


def rank1(
    features: Floats, rows: Sequence[Tracklet], *, query: Modality, gallery: Modality, centred: bool = False
) -> float:
    """Share of query tracklets whose nearest gallery tracklet is the same person.

    Cosine similarity; gallery tracklets of the query's own person and camera are left out; a query without
    any other tracklet of its person in the gallery does not count (benchmarks: HITSZ-VCM's protocol).

    Args:
        features: float32 [N, D].
        rows: The N tracklets.
        query: Modality of the queries.
        gallery: Modality of the gallery; the same as `query` compares every tracklet with all others.
        centred: Subtract the mean of each modality first, which removes its general look.

    Raises:
        ProtocolError: No query has a match in the gallery.
    """
    modality = np.array([row.modality.value for row in rows])
    identity = np.array([row.identity for row in rows])
    camera = np.array([row.camera for row in rows])
    values = features.astype(np.float64)
    if centred:
        for value in (query.value, gallery.value):
            values[modality == value] -= values[modality == value].mean(0)
    values /= np.linalg.norm(values, axis=1, keepdims=True) + 1e-12
    asked, held = np.flatnonzero(modality == query.value), np.flatnonzero(modality == gallery.value)
    similarity = values[asked] @ values[held].T
    same = identity[asked][:, None] == identity[held][None]
    similarity[same & (camera[asked][:, None] == camera[held][None])] = -np.inf
    valid = (same & np.isfinite(similarity)).any(1)
    if not valid.any():
        raise ProtocolError("no query has a match in another camera", todo="Simulate more cameras a person.")
    best = similarity.argmax(1)
    return float(same[np.arange(len(asked)), best][valid].mean())


def baseline_rank1(
    table: TrackletTable,
    *,
    query: Modality = Modality.INFRARED,
    gallery: Modality = Modality.VISIBLE,
    every: int = 1,
) -> dict[str, float]:
    """Rank-1 of every hand-crafted matcher, plain and with each modality's mean removed ("centred ...")."""
    features = tracklet_features(table, every=every)
    scores = {}
    for name, values in features.items():
        scores[name] = rank1(values, table.rows, query=query, gallery=gallery)
        scores[f"centred {name}"] = rank1(values, table.rows, query=query, gallery=gallery, centred=True)
    return scores


def _read(path: Path) -> Bytes:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"cannot read frame {path}", todo="Run `xreid verify` on the archive.")
    return np.asarray(image, np.uint8)
