"""Small embedding sets with random unit vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from xreid.core.embeddings import EmbeddingOrigin, EmbeddingSet
from xreid.core.tracklets import Modality, Tracklet, TrackletTable

ORIGIN = EmbeddingOrigin(
    checkpoint="c" * 64, config="k" * 64, layout=(("cls", 12), ("o", 4)), preprocessing={"frame_size": [8, 4]}
)


def make_set(
    count: int,
    *,
    seed: int = 0,
    prefix: str = "t",
    root: Path = Path("/nowhere"),
    origin: EmbeddingOrigin = ORIGIN,
) -> EmbeddingSet:
    """Tracklets with cameras A, B or none, both modalities, some people known, times 10 s apart."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = tuple(
        Tracklet(
            name=f"{prefix}{i}",
            frames=(f"{prefix}{i}/1.jpg", f"{prefix}{i}/2.jpg"),
            modality=Modality.INFRARED if i % 2 else Modality.VISIBLE,
            identity=f"{i % 5:04d}" if i % 3 else None,
            camera=(None, "A", "B")[i % 3],
            start_s=10.0 * i if i % 4 else None,
            end_s=10.0 * i + 5 if i % 4 else None,
        )
        for i in range(count)
    )
    return EmbeddingSet(vectors=vectors, table=TrackletTable(root=root, rows=rows), origin=origin)


def other_model(embeddings: EmbeddingSet) -> EmbeddingSet:
    """The same vectors, said to be of another checkpoint."""
    return replace(embeddings, origin=replace(embeddings.origin, checkpoint="d" * 64))
