"""What every gallery does, wherever its rows are kept: a folder, Milvus Lite, a Milvus server.

The server is taken from XREID_MILVUS (http://HOST:PORT), as is its token from XREID_MILVUS_TOKEN.
"""

import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Entry, Gallery

NASTY = ('ga"te', "ga'te", "a\\", '" or 1==1 or camera == "', "ga]te", "Tür %_ 門", "x) or (true")


@pytest.fixture(params=["folder", "lite", "server"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "g")
        return
    pymilvus = pytest.importorskip("pymilvus", reason="the extra gallery is not installed")
    if request.param == "lite":
        pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
        yield str(tmp_path / "g.db")
        return
    server = os.environ.get("XREID_MILVUS")
    if server is None:
        pytest.skip("no Milvus server: set XREID_MILVUS=http://HOST:PORT")
    name = f"test_{secrets.token_hex(6)}"
    yield f"{server}/{name}"
    client = pymilvus.MilvusClient(uri=server, token=os.environ.get("XREID_MILVUS_TOKEN", ""))
    for collection in client.list_collections():
        if collection.startswith(name):
            client.drop_collection(collection)


def described(count: int, *, seed: int, prefix: str) -> EmbeddingSet:
    """A set whose tracklets say everything that filters look at, nasty texts among it."""
    rng = np.random.default_rng(seed)
    embeddings = make_set(count, seed=seed, prefix=prefix)

    def some(i: int, row: Tracklet) -> Tracklet:
        return replace(
            row,
            camera=None if i % 6 == 5 else NASTY[i % len(NASTY)],
            place=None if i % 5 == 0 else NASTY[(i + 1) % len(NASTY)],
            source=None if i % 4 == 0 else f"film {i % 3}",
            quality=None if i % 6 == 0 else round(float(rng.random()), 3),
            **({"start_s": DATE + row.start_s, "end_s": DATE + row.start_s + 5} if dated(i, row) else {}),
        )

    def dated(i: int, row: Tracklet) -> bool:
        return i % 7 in (1, 3) and row.start_s is not None

    rows = tuple(some(i, row) for i, row in enumerate(embeddings.table))
    return replace(embeddings, table=replace(embeddings.table, rows=rows))


DATE = 1_790_000_000.0  # Unix seconds; other times count from the beginning of a recording

RULES = (
    Filter(),
    Filter(modality=Modality.INFRARED),
    *(Filter(cameras=(text,)) for text in NASTY[:4]),
    Filter(places=NASTY[3:6], modality=Modality.VISIBLE),
    Filter(except_cameras=NASTY[:3]),
    Filter(from_s=105),
    Filter(to_s=100),
    Filter(from_s=53, to_s=90),
    Filter(from_s=DATE + 105),
    Filter(to_s=DATE + 100),
    Filter(from_s=DATE + 53, to_s=DATE + 190),
    Filter(known=True),
    Filter(min_quality=0.5),
    Filter(sources=("film 1", "film 2")),
    Filter(identities=("0002", '0003" or true or identity == "')),
    Filter(names=("a3", "b5", 'x" or true')),
    Filter(labels=("new",)),
    Filter(labels=("new", 'the "red" coat')),
    Filter(sets=("second",)),
    Filter(known=True, min_quality=0.2, cameras=NASTY, labels=("new",)),
)


def same_clock(time_s: float, bound_s: float) -> bool:
    return (time_s < DATE / 2) == (bound_s < DATE / 2)


def passes(entry: Entry, rules: Filter) -> bool:
    """The filter, said row by row."""
    row = entry.tracklet
    end = row.end_s if row.end_s is not None else row.start_s
    checks = [
        rules.modality is None or row.modality is rules.modality,
        not rules.cameras or row.camera in rules.cameras,
        not rules.places or row.place in rules.places,
        row.camera not in rules.except_cameras,
        rules.from_s is None or (end is not None and end >= rules.from_s and same_clock(end, rules.from_s)),
        rules.to_s is None
        or (row.start_s is not None and row.start_s <= rules.to_s and same_clock(row.start_s, rules.to_s)),
        not rules.known or row.identity is not None,
        rules.min_quality is None or (row.quality is not None and row.quality >= rules.min_quality),
        not rules.sources or row.source in rules.sources,
        not rules.identities or row.identity in rules.identities,
        not rules.names or row.name in rules.names,
        set(rules.labels) <= set(entry.labels),
        not rules.sets or entry.stored.name in rules.sets,
    ]
    return all(checks)


def _filled(address: str) -> tuple[Gallery, list[Entry]]:
    gallery = Gallery.create(address)
    gallery.append(described(60, seed=0, prefix="a"), name="first")
    gallery.append(described(40, seed=1, prefix="b"), name="second", labels=["new"])
    red = [gallery.find(name).id for name in ("a3", "b5", "b6")]
    gallery.label(red, add=['the "red" coat'])
    gallery.label([red[2]], remove=["new"])
    assert gallery.labels() == Counter(label for entry in gallery.walk() for label in entry.labels)
    return gallery, list(gallery.walk())


def test_filters_nearest_and_pages_against_loops(address: str) -> None:
    gallery, everything = _filled(address)
    assert len(gallery) == len(everything) == 100
    vectors = {entry.id: gallery.vectors([entry.id])[0] for entry in everything[::10]}
    vectors |= dict(zip([e.id for e in everything], gallery.vectors([e.id for e in everything]), strict=True))
    queries = make_set(2, seed=9).vectors
    for rules in RULES:
        expected = [entry for entry in everything if passes(entry, rules)]
        assert gallery.count(rules) == len(expected), rules
        gone = [entry.id for entry in expected[:2]]
        assert gallery.count(rules, exclude=[*gone, "no id"]) == len(expected) - len(gone)
        assert list(gallery.walk(rules)) == expected, rules
        kept = [entry for entry in expected if entry.id not in gone]
        found = gallery.nearest(queries, k=7, rules=rules, exclude=[gone, ()])
        for query, hits, may in zip(queries, found, (kept, expected), strict=True):
            order = sorted(may, key=lambda entry: (-float(vectors[entry.id] @ query), entry.id))[:7]
            assert [hit.entry for hit in hits] == order, rules
            scores = [float(vectors[entry.id] @ query) for entry in order]
            assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-5)


