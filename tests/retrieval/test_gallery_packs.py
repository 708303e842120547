"""Packs: many small sets in the files of one are the same sets, whatever is done and killed."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.killing import every, killer
from tests.retrieval.sets import make_set
from xreid.core.errors import DataError
from xreid.retrieval import gallery_folder, gallery_packs
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_check import check_gallery
from xreid.retrieval.gallery_receipts import UnfinishedError
from xreid.retrieval.gallery_rows import StoredSet
from xreid.retrieval.gallery_transfer import export_gallery, import_gallery

SETS = 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small folders are packed from the fourth on, into packs of 20 rows or more."""
    monkeypatch.setattr(gallery_packs, "MANY", 4)
    monkeypatch.setattr(gallery_packs, "FULL", 20)


def _filled(folder: Path, count: int = SETS) -> Gallery:
    """Sets of 3 to 5 rows, some with labels, a calibration or other frames."""
    gallery = Gallery.create(folder)
    for i in range(count):
        some = make_set(3 + i % 3, seed=i, prefix=f"s{i}-", root=Path(f"/frames{i % 2}"))
        some = replace(some, calibration={"is": i} if i in (2, 3) else None)
        gallery.append(some, name=f"set{i}", labels=["odd"] if i % 2 else [])
    gallery.label([gallery.find("s1-0").id], add=["red"])
    return gallery


def _packs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "sets").iterdir() if path.name.startswith("pack-"))


def _all(gallery: Gallery) -> list[object]:
    """Everything that a gallery says."""
    entries = list(gallery.walk())
    contents = [gallery.content(stored) for stored in gallery.sets]
    return [
        [stored.name for stored in gallery.sets],
        [(e.id, e.stored.name, e.tracklet, e.root, e.labels) for e in entries],
        gallery.vectors([e.id for e in entries]).tolist(),
        [(c.vectors.tolist(), c.table, c.origin, c.calibration, own) for c, own in contents],
        [gallery.count(Filter(sets=(f"set{i}",), labels=("odd",) if i % 2 else ())) for i in range(SETS)],
        [
            (hit.entry.id, round(hit.score, 5))
            for hit in gallery.nearest(make_set(1, seed=50).vectors, k=12)[0]
        ],
        gallery.seen(),
        gallery.infrared(),
    ]


def test_packed_sets_are_the_same_sets(tmp_path: Path, few: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery_packs, "MANY", 10**6)
        alone = _filled(tmp_path / "alone")
    packed = _filled(tmp_path / "packed")
    assert not _packs(tmp_path / "alone")
    assert len(_packs(tmp_path / "packed")) == 2, "the first is full, and left alone"
    assert len(list((tmp_path / "packed" / "sets").iterdir())) == 4
    first = _all(alone)
    for gallery in (packed, Gallery.open(tmp_path / "packed")):
        for said, expected in zip(_all(gallery), first, strict=True):
            assert said == expected
    assert list(check_gallery(packed)) == []
    assert packed.append(make_set(5, seed=2, prefix="s2-"), name="again") is None


def test_what_is_done_to_packed_sets(tmp_path: Path, few: None) -> None:
    gallery = _filled(tmp_path / "g")
    gone = [gallery.vectors([gallery.find(name).id])[0].tobytes() for name in ("s0-0", "s5-1")]
    names = {entry.tracklet.name for entry in gallery.walk()} - {"s0-0", "s5-1"}
    receipt = gallery.erase(names=["s0-0", "s5-1"])
    assert receipt.finished
    assert sum(receipt.sets.values()) == 2
    files = [path.read_bytes() for path in (tmp_path / "g").rglob("*") if path.is_file()]
    assert not any(vector in data for vector in gone for data in files)
    assert not any(b"s5-1" in data for data in files)
    assert [(s.rows, s.erased, s.revision) for s in gallery.sets if s.name in ("set0", "set1", "set5")] == [
        (2, 1, 1),
        (4, 0, 0),
        (4, 1, 1),
    ]
    assert gallery.append(make_set(3, seed=0, prefix="s0-"), name="back") is None
    gallery.remove("set3")
    gallery.erase(names=[f"s4-{i}" for i in range(4)])
    names -= {*(f"s3-{i}" for i in range(3)), *(f"s4-{i}" for i in range(4))}
    assert {entry.tracklet.name for entry in Gallery.open(tmp_path / "g").walk()} == names
    assert list(check_gallery(gallery)) == []
    export_gallery(gallery, tmp_path / "out")
    other = Gallery.create(tmp_path / "other")
    import_gallery(other, tmp_path / "out")
    assert [(e.id, e.labels) for e in other.walk()] == [(e.id, e.labels) for e in gallery.walk()]
    for stored in gallery.sets:
        gallery.remove(stored.key)
    assert list((tmp_path / "g" / "sets").iterdir()) == []


