"""Damaged files: one message that names the file, never a traceback; and what is whole is gone on with."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.damage import CASE, build, damages, files, wrong_fields
from tests.retrieval.sets import make_set
from xreid.cli.main import main
from xreid.core.errors import XReidError
from xreid.retrieval import gallery_folder, gallery_packs, gallery_rows
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.cases import Cases
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_check import check_gallery
from xreid.retrieval.gallery_parts import read_array
from xreid.retrieval.kept import is_id
from xreid.retrieval.uploaded_queries import Queries
from xreid.retrieval.watch import WatchList

HARMLESS = {
    ("alerts.jsonl", "missing"),  # nothing was raised yet
    ("alerts.jsonl", "empty"),
    ("alerts.jsonl", "object"),  # without an end of line, they are what a kill leaves
    ("alerts.jsonl", "list"),
    ("alerts.jsonl", "null"),
    ("alerts.jsonl", "truncated"),
    ("labels", "object"),
    ("watch.json", "missing"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "g"
    build(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "g")
    return tmp_path / "g"


def _kind(path: Path) -> str:
    if path.parts[0] == "answers":
        return "case" if "cases" in path.parts else path.name
    return "labels" if path.name.startswith("labels-") else path.parts[0]


def _reading(kind: str, folder: Path) -> list[str]:
    """The verbs that read such a file."""
    gallery = str(folder)
    answers = {
        "watch.json": ["watch", "list", gallery],
        "alerts.jsonl": ["watch", "alerts", gallery],
        "receipts": ["gallery", "receipts", gallery],
        "sets": ["gallery", "check", gallery],
        "gallery.json": ["gallery", "show", gallery],
        "labels": ["gallery", "list", gallery, "--json"],
    }
    return answers.get(kind, ["search", gallery, "--case", CASE, "--top", "1", "--json"])


def test_every_damaged_file_is_one_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in files(folder):
        words = _reading(_kind(path), folder)
        assert main(words) == 0, words
        for what in damages(folder / path, fields=False):
            if (_kind(path), what) == ("case", "missing"):
                continue  # then it is the name of a new one
            capsys.readouterr()
            code, said = main(words), capsys.readouterr()
            harmless = (_kind(path), what) in HARMLESS
            assert code == (0 if harmless else 2), (path, what, said)
            names = [path.name] + ([path.parent.name] if _kind(path) in ("sets", "query.json") else [])
            names += [str(folder)] if what in ("missing", "a folder") else []
            assert harmless or any(one in said.err + said.out for one in names), (path, what, said)


def test_every_wrong_field_is_one_message(folder: Path) -> None:
    refused = 0
    for path in files(folder):
        for what in damages(folder / path, whole=False):
            said = _fault(folder, answers=path.parts[0] == "answers")
            assert said is None or str(folder) in said, (path, what, said)
            refused += said is not None
    assert refused > 300


def _fault(folder: Path, *, answers: bool) -> str | None:
    """What is said when everything is read; None where nothing is wrong."""
    try:
        if answers:
            _read_answers(folder / "answers")
        else:
            _read_gallery(folder)
    except XReidError as error:
        return str(error)
    return None


def _read_gallery(folder: Path) -> None:
    gallery = Gallery.open(folder)
    assert all(isinstance(entry.labels, tuple) for entry in gallery.walk())
    gallery.receipts()
    for stored in gallery.sets:
        gallery.content(stored)


def _read_answers(folder: Path) -> None:
    assert all(len(person.vectors) for person in WatchList(folder).people)
    AlertLog(folder).alerts()
    for case in Cases(folder).all():
        for name in case.queries:
            if is_id(name):
                Queries(folder).query(name)


def test_arrays_that_numpy_cannot_read_are_one_kind_of_error(tmp_path: Path) -> None:
    path, rng = tmp_path / "vectors.npy", np.random.default_rng(7)
    np.save(path, np.eye(3, dtype=np.float32))
    sound, refused = path.read_bytes(), 0
    for data in (b"", b"PK\x03\x04" + sound, sound[:11], sound[:40]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r".+"):
            read_array(path)
    for _ in range(300):
        broken = bytearray(sound)
        for place in rng.integers(0, 128, size=2):
            broken[place] = rng.integers(0, 256)
        path.write_bytes(bytes(broken))
        try:
            read_array(path)
        except (OSError, ValueError):
            refused += 1
    assert refused > 100


def test_who_is_erased_stays_nowhere_but_in_what_cannot_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = Gallery.open(folder)
    alone = next(s for s in gallery.sets if s.name == "set5")
    said = folder / alone.folder / "embedding.json"
    before = said.read_text()
    said.write_text("{}")
    person = "0004"  # s2-4 and s5-4
    assert main(["gallery", "erase", str(folder), "--person", person, "--receipt", str(folder / "r")]) == 2
    told = capsys.readouterr().err
    assert alone.key in told
    assert "not complete" in told
    assert list(json.loads((folder / "r").read_text())["unread"]) == [alone.key]
    assert main(["gallery", "receipts", str(folder)]) == 0
    assert "NOT FINISHED" in capsys.readouterr().out
    log = {alert.tracklet for alert in AlertLog(folder / "answers").alerts()}
    assert "s2-4" not in log
    assert "s5-0" in log, "alerts about what a damaged set may hold are kept"
    said.write_text(before)
    left = {e.stored.name for e in gallery.walk() if e.tracklet.identity == person}
    assert left == {"set5"}, "erased wherever it could be read"
    faults = list(check_gallery(gallery))
    assert len(faults) == 1
    assert "not finished" in faults[0]
    assert main(["gallery", "erase", str(folder), "--person", person]) == 0
    assert all(e.tracklet.identity != person for e in gallery.walk())
    assert all(receipt.finished for receipt in gallery.receipts()), "the first one, too"
    assert list(check_gallery(gallery)) == []


def test_what_is_old_expires_wherever_it_can_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Gallery.open(folder)
    alone = next(one for one in gallery.sets if one.name == "set5")
    fresh = next(one for one in gallery.sets if one.name == "set4")
    monkeypatch.setattr(gallery_rows, "seen_until_s", lambda a, b, one: 4e9 if one.key == fresh.key else 1e9)
    monkeypatch.setattr(gallery_folder, "seen_until_s", gallery_rows.seen_until_s)
    said = folder / alone.folder / "embedding.json"
    before, words = said.read_text(), ["gallery", "expire", str(folder), "--older-than", "1w"]
    said.write_text("{}")
    assert main([*words, "--dry-run"]) == 0
    assert "would erase 15 tracklets" in (told := capsys.readouterr().out)
    assert alone.key in told
    assert main([*words, "--receipt", str(folder / "r")]) == 2
    told, fault = capsys.readouterr()
    assert "erased 15 tracklets" in told
    assert alone.key in fault
    assert "expire the same again" in fault
    assert main(words) == 2, "nothing more can be read"
    assert "nothing that can be read is that old" in capsys.readouterr().err
    said.write_text(before)
    assert {e.stored.name for e in gallery.walk()} == {"set4", "set5"}, "erased wherever it could be read"
    assert "not finished" in "".join(check_gallery(gallery))
    gallery.label([gallery.find("s4-0").id], add=["blue"])
    assert gallery.receipts()[-1].finished is None, "the set can be read again, and holds what is old"
    assert main(words) == 0
    assert {e.stored.name for e in gallery.walk()} == {"set4"}
    assert all(receipt.finished for receipt in gallery.receipts()), "the first one, too"


def test_a_damaged_case_keeps_an_erasure_open_until_it_is_mended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (folder / "answers" / "cases").glob("*.json")
    before = path.read_text()
    path.write_text(before.replace('"owner"', '"owned"'))
    words = ["gallery", "erase", str(folder), "s0-1", "s1-1"]
    assert main(words) == 2
    told = capsys.readouterr()
    assert path.name in told.err
    assert "erased 2 tracklets" in told.out
    gallery, answers = Gallery.open(folder), folder / "answers"
    assert WatchList(answers).people == (), "whose only example was s1-1"
    assert AlertLog(answers).alerts() == []
    assert gallery.receipts()[-1].finished is None
    assert main(words) == 2, "asked again, it is still damaged"
    path.write_text(before)
    capsys.readouterr()
    assert main(words) == 0
    assert gallery.receipts()[-1].finished
    assert len(gallery.receipts()) == 2, "the same erasure"
    assert Cases(answers).all()[0].tracklets == ()


def test_an_erasure_stays_open_while_answers_cannot_be_held_against_all_sets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (folder / "answers" / "cases").glob("*.json")
    case = path.read_text()
    path.write_text("{" + case)
    words = ["gallery", "erase", str(folder), "s0-1"]
    assert main(words) == 2
    path.write_text(case)
    alone = next(one for one in Gallery.open(folder).sets if one.name == "set4")
    said = folder / alone.folder / "embedding.json"
    before = said.read_text()
    said.write_text("{}")
    capsys.readouterr()
    assert main(words) == 2, "the case still names s0-1, which may be in set4 for all that is known"
    assert alone.key in capsys.readouterr().err
    said.write_text(before)
    assert main(words) == 0
    assert Cases(folder / "answers").all()[0].tracklets == ()


def test_damaged_sets_are_left_where_they_are_and_the_others_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = Gallery.create(tmp_path / "g")
    for i in range(4):
        gallery.append(make_set(3, seed=i, prefix=f"s{i}-"), name=f"set{i}")
    broken = tmp_path / "g" / gallery.sets[0].folder
    vectors = broken / "vectors.npy"
    before = vectors.read_bytes()
    vectors.write_bytes(before[:-4] + b"abcd")
    monkeypatch.setattr(gallery_packs, "MANY", 4)
    with caplog.at_level(logging.WARNING):
        gallery.append(make_set(3, seed=9, prefix="new-"), name="new")
    assert broken.name in caplog.text
    kept = sorted(path.name for path in (tmp_path / "g" / "sets").iterdir())
    assert len(kept) == 2, "the damaged one, and a pack of the four others"
    assert broken.name in kept
    (fault,) = check_gallery(gallery)
    assert broken.name in fault
    vectors.write_bytes(before)
    assert list(check_gallery(gallery)) == [], "restored from a backup, it is whole again"


def test_labels_go_with_their_set_though_it_is_damaged(folder: Path) -> None:
    gallery = Gallery.open(folder)
    labelled = {gallery.find(name).id: name for name in ("s5-0", "s4-0", "s1-0")}
    gallery.label(list(labelled), add=["blue"])

    def kept() -> set[str]:
        (path,) = folder.glob("labels-*.json")
        return {labelled[one] for one in json.loads(path.read_text())}

    assert kept() == {"s5-0", "s4-0", "s1-0"}
    alone = {stored.name: stored for stored in gallery.sets}
    (folder / alone["set5"].folder / "tracklets.parquet").write_bytes(b"")
    gallery.remove("set5")
    assert kept() == {"s4-0", "s1-0"}
    (folder / alone["set4"].folder / "embedding.json").unlink()
    gallery.remove("set4")
    assert kept() == {"s1-0"}
    gallery.remove("set1")
    assert kept() == set()


def test_damaged_labels_hinder_only_what_needs_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = Gallery.open(folder)
    red = gallery.find("s1-0")
    gallery.label([red.id, gallery.find("s4-0").id], add=["blue"])
    (path,) = folder.glob("labels-*.json")
    before = path.read_text()
    path.write_text("{" + before)
    again, g = Gallery.open(folder), str(folder)
    for words in (["search", g, "--tracklet", "s0-1"], ["watch", "check", g], ["gallery", "show", g]):
        assert main(words) == 0, words
    listing = ["gallery", "list", g, "--modality", "vis", "--json"]
    label = ["gallery", "label", g, "s0-1", "--add", "green"]
    for words in (
        listing,
        ["gallery", "list", g, "--label", "odd"],
        ["search", g, "--tracklet", "s0-1", "--label", "odd"],
        label,
        ["gallery", "export", g, str(tmp_path / "out")],
        ["gallery", "check", g],
    ):
        capsys.readouterr()
        assert main(words) == 2, words
        told, fault = capsys.readouterr()
        assert path.name in told + fault, words
        assert words != listing or len(json.loads(told)) > 5, "what can be said is"
    assert path.read_text() == "{" + before, "nothing is written over it"
    make_set(3, seed=9, prefix="new-").save(tmp_path / "new")
    assert main(["gallery", "add", g, str(tmp_path / "new")]) == 0
    assert main(["gallery", "remove", g, "new"]) == 0
    assert main(["gallery", "erase", g, "s1-0"]) == 2, "a label may be about whoever is erased"
    assert "erased 1 tracklet" in capsys.readouterr().out
    assert red.id not in {entry.id for entry in again.walk()}
    assert again.receipts()[-1].finished is None
    assert again.entries([gallery.find("s4-0").id])[0].labels == (), "the labels of its set, which has none"
    path.write_text(before)
    assert again.entries([gallery.find("s4-0").id])[0].labels == ("blue",), "mended, it is read at once"
    assert main(label) == 0
    (path,) = folder.glob("labels-*.json")
    assert red.id in before
    assert red.id not in path.read_text(), "what was restored does not bring back the labels of the erased"
    assert again.receipts()[-1].finished
    assert main(["gallery", "check", g]) == 0


def test_names_in_foreign_files_never_become_paths(folder: Path, tmp_path: Path) -> None:
    assert main(["gallery", "export", str(folder), str(tmp_path / "out")]) == 0
    index = tmp_path / "out" / "export.json"
    plain = json.loads(index.read_text())
    plain["sets"][0]["key"] = "../../../evil"
    index.write_text(json.dumps(plain))
    assert main(["gallery", "import", str(tmp_path / "new"), str(tmp_path / "out")]) == 2
    assert not (tmp_path / "new").exists()
    for what, wrong in wrong_fields(plain):
        index.write_text(json.dumps(wrong))
        assert main(["gallery", "import", str(tmp_path / "new"), str(tmp_path / "out")]) in (0, 2), what
        if what.count("/") > 2:
            break