def test_pages_are_in_order_of_time_and_go_on_where_they_ended(address: str) -> None:
    gallery, everything = _filled(address)
    infinity = float("inf")
    starts = [infinity if e.tracklet.start_s is None else e.tracklet.start_s for e in everything]
    assert list(zip(starts, [e.id for e in everything], strict=True)) == sorted(
        zip(starts, [e.id for e in everything], strict=True)
    )
    read: list[Entry] = []
    while page := gallery.page(after=read[-1].id if read else None, limit=9):
        read += page
    assert read == everything
    for skip in (0, 1, 30, 95, 100, 200):
        assert gallery.page(limit=7, skip=skip) == everything[skip : skip + 7]
    assert gallery.page(after=everything[20].id, limit=4, skip=3) == everything[24:28]
    with pytest.raises(ProtocolError, match="no tracklet with the id 'nonsense'"):
        gallery.page(after="nonsense")
    with pytest.raises(ConfigError, match="limit"):
        gallery.page(limit=0)


def test_equal_scores_come_in_order_of_ids(address: str) -> None:
    one = make_set(30, seed=3, prefix="c")
    same = replace(one, vectors=np.repeat(one.vectors[:1], 30, axis=0))
    gallery = Gallery.create(address)
    gallery.append(same, name="same")
    ids = sorted(entry.id for entry in gallery.walk())
    (found,) = gallery.nearest(one.vectors[:1], k=5)
    assert [hit.entry.id for hit in found] == ids[:5]
    assert found[0].score == pytest.approx(1.0, abs=1e-5)


def test_every_change_is_seen_and_kept(address: str) -> None:
    gallery, _ = _filled(address)
    other = Gallery.open(address)
    assert len(other) == 100
    assert gallery.append(described(60, seed=0, prefix="a"), name="again") is None
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        gallery.append(other_model(make_set(4, seed=8)), name="foreign")
    entry = gallery.find("a3")
    receipt = gallery.erase(names=["a3"], identities=["0004"], asked_by="officer", reason="objection")
    assert receipt.is_of("a3")
    assert not receipt.is_of("b5")
    assert receipt.finished
    assert "'a3'" not in str(receipt)
    assert gallery.receipts()[-1] == receipt
    for one in (gallery, other, Gallery.open(address)):
        assert len(one) == one.count() == 100 - receipt.tracklets == len(list(one.walk()))
        assert one.count(Filter(identities=("0004",))) == 0
        with pytest.raises(ProtocolError, match="no tracklet with the id"):
            one.entries([entry.id])
        with pytest.raises(ProtocolError, match="no tracklet 'a3'"):
            one.find("a3")
    gallery.remove("first")
    assert [stored.name for stored in other.sets] == ["second"]
    assert other.count() == len(other)
    assert {e.stored.name for e in other.walk()} == {"second"}
    assert other.find("b5").labels == ("new", 'the "red" coat')
    assert other.origin == make_set(2).origin


