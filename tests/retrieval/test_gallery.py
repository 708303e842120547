"""The gallery: append, refuse, remove, erase; nothing lost or half-written whatever is killed."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.retrieval.killing import every, killer
from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, ProtocolError, XReidError
from xreid.retrieval.gallery import Gallery


def _gallery(folder: Path, *counts: int) -> Gallery:
    gallery = Gallery.create(folder)
    for i, count in enumerate(counts):
        gallery.append(make_set(count, seed=i, prefix=f"{'abc'[i]}"), name=f"set{i}")
    return gallery


def _names(gallery: Gallery) -> list[str]:
    return [entry.tracklet.name for entry in gallery.walk()]


def test_what_was_appended_is_there(tmp_path: Path) -> None:
    _gallery(tmp_path / "g", 7, 5)
    gallery = Gallery.open(tmp_path / "g")
    assert len(gallery) == gallery.count() == 12
    assert [stored.name for stored in gallery.sets] == ["set0", "set1"]
    both = [*make_set(7, seed=0, prefix="a").table, *make_set(5, seed=1, prefix="b").table]
    assert sorted(_names(gallery)) == sorted(row.name for row in both)
    vectors = np.concatenate([make_set(7, seed=0).vectors, make_set(5, seed=1).vectors])
    ids = [gallery.find(row.name).id for row in both]
    assert len(set(ids)) == 12
    assert np.array_equal(gallery.vectors(ids[::-1]), vectors[::-1])
    assert [entry.tracklet for entry in gallery.entries(ids)] == both
    assert gallery.find(ids[8]).tracklet.name == "b1", "an id is a name, too"


def test_ids_survive_reopening_and_what_others_do(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7, 5)
    entry = gallery.find("b3")
    other = Gallery.open(tmp_path / "g")
    other.erase(names=["a1", "b0"])
    other.append(make_set(3, seed=7, prefix="c"), name="late")
    assert gallery.find("b3").id == entry.id, "seen at the next call"
    assert len(gallery) == 13
    assert np.array_equal(gallery.vectors([entry.id])[0], make_set(5, seed=1).vectors[3])
    assert Gallery.open(tmp_path / "g").entries([entry.id])[0].tracklet == entry.tracklet


def test_appending_twice_changes_nothing(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7)
    moved = replace(
        make_set(7, prefix="a"), table=replace(make_set(7, prefix="a").table, root=Path("/moved"))
    )
    for again in (make_set(7, prefix="a"), moved):
        assert gallery.append(again, name="again") is None
        assert len(gallery) == 7


def test_another_model_is_refused(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7)
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        gallery.append(other_model(make_set(5, seed=9)), name="other")
    assert len(Gallery.open(tmp_path / "g")) == 7
    gallery.remove("set0")
    assert gallery.append(other_model(make_set(5, seed=9)), name="other") is not None, (
        "an empty gallery takes any model"
    )


def test_removing_a_set(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7, 5)
    with pytest.raises(ProtocolError, match=r"no set is called 'nope'.*set0"):
        gallery.remove("nope")
    assert gallery.remove(gallery.sets[1].key[:6]).name == "set1"
    assert [stored.name for stored in Gallery.open(tmp_path / "g").sets] == ["set0"]
    assert len(list((tmp_path / "g" / "sets").iterdir())) == 1, "its files are gone"
    gallery.append(make_set(5, seed=3), name="set0")
    with pytest.raises(ProtocolError, match="several sets are called 'set0'"):
        gallery.remove("set0")


def test_a_person_can_be_erased(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7, 5)
    vector = make_set(7, seed=0).vectors[3].tobytes()
    assert any(vector in path.read_bytes() for path in (tmp_path / "g").rglob("*.npy"))
    with pytest.raises(ProtocolError, match=r"not in .*: nobody.*Nothing was erased"):
        gallery.erase(names=["a3", "nobody"])
    receipt = gallery.erase(names=["a3", "b1"], asked_by="officer", reason="objection")
    assert receipt.tracklets == 2
    assert receipt.finished is not None
    assert [stored.erased for stored in gallery.sets] == [1, 1]
    files = [path for path in (tmp_path / "g").rglob("*") if path.is_file()]
    assert not any(vector in path.read_bytes() for path in files)
    assert not any(b"a3" in row["name"].encode() for row in _parquet_rows(tmp_path / "g"))
    names = set(_names(Gallery.open(tmp_path / "g")))
    assert names == {*(f"a{i}" for i in range(7)), *(f"b{i}" for i in range(5))} - {"a3", "b1"}
    again = gallery.append(make_set(7, seed=0, prefix="a"), name="again")
    assert again is None, "appending the same set again does not bring anybody back"
    assert gallery.erase(identities=["0002"]).tracklets == len({"a2", "a7", "b2"} & names)
    assert all(entry.tracklet.identity != "0002" for entry in gallery.walk())
    gallery.erase(names=_names(gallery))
    assert len(gallery) == len(gallery.sets) == 0
    assert len(gallery.receipts()) == 3


def _parquet_rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in folder.rglob("*.parquet") for row in pq.read_table(path).to_pylist()]


def test_names_in_several_sets_need_the_set(tmp_path: Path) -> None:
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(make_set(4, seed=0), name="day")
    gallery.append(make_set(4, seed=1), name="night")
    with pytest.raises(ProtocolError, match=r"'t1' is in the sets day .*, night .*SET:t1"):
        gallery.find("t1")
    assert gallery.find("night:t1").stored.name == "night"
    key = gallery.sets[0].key
    assert [gallery.find(f"{text}:t1").stored.name for text in (key, key[:4])] == ["day", "day"]
    with pytest.raises(ProtocolError, match="no tracklet"):
        gallery.find(f"{key[:3]}:t1")
    with pytest.raises(ProtocolError, match="no tracklet 'dusk:t1'"):
        gallery.find("dusk:t1")


def test_folders_that_are_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no gallery"):
        Gallery.open(tmp_path)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is no gallery"):
        Gallery.create(tmp_path)
    stored = _gallery(tmp_path / "g", 3).sets[0]
    manifest = tmp_path / "g" / "gallery.json"
    manifest.write_text(manifest.read_text().replace('"format": 3', '"format": 7'))
    with pytest.raises(DataError, match=r"another format.*gallery format 3.*got 7"):
        Gallery.open(tmp_path / "g")
    manifest.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        Gallery.open(tmp_path / "g")
    manifest.unlink()
    gallery = _gallery(tmp_path / "h", 3)
    np.save(tmp_path / "h" / stored.folder / "vectors.npy", np.zeros((2, 16), np.float32))
    with pytest.raises(DataError, match=r"does not fit.*float32 \[3, D\].*got float32 \[2, 16\]"):
        Gallery.open(tmp_path / "h").find("a1")
    Gallery.open(tmp_path / "h").remove("set0")
    assert len(gallery) == 0, "a damaged set can be removed"


_VERBS = {
    "append": 'gallery.append(make_set(5, seed=1, prefix="b"), name="set1")',
    "erase": 'gallery.erase(names=["a3"])',
}


@pytest.mark.parametrize("verb", _VERBS)
def test_kill_9_at_any_step_leaves_all_or_nothing(verb: str, tmp_path: Path) -> None:
    before = {f"a{i}" for i in range(7)}
    after = before | {f"b{i}" for i in range(5)} if verb == "append" else before - {"a3"}
    outcomes = set()
    with killer(_VERBS[verb]) as killed_at:
        for stop in every(1):
            folder = tmp_path / f"g{stop}"
            _gallery(folder, 7)
            killed = killed_at(stop, folder)
            gallery = Gallery.open(folder)
            names = set(_names(gallery))
            assert names in (before, after), f"killed at step {stop}"
            for stored in gallery.sets:
                EmbeddingSet.load(folder / stored.folder)  # whole, and its hash right
            outcomes.add(names == after)
            gallery.append(make_set(4, seed=8, prefix="z"), name="later")
            assert len(list((folder / "sets").iterdir())) == len(gallery.sets), "the next change clears up"
            if not killed:
                break
    assert outcomes == {False, True}


def test_appending_from_several_processes_loses_nothing(tmp_path: Path) -> None:
    Gallery.create(tmp_path / "g")
    code = (
        "import sys; from pathlib import Path; from tests.retrieval.sets import make_set\n"
        "from xreid.retrieval.gallery import Gallery\n"
        "for i in range(3):\n"
        "    seed = 10 * int(sys.argv[2]) + i\n"
        "    Gallery.open(Path(sys.argv[1])).append(make_set(4, seed=seed), name=str(seed))\n"
    )
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "g"), str(n)], cwd=Path(__file__).parents[2]
        )
        for n in range(2)
    ]
    assert [job.wait() for job in jobs] == [0, 0]
    assert sorted(int(s.name) for s in Gallery.open(tmp_path / "g").sets) == [0, 1, 2, 10, 11, 12]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 3)
    (tmp_path / "g").chmod(0o500)
    with pytest.raises(XReidError, match="cannot write"):
        gallery.append(make_set(4, seed=5), name="more")


def test_the_manifest_is_plain(tmp_path: Path) -> None:
    _gallery(tmp_path / "g", 3)
    manifest = json.loads((tmp_path / "g" / "gallery.json").read_text())
    assert manifest["format"] == 3
    assert {"key", "name", "revision", "rows", "erased", "appended"} < set(manifest["sets"][0])


def test_galleries_of_the_first_format_are_read(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 5)
    path = tmp_path / "g" / "gallery.json"
    plain = json.loads(path.read_text())
    old = [{k: v for k, v in s.items() if k not in ("labels", "contents")} for s in plain["sets"]]
    path.write_text(json.dumps({"format": 1, "sets": old}))
    table = tmp_path / "g" / gallery.sets[0].folder / "tracklets.parquet"
    columns = pq.read_table(table)
    new = ["place", "source", "quality", "modality_confidence"]
    pq.write_table(columns.drop_columns(new), table)
    assert _names(Gallery.open(tmp_path / "g")) == _names(_gallery(tmp_path / "h", 5))
    gallery.append(make_set(3, seed=4, prefix="c"), name="more")
    assert json.loads(path.read_text())["format"] == 3
    assert len(Gallery.open(tmp_path / "g")) == 8


@pytest.mark.parametrize(
    "text", ['{"format": 1}', '{"format": 1, "sets": [{"a": 1}]}', '{"format": 1, "sets": 3}']
)
def test_a_damaged_manifest_is_one_message(text: str, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "g")
    (tmp_path / "g" / "gallery.json").write_text(text)
    with pytest.raises(DataError, match=r"gallery\.json is damaged"):
        Gallery.open(tmp_path / "g")


def test_two_that_make_one_gallery_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xreid.retrieval import gallery_folder as module

    real = module._found

    def overtaken(folder: Path) -> None:
        """Another process makes the gallery and appends to it after this one has found none."""
        monkeypatch.undo()
        Gallery.create(folder).append(make_set(4, seed=0), name="day")
        real(folder)

    monkeypatch.setattr(module, "_found", overtaken)
    assert len(Gallery.create(tmp_path / "g")) == 4


def test_everybody_of_a_name_is_erased_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xreid.retrieval.gallery_answers.PAGE", 3)
    gallery = Gallery.create(tmp_path / "many")
    for seed in range(8):
        gallery.append(make_set(2, seed=seed), name=f"set{seed}")
    receipt = gallery.erase(names=["t0"])
    assert receipt.tracklets == 8
    assert {entry.tracklet.name for entry in gallery.walk()} == {"t1"}
