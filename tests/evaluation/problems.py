"""Small embedding sets and naive evaluators shared by the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.metrics import RANKS, Side

VIS, IR = Modality.VISIBLE, Modality.INFRARED


def row(
    name: str, identity: str | None, camera: str | None, modality: Modality, subset: str = ""
) -> Tracklet:
    return Tracklet(
        name=name, frames=(f"{name}.jpg",), modality=modality, identity=identity, camera=camera, subset=subset
    )


def embedding_set(
    rows: Sequence[Tracklet],
    vectors: np.ndarray | None = None,
    *,
    root: Path = Path("/nowhere"),
    source: str = "own",
) -> EmbeddingSet:
    """The rows with the given vectors (made unit length), or with seeded random ones."""
    if vectors is None:
        vectors = np.random.default_rng(0).standard_normal((len(rows), 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return EmbeddingSet(
        vectors=vectors,
        table=TrackletTable(root=root, rows=tuple(rows), source=source),
        origin=EmbeddingOrigin(
            checkpoint="c" * 64,
            config="f" * 64,
            layout=(("all", vectors.shape[1]),),
            source=source,
            licence="test",
        ),
    )


def people(
    count: int = 6,
    *,
    cameras: int = 3,
    per_camera: int = 1,
    noise: float = 0.5,
    seed: int = 0,
    root: Path = Path("/nowhere"),
    source: str = "own",
) -> EmbeddingSet:
    """`count` persons, each seen by every camera in both modalities; infrared is the query list."""
    generator = np.random.default_rng(seed)
    rows, vectors = [], []
    for person in range(count):
        centre = generator.standard_normal(16)
        for camera in range(cameras):
            for modality in (IR, VIS):
                for k in range(per_camera):
                    name = f"{person:04d}-{modality}-D{camera + 1}-{k}"
                    subset = "query" if modality is IR else "gallery"
                    rows.append(row(name, f"{person:04d}", f"D{camera + 1}", modality, subset))
                    vectors.append(centre + noise * generator.standard_normal(16))
    return embedding_set(rows, np.array(vectors), root=root, source=source)


@dataclass
class Naive:
    """What the loops below find, one entry per query; values None where no positive is left."""

    values: list[list[float] | None]
    candidates: list[int]


def naive_evaluation(query: Side, gallery: Side) -> Naive:
    """The published evaluators' procedure, one query and one tracklet at a time, in plain Python."""
    scores = query.vectors @ gallery.vectors.T
    values: list[list[float] | None] = []
    candidates = []
    for q in range(len(query)):
        order = sorted(range(len(gallery)), key=lambda g: (-scores[q, g], g))
        kept = [g for g in order if not _forbidden(query, gallery, q=q, g=g)]
        hits = [gallery.identities[g] == query.identities[q] for g in kept]
        candidates.append(len(kept))
        places = [i + 1 for i, hit in enumerate(hits) if hit]
        if not places:
            values.append(None)
            continue
        precision = sum((n + 1) / place for n, place in enumerate(places)) / len(places)
        cmc = [float(any(hits[:k])) for k in RANKS]
        values.append([*cmc, precision, len(places) / places[-1]])
    return Naive(values, candidates)


def _forbidden(query: Side, gallery: Side, *, q: int, g: int) -> bool:
    if query.rows is not None and gallery.rows is not None and query.rows[q] == gallery.rows[g]:
        return True
    if query.cameras is None or gallery.cameras is None or query.identities[q] != gallery.identities[g]:
        return False
    return bool(query.cameras[q] == gallery.cameras[g] and query.cameras[q] >= 0)