def test_old_tracklets_expire(address: str) -> None:
    day = 86400.0
    at = 1_800_000_000.0
    old, new = make_set(8, seed=0, prefix="a"), make_set(8, seed=1, prefix="b")

    def at_day(embeddings: EmbeddingSet, days: float) -> EmbeddingSet:
        start = at - days * day
        rows = tuple(replace(row, start_s=start, end_s=start + 60) for row in embeddings.table)
        return replace(embeddings, table=replace(embeddings.table, rows=rows))

    gallery = Gallery.create(address)
    gallery.append(at_day(old, 31), name="old")
    gallery.append(at_day(new, 29), name="new")
    gallery.append(make_set(3, seed=2, prefix="undated"), name="undated")
    plan = gallery.expire(older_than_s=30 * day, at_s=at, dry_run=True)
    assert (plan.tracklets, plan.dry_run, len(gallery)) == (11, True, 19), "appended long before that time"
    assert gallery.receipts() == []
    receipt = gallery.expire(older_than_s=30 * day, at_s=at, asked_by="policy")
    assert receipt.tracklets == 11
    assert [stored.name for stored in gallery.sets] == ["new"]
    assert gallery.expire(older_than_s=30 * day, at_s=at).tracklets == 0
    assert len(gallery.receipts()) == 1
    with pytest.raises(ConfigError, match="no age"):
        gallery.expire(older_than_s=0)


def test_searches_go_on_while_others_append(address: str) -> None:
    gallery = Gallery.create(address)
    gallery.append(make_set(20, seed=0, prefix="a"), name="first")
    errors: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                (found,) = gallery.nearest(make_set(1, seed=5).vectors, k=200)
                assert len(found) in (20, 30, 40, 50), "whole sets only"
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(1, 4):
        gallery.append(make_set(10, seed=i, prefix="bcd"[i - 1]), name=f"set {i}")
    done.set()
    thread.join()
    assert not errors
    assert len(gallery.nearest(make_set(1, seed=5).vectors, k=200)[0]) == 50


def test_an_empty_gallery_answers(address: str) -> None:
    gallery = Gallery.create(address)
    assert len(gallery) == gallery.count() == 0
    assert gallery.origin is None
    assert gallery.calibration is None
    assert gallery.cameras == ()
    assert list(gallery.walk()) == []
    assert gallery.nearest(make_set(2).vectors, k=3) == [[], []]
    with pytest.raises(ProtocolError, match="a gallery that is not empty"):
        gallery.find("a1")
    assert len(Gallery.open(address)) == 0


def test_what_cannot_be_asked(address: str) -> None:
    gallery = Gallery.create(address)
    gallery.append(make_set(6), name="one")
    with pytest.raises(ProtocolError, match=r"do not fit the gallery.*\[Q, 16\]"):
        gallery.nearest(np.ones((1, 4), dtype=np.float32), k=1)
    with pytest.raises(ConfigError, match="k 0"):
        gallery.nearest(make_set(1).vectors, k=0)
    with pytest.raises(ConfigError, match="2 filters"):
        gallery.nearest(make_set(1).vectors, k=1, rules=[Filter(), Filter()])
    with pytest.raises(ConfigError, match=r"Filter\.of_query"):
        gallery.count(Filter(other_cameras=True))
    with pytest.raises(ProtocolError, match=r"no camera nowhere.*A, B"):
        gallery.count(Filter(cameras=("nowhere",)))
    with pytest.raises(ProtocolError, match="no place nowhere"):
        gallery.count(Filter(places=("nowhere",)))
    with pytest.raises(ProtocolError, match="no set 'two'"):
        gallery.count(Filter(sets=("two",)))
    with pytest.raises(ConfigError, match="no label"):
        gallery.label([gallery.find("t1").id], add=["\n"])
    with pytest.raises(DataError, match=r"no gallery|is no gallery"):
        Gallery.open(address.replace("g.db", "h.db") + ("x" if not address.endswith(".db") else ""))
