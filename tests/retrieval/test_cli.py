"""The verbs ingest, gallery and search from the command line: output, exit codes, messages."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.retrieval.footage import walkers, write_mot, write_video
from tests.retrieval.sets import make_set, other_model
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.data import open_archive


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    make_set(12, seed=0, prefix="a").save(tmp_path / "day")
    make_set(8, seed=1, prefix="b").save(tmp_path / "night")
    other_model(make_set(8, seed=2)).save(tmp_path / "foreign")
    return tmp_path


def _run(*words: object) -> int:
    return main([str(word) for word in words])


def test_video_to_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "walk.mp4", walkers(60))
    rows = [(f, i, 20 * i, 30, 30, 80) for f in range(1, 61) for i in (1, 2, 3)]
    tracks = write_mot(tmp_path / "mot.txt", rows)
    assert _run("ingest", video, tmp_path / "in", "--tracks", tracks, "--camera", "gate") == 0
    assert "3 tracklets (3 visible), 180 pictures" in capsys.readouterr().out
    table = open_archive(tmp_path / "in")
    replace(make_set(3), table=table).save(tmp_path / "emb")  # where `xreid embed` would stand
    assert _run("gallery", "add", tmp_path / "g", tmp_path / "emb") == 0
    assert _run("search", tmp_path / "g", "--tracklet", "gate-0002", "--out", tmp_path / "page") == 0
    out = capsys.readouterr().out
    assert "gate-0001" in out
    assert "not calibrated" in out
    html = (tmp_path / "page" / "search.html").read_text()
    assert html.count("data:image/jpeg") == 6 + 2 * 5


def test_gallery_appends_lists_removes_and_erases(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = folders / "g"
    assert _run("gallery", "add", gallery, folders / "day", folders / "night") == 0
    assert "20 tracklets in 2 sets" in capsys.readouterr().out
    assert _run("gallery", "add", gallery, folders / "day") == 0
    assert ": nothing appended" in capsys.readouterr().out
    assert _run("gallery", "show", gallery) == 0
    assert "night" in capsys.readouterr().out
    assert _run("gallery", "erase", gallery, "a1", "a2") == 0
    assert "erased 2 tracklets; 18 are left" in capsys.readouterr().out
    assert _run("gallery", "remove", gallery, "night") == 0
    assert "removed" in capsys.readouterr().out
    assert _run("gallery", "erase", gallery, "--person", "0004") == 0
    assert "erased 1 tracklet; 9 are left" in capsys.readouterr().out
    assert _run("gallery", "add", folders / "one", folders / "day") == 0
    assert "12 tracklets in 1 set\n" in capsys.readouterr().out


def test_search_as_table_and_as_json(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = folders / "g"
    _run("gallery", "add", gallery, folders / "day")
    capsys.readouterr()
    words = (
        "--tracklet",
        "b1",
        "b2",
        "--query",
        folders / "night",
        "--top",
        3,
        "--modality",
        "vis",
        "--json",
    )
    assert _run("search", gallery, *words) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["query"]["tracklet"] for answer in answers] == ["b1", "b2"]
    assert [hit["rank"] for hit in answers[0]["hits"]] == [1, 2, 3]
    assert {hit["modality"] for hit in answers[0]["hits"]} == {"vis"}
    assert _run("search", gallery, "--tracklet", "a1", "--min-score", 0.9999) == 0
    assert "no answer (the best score is" in capsys.readouterr().out
    assert _run("search", gallery, "--tracklet", "a1", "--from", 30, "--to=70", "--camera", "A", "B") == 0
    out = capsys.readouterr().out
    assert "a5" in out
    assert "a10" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gallery add {g} {t}/foreign", "differ in their checkpoint"),
        ("gallery add {t}/new {t}/day {t}/foreign", "differ in their checkpoint"),
        ("gallery add {t}/day/vectors.npy/new {t}/day", "cannot write"),
        ("gallery add {g} {t}/nothing", "cannot read embedding set"),
        ("gallery", "say what to do"),
        ("gallery {g} show", "is nothing to do to a gallery"),
        ("gallery add {g}", "no embeddings were named"),
        ("gallery add", "gallery"),
        ("gallery remove {g}", "no set was named"),
        ("gallery erase {g}", "nobody to erase"),
        ("gallery add {t}/new {t}/day --label bell\x07", "no label"),
        ("gallery show {t}/new", "is no gallery"),
        ("gallery remove {g} dusk", "no set is called 'dusk'"),
        ("gallery erase {g} zz", "Nothing was erased"),
        ("search {t}/new --tracklet a1", "is no gallery"),
        ("search {g}", "no query was named.*a1, a2"),
        ("search {g} --tracklet zz", "no tracklet 'zz'"),
        ("search {g} --query {t}/foreign --tracklet t1", "differ in their checkpoint"),
        ("search {g} --tracklet a1 --camera Z", "no camera Z"),
        ("search {g} --tracklet a1 --from dawn", "--from is no time"),
        ("search {g} --tracklet a1 --from nan", "--from is no time"),
        ("search {g} --tracklet a1 --to 1e18 --out {t}/out", "--to is no time"),
        ("search {g} --tracklet a1 --from 9 --to 3", "ends before it starts"),
        ("search {g} --tracklet a1 --top 0", "top 0"),
        ("search {g} --tracklet a1 --modality thermal", "modality"),
        ("search {g} --tracklet a1 --unknown 3", "unknown"),
        ("ingest {t}/no.mp4 {t}/out", "does not exist"),
        ("ingest {t}/day/vectors.npy {t}/out", "as a video"),
        ("ingest {t}/day {t}/out", "holds no videos or images"),
        ("ingest {t}/no.mp4 {t}/out --tracker sort", "tracker"),
        ("ingest {t}/no.mp4", "needs footage and a folder"),
    ],
)
def test_bad_input_is_one_message_and_code_2(
    words: str, message: str, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = folders / "g"
    assert _run("gallery", "add", gallery, folders / "day") == 0
    before = (gallery / "gallery.json").read_bytes()
    capsys.readouterr()
    assert _run(*words.format(g=gallery, t=folders).split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("xreid: error: ")
    import re

    assert re.search(message, captured.err), captured.err
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert (gallery / "gallery.json").read_bytes() == before
    assert not (folders / "out").exists()
    assert not (folders / "new").exists()


@pytest.mark.parametrize("verb", ["ingest", "gallery add", "gallery erase", "gallery show", "search"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*verb.split(), "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--config" in out
    assert "None" not in out


def test_a_damaged_set_is_refused_before_anything_is_appended(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = folders / "night" / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-4] + b"\0\0\0\0")
    assert _run("gallery", "add", folders / "g", folders / "day", folders / "night") == 2
    assert "damaged" in capsys.readouterr().err
    assert not (folders / "g").exists()
    assert len(EmbeddingSet.load(folders / "day")) == 12
