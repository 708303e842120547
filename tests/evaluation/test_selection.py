"""Protocols: which rows ask, which answer, which are refused."""

import itertools
from dataclasses import replace

import pytest

from tests.evaluation.problems import IR, VIS, embedding_set, row
from xreid.core.errors import ConfigError, ProtocolError
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.evaluation.directions import ALL, I2I, I2V, V2I, V2V
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.protocols import (
    BUPT_CAMPUS_FULL,
    BUPT_CAMPUS_PAPER64,
    GENERIC,
    GENERIC_LISTS,
    HITSZ_VCM,
    PROTOCOLS,
    Protocol,
    protocol_named,
)
from xreid.evaluation.selection import require_answers, select


def table(*rows: Tracklet, source: str = "own") -> TrackletTable:
    return embedding_set(rows, source=source).table


def hitsz() -> TrackletTable:
    return table(
        row("a", "1", "D1", IR, "query"),
        row("b", "1", "D2", VIS, "gallery"),
        row("c", "2", "D1", VIS, "gallery"),
        row("d", "2", "D2", IR, "query"),
        row("t", "9", "D2", IR, "train"),
    )


def bupt(*, visible_queries: int = 70, visible_gallery: int = 130) -> TrackletTable:
    counts = {
        ("query", IR): 60,
        ("query", VIS): visible_queries,
        ("gallery", IR): 130,
        ("gallery", VIS): visible_gallery,
    }
    rows = [
        row(f"{subset}-{m}-{i}", str(i % 60), "W4", m, subset)
        for (subset, m), n in counts.items()
        for i in range(n)
    ]
    return table(*rows, source="bupt-campus")


def test_hitsz_vcm_swaps_the_roles() -> None:
    i2v, v2i = (select(hitsz(), HITSZ_VCM, direction=d) for d in (I2V, V2I))
    assert (i2v.query.tolist(), i2v.gallery.tolist()) == ([0, 3], [1, 2])
    assert (v2i.query.tolist(), v2i.gallery.tolist()) == ([1, 2], [0, 3])
    assert i2v.training_rows == 1
    assert select(hitsz(), HITSZ_VCM, direction=V2V).query.tolist() == [1, 2]
    assert select(hitsz(), HITSZ_VCM, direction=ALL).gallery.tolist() == [0, 1, 2, 3]


def test_bupt_uses_its_lists_in_both_directions() -> None:
    sizes = {
        d.name: tuple(map(len, (s.query, s.gallery)))
        for d in (I2V, V2I, V2V, I2I, ALL)
        for s in [select(bupt(), BUPT_CAMPUS_FULL, direction=d)]
    }
    assert sizes == {
        "I2V": (60, 130),
        "V2I": (70, 130),
        "vis->vis": (70, 130),
        "ir->ir": (60, 130),
        "all->all": (130, 260),
    }


def test_paper64_drops_the_tail_of_the_visible_rows() -> None:
    full = select(bupt(), BUPT_CAMPUS_FULL, direction=V2V)
    cut = select(bupt(), BUPT_CAMPUS_PAPER64, direction=V2V)
    assert cut.query.tolist() == full.query.tolist()[:64]  # 70 % 64 = 6
    assert cut.gallery.tolist() == full.gallery.tolist()[:128]  # 130 % 64 = 2
    assert cut.batch_dropped == 8
    assert len(select(bupt(), BUPT_CAMPUS_PAPER64, direction=I2I).query) == 60  # infrared rows all stay


def test_paper64_drops_nothing_where_the_batches_are_full() -> None:
    """The official sampler's idx[:-0] would drop everything."""
    even = bupt(visible_queries=64, visible_gallery=128)
    assert select(even, BUPT_CAMPUS_PAPER64, direction=V2V).batch_dropped == 0


def test_paper64_has_the_real_archives_sizes() -> None:
    """540 % 64 = 28 and 2422 % 64 = 54, so 512 and 2,368 rows stay."""
    selection = select(bupt(visible_queries=540, visible_gallery=2422), BUPT_CAMPUS_PAPER64, direction=V2V)
    assert (len(selection.query), len(selection.gallery)) == (512, 2368)


def test_unknown_identities_are_left_out_and_counted() -> None:
    people = table(
        row("a", "1", "D1", IR), row("b", None, "D1", IR), row("c", "1", "D2", VIS), row("d", None, None, VIS)
    )
    selection = select(people, GENERIC, direction=I2V)
    assert (selection.query.tolist(), selection.gallery.tolist()) == ([0], [2])
    assert (selection.unknown_queries, selection.unknown_gallery) == (1, 1)


def test_training_rows_are_used_where_there_is_nothing_else() -> None:
    held_out = table(row("a", "1", "D1", IR, "train"), row("b", "1", "D2", VIS, "train"))
    assert select(held_out, GENERIC, direction=I2V).query.tolist() == [0]
    assert select(held_out, HITSZ_VCM, direction=V2I).query.tolist() == [1]


