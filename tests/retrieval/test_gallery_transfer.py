"""Export, import, another model, and the check."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import TrackletTable
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_again import embed_again, work_folder
from xreid.retrieval.gallery_check import check_gallery
from xreid.retrieval.gallery_folder import NEXT
from xreid.retrieval.gallery_transfer import export_gallery, import_gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(make_set(12, seed=0, prefix="a"), name="day", labels=["yard"])
    gallery.append(make_set(8, seed=1, prefix="b"), name="night")
    gallery.label([gallery.find("b3").id], add=["red"])
    gallery.erase(names=["a5"], asked_by="officer")
    return gallery


def test_an_export_carries_everything(gallery: Gallery, tmp_path: Path) -> None:
    assert export_gallery(gallery, tmp_path / "out") == 19
    copy = Gallery.create(tmp_path / "copy")
    assert [stored.name for stored in import_gallery(copy, tmp_path / "out")] == ["day", "night"]
    assert list(copy.walk()) == list(gallery.walk())
    ids = [entry.id for entry in gallery.walk()]
    assert np.array_equal(copy.vectors(ids), gallery.vectors(ids))
    assert copy.receipts() == gallery.receipts()
    assert copy.append(make_set(12, seed=0, prefix="a"), name="again") is None, "a5 does not come back"
    notes: list[str] = []
    assert import_gallery(copy, tmp_path / "out", note=notes.append) == []
    assert len(notes) == 2
    assert len(copy.receipts()) == 1
    with pytest.raises(ConfigError, match="exists"):
        export_gallery(gallery, tmp_path / "out")


def test_a_damaged_export_is_refused_as_a_whole(gallery: Gallery, tmp_path: Path) -> None:
    export_gallery(gallery, tmp_path / "out")
    copy = Gallery.create(tmp_path / "copy")
    victim = next((tmp_path / "out" / "sets").rglob("*.parquet"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b"x")
    with pytest.raises(DataError, match="is damaged"):
        import_gallery(copy, tmp_path / "out")
    victim.unlink()
    with pytest.raises(DataError, match="lacks"):
        import_gallery(copy, tmp_path / "out")
    assert len(copy) == 0
    index = tmp_path / "out" / "export.json"
    plain = json.loads(index.read_text())
    plain["files"] = {"../../etc/passwd": "0"}
    index.write_text(json.dumps(plain))
    with pytest.raises(DataError, match="lacks"):
        import_gallery(copy, tmp_path / "out")
    with pytest.raises(DataError, match="cannot read export"):
        import_gallery(copy, tmp_path)


def test_an_export_of_another_model_is_refused(gallery: Gallery, tmp_path: Path) -> None:
    export_gallery(gallery, tmp_path / "out")
    other = Gallery.create(tmp_path / "other")
    other.append(other_model(make_set(3, seed=5)), name="other")
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        import_gallery(other, tmp_path / "out")


def turned(table: TrackletTable, out: Path) -> EmbeddingSet:
    """Another model: vectors of another width, from the names alone."""
    origin = replace(make_set(2).origin, checkpoint="e" * 64, layout=(("cls", 8),))
    seeds = [sum(map(ord, row.name)) for row in table]
    vectors = np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = EmbeddingSet(vectors=vectors, table=table, origin=origin)
    made.save(out)
    return made


def test_another_model_takes_over_at_once(gallery: Gallery, tmp_path: Path) -> None:
    before, reader = list(gallery.walk()), Gallery.open(gallery.address)
    asked: list[int] = []

    def make(table: TrackletTable, out: Path) -> EmbeddingSet:
        assert reader.origin == make_set(2).origin, "the old model serves meanwhile"
        assert len(reader.nearest(make_set(1).vectors, k=50)[0]) == len(reader)
        asked.append(len(table))
        if len(asked) == 1:
            reader.append(make_set(5, seed=7, prefix="late"), name="late")
        if len(asked) == 3:
            reader.erase(names=["b1"])
        return turned(table, out)

    assert embed_again(gallery, make, work=tmp_path / "work") == 19 + 5 - 1
    assert asked == [11, 8, 5, 7], "what was appended and what was erased meanwhile"
    assert reader.origin is not None
    assert reader.origin.checkpoint == "e" * 64
    left = {entry.id: entry for entry in reader.walk()}
    assert {entry.id for entry in before} - set(left) == {e.id for e in before if e.tracklet.name == "b1"}
    assert left[reader.find("b3").id].labels == ("red",)
    assert left[reader.find("a1").id].labels == ("yard",)
    (found,) = reader.nearest(reader.vectors([reader.find("a1").id]), k=1)
    assert found[0].entry.tracklet.name == "a1"
    assert not (tmp_path / "work").exists()
    table = TrackletTable(root=Path("/nowhere"), rows=make_set(5, seed=7, prefix="late").table.rows)
    again = turned(table, tmp_path / "late")
    assert reader.append(again, name="late again") is None, "the same, embedded by hand"
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        reader.append(make_set(3, seed=11), name="old model")


def test_another_model_goes_on_where_it_was_killed(gallery: Gallery, tmp_path: Path) -> None:
    asked: list[int] = []

    def dying(table: TrackletTable, out: Path) -> EmbeddingSet:
        asked.append(len(table))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return turned(table, out)

    with pytest.raises(KeyboardInterrupt):
        embed_again(gallery, dying, work=tmp_path / "work")
    assert gallery.origin == make_set(2).origin
    assert embed_again(gallery, dying, work=tmp_path / "work") == 19
    assert asked == [11, 8, 8], "the first set is not embedded twice"
    with pytest.raises(ConfigError, match="is empty"):
        embed_again(Gallery.create(tmp_path / "empty"), turned, work=tmp_path / "work")


def test_another_model_is_made_ready_beside_a_folder_or_here_for_a_server(tmp_path: Path) -> None:
    origin = make_set(2).origin
    assert work_folder(str(tmp_path), None, origin).parent == tmp_path / NEXT
    assert work_folder("http://127.0.0.1:1/g", None, origin).parent == Path("gallery.next")
    assert work_folder(str(tmp_path), tmp_path / "there", origin).parent == tmp_path / "there"
    names = {work_folder("g", None, made).name for made in (origin, origin, other_model(make_set(2)).origin)}
    assert len(names) == 2, "one folder for each model"


def test_the_check_tells_how_far_it_is(gallery: Gallery) -> None:
    told: list[tuple[int, int]] = []
    assert list(check_gallery(gallery, tell=lambda done, total: told.append((done, total)))) == []
    assert told[-2:] == [(11, 19), (19, 19)]


def test_what_was_made_ready_of_erased_people_goes_too(gallery: Gallery) -> None:
    folder = Path(gallery.address)
    stored = gallery.find("b1").stored
    ready = folder / "next" / "model" / f"{stored.key}-{stored.revision}"
    turned(gallery.content(stored)[0].table, ready)
    gallery.erase(names=["b1"])
    assert not ready.exists()


def test_the_check_finds_damage_and_who_came_back(gallery: Gallery, tmp_path: Path) -> None:
    assert list(check_gallery(gallery)) == []
    cut = make_set(12, seed=0, prefix="a").take([4, 5, 6])
    gallery.adopt(replace(gallery.sets[0], key="0" * 16, name="another cut", rows=3), cut, labels={})
    (fault,) = check_gallery(gallery)
    assert "another cut" in fault
    assert "1 tracklets" in fault
    gallery.remove("another cut")
    stored = gallery.sets[1]
    vectors = Path(gallery.address) / stored.folder / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-4] + b"\0\0\0\0")
    (fault,) = check_gallery(gallery)
    assert "damaged" in fault


def test_erased_people_are_in_no_byte_of_the_folder(gallery: Gallery) -> None:
    victim = gallery.find("b3")
    assert gallery.count(Filter(labels=("red",))) == 1
    vector = gallery.vectors([victim.id])[0].tobytes()
    folder = Path(gallery.address)

    def holding(needle: bytes) -> list[str]:
        return [p.name for p in folder.rglob("*") if p.is_file() and needle in p.read_bytes()]

    assert holding(vector)
    assert holding(victim.id.encode()), "its label"
    gallery.erase(names=["b3"])
    for needle in (vector, vector[:16], b"b3/1.jpg", b"b3/2.jpg", victim.id.encode(), b'"b3"'):
        assert holding(needle) == []
