"""Embedding set + protocol + direction -> result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xreid.core.embeddings import EmbeddingSet, require_same_origin
from xreid.core.errors import ProtocolError
from xreid.core.tracklets import TrackletTable, index_of
from xreid.evaluation.directions import Direction
from xreid.evaluation.intervals import Bootstrap, estimate
from xreid.evaluation.metrics import Ints, Side, inner_products, rank_positives
from xreid.evaluation.neighbours import Tell, quiet
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, Protocol
from xreid.evaluation.reranking import Reranking
from xreid.evaluation.results import CMC_LENGTH, EvaluationResult
from xreid.evaluation.selection import Selection, no_positives, require_frames, select


def evaluate(
    embeddings: EmbeddingSet,
    protocol: Protocol,
    *,
    direction: Direction,
    bootstrap: Bootstrap | None = None,
    reranking: Reranking | None = None,
    block_mib: int = 32,
    tell: Tell = quiet,
) -> EvaluationResult:
    """Score stored embeddings under one protocol and direction.

    Args:
        embeddings: Queries and gallery in one set; see `combine` for several.
        protocol: Which tracklets ask and answer, and which pairs do not count.
        direction: Which modality asks which.
        bootstrap: How intervals are drawn; default 2,000 draws of identities, 95%, seed 0.
        reranking: Replaces the plain scores (inner products) before ranking; what counts stays the same.
        block_mib: Memory for scores in MiB.
        tell: Called with tracklets done and to do in the long part of re-ranking, the search for neighbours.

    Raises:
        ProtocolError: The embeddings cannot answer: no queries, one modality only, no cameras, no positives,
            or other frames than the protocol's.
    """
    drawn = bootstrap or Bootstrap()
    selection = select(embeddings.table, protocol, direction=direction)
    require_frames(embeddings.table, embeddings.origin.preprocessing, selection, protocol=protocol)
    query, gallery = sides(embeddings, selection, protocol=protocol)
    scores = reranking.scores(query, gallery, block_mib=block_mib, tell=tell) if reranking else inner_products
    ranks = rank_positives(query, gallery, scores_of=scores, block_mib=block_mib)
    valid = ranks.counts > 0
    if not valid.any():
        raise no_positives(protocol, direction=direction, queries=len(query))
    rows = [embeddings.table[int(i)] for i in selection.query]
    identities = tuple(str(row.identity) for row in rows)
    per_query = ranks.per_query()
    return EvaluationResult(
        protocol=protocol,
        direction=direction,
        metrics=estimate(
            per_query[valid], [p for p, v in zip(identities, valid, strict=True) if v], bootstrap=drawn
        ),
        cmc=ranks.cmc(min(CMC_LENGTH, len(gallery))),
        selection=selection,
        ranks=ranks,
        per_query=per_query,
        query_names=tuple(row.name for row in rows),
        query_identities=identities,
        bootstrap=drawn,
        origin=embeddings.origin,
        reranking=reranking,
        scores=scores,
    )


def evaluate_directions(
    embeddings: EmbeddingSet,
    protocol: Protocol,
    *,
    directions: Sequence[Direction] = DEFAULT_DIRECTIONS,
    bootstrap: Bootstrap | None = None,
    reranking: Reranking | None = None,
    block_mib: int = 32,
    tell: Tell = quiet,
) -> tuple[EvaluationResult, ...]:
    """`evaluate` for several directions, in order."""
    return tuple(
        evaluate(
            embeddings,
            protocol,
            direction=direction,
            bootstrap=bootstrap,
            reranking=reranking,
            block_mib=block_mib,
            tell=tell,
        )
        for direction in directions
    )


def sides(embeddings: EmbeddingSet, selection: Selection, *, protocol: Protocol) -> tuple[Side, Side]:
    """Queries and gallery of a selection as arrays, with the protocol's camera rule applied."""
    table = embeddings.table
    identity, camera = index_of(table.identities()), index_of(table.cameras())
    filtered = protocol.same_camera != "keep"

    def side(rows: Ints) -> Side:
        chosen = [table[int(i)] for i in rows]
        cameras = np.array([camera.get(row.camera or "", -1) for row in chosen], dtype=np.int64)
        return Side(
            vectors=embeddings.vectors[rows],
            identities=np.array([identity[str(row.identity)] for row in chosen], dtype=np.int64),
            cameras=cameras if filtered else None,
            rows=rows,
        )

    return side(selection.query), side(selection.gallery)


def combine(sets: Sequence[EmbeddingSet]) -> EmbeddingSet:
    """Several embedding sets of one model as one, e.g. queries and gallery embedded apart.

    Frame paths become absolute where the sets have different roots.

    Raises:
        ProtocolError: The sets come from different checkpoints, configurations or preprocessing, or carry
            different calibrations.
        DataError: A tracklet name occurs twice.
    """
    first = sets[0]
    if len(sets) == 1:
        return first
    for other in sets[1:]:
        require_same_origin(first.origin, other.origin)
    same_root = all(s.table.root == first.table.root for s in sets)
    rows = [
        row
        if same_root
        else replace(row, frames=tuple(str(s.table.frame_path(f).absolute()) for f in row.frames))
        for s in sets
        for row in s.table
    ]
    table = TrackletTable(
        root=first.table.root, rows=tuple(rows), source=first.table.source, licence=first.table.licence
    )
    return EmbeddingSet(
        vectors=np.concatenate([s.vectors for s in sets]),
        table=table,
        origin=first.origin,
        calibration=_common_calibration(sets),
    )


def _common_calibration(sets: Sequence[EmbeddingSet]) -> dict[str, Any] | None:
    carried = [s.calibration for s in sets if s.calibration is not None]
    if any(other != carried[0] for other in carried[1:]):
        raise ProtocolError(
            "the embedding sets carry different calibrations",
            todo="Run the same `xreid embed` commands again: they take the checkpoint's present calibration.",
        )
    return carried[0] if carried else None
