"""All pairs that count, against the loops of `problems.naive_evaluation`'s rule."""

import numpy as np
import pytest

from tests.evaluation.problems import IR, VIS, _forbidden, embedding_set, people, row
from xreid.core.errors import ProtocolError
from xreid.evaluation.directions import ALL, I2V, V2V, Direction
from xreid.evaluation.evaluator import sides
from xreid.evaluation.pairs import pair_scores
from xreid.evaluation.protocols import BUPT_CAMPUS_FULL, GENERIC, HITSZ_VCM, Protocol
from xreid.evaluation.selection import select

KEEPS_CAMERAS = Protocol(name="keeps", version=1, roles="pooled", same_camera="keep")


@pytest.mark.parametrize(
    ("protocol", "direction"),
    [
        (HITSZ_VCM, I2V),
        (HITSZ_VCM, ALL),
        (GENERIC, V2V),
        (KEEPS_CAMERAS, V2V),  # only the tracklet itself does not count
        (BUPT_CAMPUS_FULL, I2V),
        (GENERIC, Direction(IR, None)),
    ],
)
def test_the_pairs_that_count_are_those_of_the_evaluator(protocol: Protocol, direction: Direction) -> None:
    embeddings = people(5, cameras=3, per_camera=2)
    pairs = pair_scores(embeddings, protocol, direction=direction)
    selection = select(embeddings.table, protocol, direction=direction)
    query, gallery = sides(embeddings, selection, protocol=protocol)
    for q in range(len(query)):
        for g in range(len(gallery)):
            same = bool(query.identities[q] == gallery.identities[g])
            counts = not _forbidden(query, gallery, q=q, g=g)
            assert pairs.positive[q, g] == (same and counts)
            assert pairs.negative[q, g] == (not same)
            assert np.isnan(pairs.scores[q, g]) != counts
            if counts:
                assert pairs.scores[q, g] == pytest.approx(query.vectors[q] @ gallery.vectors[g], abs=1e-6)


def test_kinds_and_people() -> None:
    embeddings = people(3, cameras=2)
    pairs = pair_scores(embeddings, HITSZ_VCM, direction=ALL)
    assert pairs.kinds == ("vis-vis", "vis-ir", "ir-ir")
    assert sum(pairs.of_kind(kind).sum() for kind in pairs.kinds) == pairs.scores.size
    modalities = [r.modality for r in embeddings.table]
    for q, first in enumerate(modalities):
        for g, second in enumerate(modalities):
            assert pairs.of_kind("vis-ir")[q, g] == (first is not second)
            assert pairs.of_kind("ir-ir")[q, g] == (first is second is IR)
    assert pairs.identities == ("0000", "0001", "0002")
    assert [c.tolist() for c in pairs.counts()] == [[4, 4, 4], [4, 4, 4]]
    blocks = list(pairs.blocks(rows=5))
    np.testing.assert_array_equal(np.concatenate([b.positive for b in blocks]), pairs.positive)
    assert pair_scores(embeddings, HITSZ_VCM, direction=I2V).kinds == ("vis-ir",)


def test_no_two_people_or_no_two_tracklets_of_one_is_one_message() -> None:
    alone = embedding_set([row("a", "1", "D1", VIS), row("b", "1", "D2", VIS)])
    with pytest.raises(ProtocolError, match="no pair of two people"):
        pair_scores(alone, GENERIC, direction=V2V)
    strangers = embedding_set([row("a", "1", "D1", VIS), row("b", "2", "D2", VIS)])
    with pytest.raises(ProtocolError, match="two tracklets of one person"):
        pair_scores(strangers, GENERIC, direction=V2V)
