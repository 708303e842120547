"""The gallery: append, refuse, remove, erase; nothing lost or half-written whatever is killed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError, ProtocolError, XReidError
from xreid.retrieval.gallery import Gallery


def _gallery(folder: Path, *counts: int) -> Gallery:
    gallery = Gallery.create(folder)
    for i, count in enumerate(counts):
        gallery, _ = gallery.append(make_set(count, seed=i, prefix=f"{'abc'[i]}"), name=f"set{i}")
    return gallery


def test_what_was_appended_is_there(tmp_path: Path) -> None:
    _gallery(tmp_path / "g", 7, 5)
    gallery = Gallery.open(tmp_path / "g")
    assert len(gallery) == 12
    assert [stored.name for stored in gallery.sets] == ["set0", "set1"]
    assert [entry.tracklet.name for entry in gallery.entries[5:9]] == ["a5", "a6", "b0", "b1"]
    both = np.concatenate([make_set(7, seed=0).vectors, make_set(5, seed=1).vectors])
    assert np.array_equal(gallery.vectors([0, 6, 7, 11]), both[[0, 6, 7, 11]])
    assert isinstance(gallery.arrays[0], np.memmap)
    assert gallery.find("b3").row == 10


def test_appending_twice_changes_nothing(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7)
    moved = replace(
        make_set(7, prefix="a"), table=replace(make_set(7, prefix="a").table, root=Path("/moved"))
    )
    for again in (make_set(7, prefix="a"), moved):
        gallery, stored = gallery.append(again, name="again")
        assert stored is None
        assert len(gallery) == 7


def test_another_model_is_refused(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7)
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        gallery.append(other_model(make_set(5, seed=9)), name="other")
    assert len(Gallery.open(tmp_path / "g")) == 7
    gallery, _ = gallery.remove("set0")
    gallery, stored = gallery.append(other_model(make_set(5, seed=9)), name="other")
    assert stored is not None, "an empty gallery takes any model"


def test_removing_a_set(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7, 5)
    with pytest.raises(ProtocolError, match=r"no set is called 'nope'.*set0"):
        gallery.remove("nope")
    gallery, removed = gallery.remove(gallery.sets[1].key[:6])
    assert removed.name == "set1"
    assert [stored.name for stored in Gallery.open(tmp_path / "g").sets] == ["set0"]
    assert len(list((tmp_path / "g" / "sets").iterdir())) == 1, "its files are gone"
    gallery, _ = gallery.append(make_set(5, seed=3), name="set0")
    with pytest.raises(ProtocolError, match="several sets are called 'set0'"):
        gallery.remove("set0")


def test_a_person_can_be_erased(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", 7, 5)
    vector = make_set(7, seed=0).vectors[3].tobytes()
    assert any(vector in path.read_bytes() for path in (tmp_path / "g").rglob("*.npy"))
    with pytest.raises(ProtocolError, match=r"not in .*: nobody.*Nothing was erased"):
        gallery.erase(names=["a3", "nobody"])
    gallery, count = gallery.erase(names=["a3", "b1"])
    assert count == 2
    assert [stored.erased for stored in gallery.sets] == [1, 1]
    files = [path for path in (tmp_path / "g").rglob("*") if path.is_file()]
    assert not any(vector in path.read_bytes() for path in files)
    names = {entry.tracklet.name for entry in Gallery.open(tmp_path / "g").entries}
    assert names == {*(f"a{i}" for i in range(7)), *(f"b{i}" for i in range(5))} - {"a3", "b1"}
    gallery, stored = gallery.append(make_set(7, seed=0, prefix="a"), name="again")
    assert stored is None, "appending the same set again does not bring anybody back"
    gallery, count = gallery.erase(identities=["0002"])
    assert count == len({"a2", "a7", "b2"} & names)
    assert all(entry.tracklet.identity != "0002" for entry in gallery.entries)
    gallery, _ = gallery.erase(names=[entry.tracklet.name for entry in gallery.entries])
    assert len(gallery) == len(gallery.sets) == 0


def test_names_in_several_sets_need_the_set(tmp_path: Path) -> None:
    gallery, _ = Gallery.create(tmp_path / "g").append(make_set(4, seed=0), name="day")
    gallery, _ = gallery.append(make_set(4, seed=1), name="night")
    with pytest.raises(ProtocolError, match=r"'t1' is in the sets day .*, night .*SET:t1"):
        gallery.find("t1")
    assert gallery.find("night:t1").row == 5
    assert gallery.find(f"{gallery.sets[0].key}:t1").row == 1
    with pytest.raises(ProtocolError, match="no tracklet 'dusk:t1'"):
        gallery.find("dusk:t1")


def test_folders_that_are_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no gallery"):
        Gallery.open(tmp_path)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is no gallery"):
        Gallery.create(tmp_path)
    gallery = _gallery(tmp_path / "g", 3)
    manifest = tmp_path / "g" / "gallery.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(DataError, match=r"another format.*gallery format 1.*got 7"):
        Gallery.open(tmp_path / "g")
    manifest.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        Gallery.open(tmp_path / "g")
    np.save(tmp_path / "g" / gallery.sets[0].folder / "vectors.npy", np.zeros((2, 16), np.float32))
    with pytest.raises(DataError, match=r"does not fit.*float32 \[3, D\].*got float32 \[2, 16\]"):
        _ = gallery.arrays


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.retrieval.sets import make_set
import xreid.core.files as files
import xreid.retrieval.gallery as module
from xreid.retrieval.gallery import Gallery

stop, verb = int(sys.argv[2]), sys.argv[3]
steps = 0
def step(*args, **kwargs):
    global steps
    steps += 1
    if steps == stop:
        os.kill(os.getpid(), signal.SIGKILL)
def around(function):
    def wrapped(*args, **kwargs):
        step()
        result = function(*args, **kwargs)
        step()
        return result
    return wrapped
for place, name in ((os, "fsync"), (os, "replace"), (os, "rename"), (Path, "rename"), (Path, "replace")):
    setattr(place, name, around(getattr(place, name)))
module.shutil.rmtree = around(module.shutil.rmtree)
gallery = Gallery.open(Path(sys.argv[1]))
if verb == "append":
    gallery.append(make_set(5, seed=1, prefix="b"), name="set1")
else:
    gallery.erase(names=["a3"])
print("done")
"""