REFUSED = {
    "one modality only": (
        table(row("a", "1", "D1", VIS), row("b", "1", "D2", VIS)),
        GENERIC,
        "no query tracklet.*'ir'.*vis->vis",
    ),
    "no query list": (table(row("a", "1", "D1", IR)), BUPT_CAMPUS_FULL, "subset 'query'.*generic"),
    "no gallery list": (table(row("a", "1", "D1", IR, "query")), GENERIC_LISTS, "subset 'gallery'"),
    "nobody is known": (
        table(row("a", None, "D1", IR), row("b", "1", "D1", VIS)),
        GENERIC,
        "no query tracklet has a known identity.*xreid search",
    ),
    "no cameras": (
        table(row("a", "1", None, IR, "query"), row("b", "1", "D1", VIS, "gallery")),
        HITSZ_VCM,
        "1 tracklets have no camera; got e.g. a.*generic",
    ),
    "fewer visible rows than a batch": (
        bupt(visible_gallery=12),
        BUPT_CAMPUS_PAPER64,
        "no gallery tracklet.*here all; use --protocol bupt-campus/full",
    ),
    "a visible query": (
        table(row("a", "1", "D1", VIS, "query"), row("b", "1", "D1", VIS, "gallery")),
        HITSZ_VCM,
        "a is a 'vis' tracklet in the query list",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_evaluated_is_refused_with_a_way_out(case: str) -> None:
    people, protocol, message = REFUSED[case]
    with pytest.raises(ProtocolError, match=message):
        select(people, protocol, direction=I2V)


AS_STORED = {"sampling": "chunk-first", "frames": 6}


@pytest.mark.parametrize("protocol", list(PROTOCOLS.values()), ids=lambda p: p.name)
def test_what_the_evaluator_refuses_is_refused_before_embedding(protocol: Protocol) -> None:
    """Two tracklets with and without name, camera and list: the same answer in the same words."""
    rows = [
        (identity, camera, modality, subset)
        for identity in ("1", None)
        for camera in ("D1", "D2", None)
        for modality in (IR, VIS)
        for subset in ("query", "gallery")
    ]
    outcomes = set()
    for first, second in itertools.product(rows, rows):
        chosen = [row("a", *first), row("b", *second), row("c", "3", "D9", first[2].other, "query")]
        embeddings = embedding_set(chosen)
        embeddings = replace(embeddings, origin=replace(embeddings.origin, preprocessing=AS_STORED))
        for direction in (I2V, V2V, ALL):
            try:
                evaluate(embeddings, protocol, direction=direction, bootstrap=Bootstrap(resamples=0))
                late = ""
            except ProtocolError as error:
                late = str(error)
            try:
                require_answers(embeddings.table, protocol, directions=(direction,), made=AS_STORED)
                early = ""
            except ProtocolError as error:
                early = str(error)
            assert early == late
            outcomes.add(late.partition(":")[0])
    assert len(outcomes) > 1 or protocol.frames


def test_every_protocol_has_its_own_hash_and_it_is_frozen() -> None:
    """A changed hash means that scores are no longer comparable: raise the version, then freeze it anew."""
    assert {p.name: p.hash for p in PROTOCOLS.values()} == FROZEN
    assert all(a.hash != b.hash for a, b in itertools.combinations(PROTOCOLS.values(), 2))


FROZEN = {
    "hitsz-vcm": "0633e362",
    "hitsz-vcm/frames6": "3f47f60d",
    "hitsz-vcm/frames10": "3df2181b",
    "hitsz-vcm/dense10": "8e34df7c",
    "bupt-campus/full": "4cb3dbed",
    "bupt-campus/full-frames10": "12396e1a",
    "bupt-campus/full-frames6": "649545df",
    "bupt-campus/paper64": "ea6e6d1a",
    "bupt-campus/paper64-frames10": "b624c5a8",
    "bupt-campus/paper64-frames6": "498ce2ba",
    "generic": "47a89f90",
    "generic/lists": "a379b04d",
}


def test_auto_chooses_by_source() -> None:
    assert protocol_named("auto", table=table(*hitsz(), source="hitsz-vcm")) is HITSZ_VCM
    assert protocol_named("auto", table=bupt()) is BUPT_CAMPUS_FULL
    training_only = table(row("a", "1", "W4", IR, "train"), source="bupt-campus")
    assert protocol_named("auto", table=training_only) is GENERIC
    assert protocol_named("auto", table=hitsz()) is GENERIC
    assert protocol_named("generic/lists", table=hitsz()) is GENERIC_LISTS


def test_a_protocol_with_frames_names_the_one_without() -> None:
    for protocol in PROTOCOLS.values():
        base = PROTOCOLS[protocol.base]
        assert base.frames is None
        assert (base.roles, base.visible_batch) == (protocol.roles, protocol.visible_batch)
        assert (protocol.frames is None) == (base is protocol)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigError, match="bupt-campus/paper64"):
        protocol_named("vcm", table=hitsz())


def test_published_sizes_are_compared_only_where_known() -> None:
    assert HITSZ_VCM.has_published_sizes(I2V, valid_queries=4584, gallery=5099) is True
    assert HITSZ_VCM.has_published_sizes(I2V, valid_queries=10, gallery=5099) is False
    assert GENERIC.has_published_sizes(I2V, valid_queries=10, gallery=10) is None
    assert HITSZ_VCM.has_published_sizes(V2V, valid_queries=10, gallery=10) is None