def test_an_erasure_is_not_finished_while_old_files_are_left(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = _filled(tmp_path / "g")
    with monkeypatch.context() as patch:
        patch.setattr(gallery_folder.shutil, "rmtree", lambda path, ignore_errors: None)  # may not delete
        with pytest.raises(UnfinishedError, match="pack-[0-9a-f]* is still there"):
            gallery.erase(names=["s0-0"])
        assert gallery.receipts()[0].finished is None
    gallery.append(make_set(3, seed=99, prefix="new-"), name="new")
    assert gallery.receipts()[0].finished, "the next change deletes them"


def test_who_reads_while_others_pack(tmp_path: Path, few: None) -> None:
    reader = _filled(tmp_path / "g", 3)
    before = [(e.id, e.tracklet) for e in reader.walk()]
    old = reader._store.snapshot()  # type: ignore[attr-defined]
    writer = Gallery.open(tmp_path / "g")
    for i in range(3, SETS):
        writer.append(make_set(4, seed=i, prefix=f"s{i}-"), name=f"set{i}")
    assert _packs(tmp_path / "g")
    assert np.isfinite(old.vectors(old.by_id)).all(), "an open snapshot goes on"
    assert set(before) < {(e.id, e.tracklet) for e in reader.walk()}


def test_damage_in_a_pack_is_found_and_hinders_no_other_set(
    tmp_path: Path, few: None, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = _filled(tmp_path / "g")
    path = next((tmp_path / "g" / "sets").glob(f"{_packs(tmp_path / 'g')[0]}/vectors.npy"))
    vector = gallery.vectors([gallery.find("s1-2").id])[0].tobytes()
    path = next(p for p in (tmp_path / "g").rglob("vectors.npy") if vector in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(vector, bytes(len(vector))))
    (fault,) = check_gallery(Gallery.open(tmp_path / "g"))
    assert "(set1)" in fault
    assert "damaged" in fault
    gallery.erase(names=["s0-1"])
    (fault,) = check_gallery(gallery)
    assert "(set1)" in fault, "moved to another pack, it is still found"
    gallery.erase(names=["s1-0"])  # nobody stays because of it
    (fault,) = check_gallery(gallery)
    assert "(set1)" in fault
    assert "damaged" in fault
    gallery.remove("set1")
    assert list(check_gallery(gallery)) == []
    pack = next(p for p in (tmp_path / "g" / "sets").iterdir() if p.name.startswith("pack-"))
    (pack / "pack.json").write_text("{}")
    inside = len([s for s in gallery.sets if not (tmp_path / "g" / s.folder).is_dir()])
    with pytest.raises(DataError, match=r"pack\.json is damaged(.|\n)*each of its sets .*GALLERY KEY"):
        Gallery.open(tmp_path / "g").find("s7-0")
    assert inside
    with caplog.at_level(logging.WARNING):
        for stored in gallery.sets:
            if not (tmp_path / "g" / stored.folder).is_dir():
                Gallery.open(tmp_path / "g").remove(stored.key)
    assert len(list(Gallery.open(tmp_path / "g").walk())) == len(Gallery.open(tmp_path / "g"))


def test_a_full_disk_while_packing_loses_no_appended_set(
    tmp_path: Path, few: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = _filled(tmp_path / "g", 3)

    def full(*args: object) -> None:
        raise DataError("cannot write: no space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(gallery_packs, "write_pack", full)
        assert gallery.append(make_set(4, seed=3, prefix="s3-"), name="set3") is not None
    assert "could not be packed" in caplog.text
    assert len(gallery.sets) == 4
    gallery.append(make_set(4, seed=4, prefix="s4-"), name="set4")
    assert _packs(tmp_path / "g")


_VERBS = {
    "append": 'gallery.append(make_set(4, seed=90, prefix="new-"), name="new")',
    "erase": 'gallery.erase(names=["s1-1", "s2-0"])',
    "remove": 'gallery.remove("set2")',
}


@pytest.mark.parametrize("verb", _VERBS)
def test_kill_9_at_any_step_of_packing(verb: str, tmp_path: Path, few: None) -> None:
    def names(gallery: Gallery) -> set[str]:
        return {entry.tracklet.name for entry in gallery.walk()}

    outcomes = set()
    with killer(f"packs.MANY, packs.FULL = 4, 20; {_VERBS[verb]}") as killed_at:
        for stop in every(1 if verb == "append" else 3):
            folder = tmp_path / f"g{stop}"
            gallery = _filled(folder, 3 if verb == "append" else 5)
            before = names(gallery)
            killed = killed_at(stop, folder)
            gallery = Gallery.open(folder)
            new = {f"new-{i}" for i in range(4)}
            gone = {"s1-1", "s2-0"} if verb == "erase" else {n for n in before if n.startswith("s2-")}
            after = before | new if verb == "append" else before - gone
            assert names(gallery) in (before, after), f"killed at step {stop}"
            assert [f for f in check_gallery(gallery) if "not finished" not in f] == []
            outcomes.add((names(gallery) == after, bool(_packs(folder))))
            gallery.append(make_set(4, seed=8, prefix="z"), name="later")
            inside = set(_packs(folder))
            alone = {Path(s.folder).name for s in gallery.sets if (folder / s.folder).is_dir()}
            assert {p.name for p in (folder / "sets").iterdir()} == inside | alone
            assert all(receipt.finished for receipt in gallery.receipts())
            assert list(check_gallery(gallery)) == []
            if not killed:
                break
    packed_before = set() if verb != "append" else {(False, False), (True, False)}
    assert outcomes == packed_before | {(True, True)} | ({(False, True)} if verb != "append" else set())


def test_what_is_packed() -> None:
    def stored(rows: int) -> tuple[StoredSet, ...]:
        at = "2026-01-01T00:00:00"
        return (StoredSet(key="0" * 16, name="n", revision=0, rows=rows, erased=0, appended=at),)

    small = [(f"s{i}", stored(20)) for i in range(63)]
    big = [(f"b{i}", stored(5000)) for i in range(100)]
    assert gallery_packs.small_folders([*big, *small]) == []
    assert gallery_packs.small_folders([*big, *small, ("s63", stored(1))])[-1] == "s63"
    many = [(f"s{i}", stored(1000)) for i in range(100)]
    assert len(gallery_packs.small_folders(many)) == 9, "one pack of 9,000 rows at a time"
    full, open_ = ("full", stored(5000) * 2), ("open", stored(4000) * 2)
    assert gallery_packs.small_folders([full, open_, *small])[:2] == ["open", "s0"]


def test_a_pack_that_was_damaged_and_lost_a_set_is_told_by_who_had_it_open(tmp_path: Path, few: None) -> None:
    _filled(tmp_path / "g")
    watching = Gallery.open(tmp_path / "g")
    assert len(list(watching.walk())) == len(watching)
    first = watching.sets[0]
    said = [tmp_path / "g" / "sets" / pack / "pack.json" for pack in _packs(tmp_path / "g")]
    next(path for path in said if first.key in path.read_text()).write_text("{")
    assert Gallery.open(tmp_path / "g").remove(first.key) not in watching.sets
    with pytest.raises(DataError, match="pack.json is damaged"):
        list(watching.walk())