@pytest.mark.parametrize("verb", ["append", "erase"])
def test_kill_9_at_any_step_leaves_all_or_nothing(verb: str, tmp_path: Path) -> None:
    before = {f"a{i}" for i in range(7)}
    after = before | {f"b{i}" for i in range(5)} if verb == "append" else before - {"a3"}
    outcomes, stop = set(), 1
    while True:
        folder = tmp_path / f"g{stop}"
        _gallery(folder, 7)
        command = [sys.executable, "-c", _KILLED, str(folder), str(stop), verb]
        run = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
        )
        gallery = Gallery.open(folder)
        names = {entry.tracklet.name for entry in gallery.entries}
        assert names in (before, after), f"killed at step {stop}"
        for stored in gallery.sets:
            EmbeddingSet.load(folder / stored.folder)  # whole, and its hash right
        outcomes.add(names == after)
        gallery, _ = gallery.append(make_set(4, seed=8, prefix="z"), name="later")
        assert len(list((folder / "sets").iterdir())) == len(gallery.sets), "the next change clears up"
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL, run.stderr
        stop += 3
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
    assert manifest["format"] == 1
    assert set(manifest["sets"][0]) == {"key", "name", "revision", "rows", "erased", "appended"}


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
    from xreid.retrieval import gallery as module

    real = module._found

    def overtaken(folder: Path) -> None:
        """Another process makes the gallery and appends to it after this one has found none."""
        monkeypatch.undo()
        Gallery.create(folder).append(make_set(4, seed=0), name="day")
        real(folder)

    monkeypatch.setattr(module, "_found", overtaken)
    assert len(Gallery.create(tmp_path / "g")) == 4
