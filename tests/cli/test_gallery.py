"""`xreid gallery`: what it prints, what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.retrieval.sets import make_set, other_model
from xreid.cli.gallery_care import age_s
from xreid.cli.main import main
from xreid.core.errors import ConfigError
from xreid.retrieval.gallery import Gallery


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_set(12, seed=0, prefix="a").save(tmp_path / "day")
    make_set(8, seed=1, prefix="b").save(tmp_path / "night")
    other_model(make_set(8, seed=2)).save(tmp_path / "foreign")
    monkeypatch.chdir(tmp_path)
    assert main(["gallery", "add", "g", "day", "night", "--label", "yard"]) == 0
    return tmp_path


def _out(capsys: pytest.CaptureFixture[str], line: str) -> str:
    capsys.readouterr()
    assert main(line.split()) == 0
    return capsys.readouterr().out


def test_list_and_label(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a3: red, yard" in _out(capsys, "gallery label g a3 b4 --add red")
    found = json.loads(_out(capsys, "gallery list g --label red --json"))
    assert [row["name"] for row in found] == ["a3", "b4"]
    assert found[0]["labels"] == ["red", "yard"]
    assert found[0]["frames"] == 2
    assert "b4: yard" in _out(capsys, "gallery label g b4 --remove red")
    first = _out(capsys, "gallery list g --modality ir --limit 3")
    assert "10 tracklets; go on with --after " in first
    after = first.split()[-1]
    assert after not in _out(capsys, f"gallery list g --modality ir --limit 30 --after {after}")
    assert "a11" in _out(capsys, "gallery list g --from 100 --camera B --known")
    assert "0 tracklets" in _out(capsys, "gallery list g --min-quality 0.5")


def test_erase_expire_receipts_check(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "would erase 1 tracklet of 20" in _out(capsys, "gallery erase g a3 --dry-run")
    said = _out(capsys, "gallery erase g a3 --by officer --reason objection --receipt receipt.json")
    assert "erased 1 tracklet; 19 are left" in said
    receipt = json.loads((place / "receipt.json").read_text())
    assert receipt["asked_by"] == "officer"
    assert "a3" not in receipt["names"]
    assert "asked by officer (objection), finished" in _out(capsys, "gallery receipts g --of a3")
    assert _out(capsys, "gallery receipts g --of a4") == ""
    assert "all in order" in _out(capsys, "gallery check g")
    assert "nothing to erase" in _out(capsys, "gallery expire g --older-than 30d")
    make_set(13, seed=0, prefix="a").take([3, 4, 12]).save(place / "cut")
    said = _out(capsys, "gallery add g cut")
    assert "1 tracklet; 1 that were erased here stay out" in said
    assert "1 of cut left out: in already" in said
    again = replace(make_set(12, seed=0, prefix="a").take([3]), pieces=())
    stored = replace(Gallery.open("g").sets[0], key="0" * 16, rows=1, contents=())
    Gallery.open("g").adopt(stored, again, labels={})  # as another gallery's export might
    assert main(["gallery", "check", "g"]) == 2
    assert "1 faults" in capsys.readouterr().err


def test_export_and_import(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "out: 20 tracklets" in _out(capsys, "gallery export g out")
    assert "20 tracklets imported, 20 in all" in _out(capsys, "gallery import copy out")
    said = _out(capsys, "gallery import copy out")
    assert "is in already" in said
    assert "0 tracklets imported, 20 in all" in said
    assert list(Gallery.open("copy").walk()) == list(Gallery.open("g").walk())


def test_what_gallery_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gallery", "--help"])
    out = capsys.readouterr().out
    for verb in ("add", "list", "erase", "expire", "export", "import", "re-embed", "check"):
        assert f"\n  {verb}" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("gallery list g --camera Z", "no camera Z"),
        ("gallery list g --set dusk", "no set 'dusk'"),
        ("gallery list g --limit 0", "limit"),
        ("gallery list g --after nonsense", "no tracklet with the id"),
        ("gallery list g --min-quality 3", "out of range"),
        ("gallery list g --from dawn", "--from is no time"),
        ("gallery label g a3", "which tracklets and which labels"),
        ("gallery label g nobody --add red", "no tracklet 'nobody'"),
        ("gallery expire g", "older_than"),
        ("gallery expire g --older-than month", "is no age"),
        ("gallery expire g --older-than 0d", "no age"),
        ("gallery export g day", "exists"),
        ("gallery export g", "out"),
        ("gallery import new day", "cannot read export"),
        ("gallery check new", "is no gallery"),
        ("gallery re-embed g day", "checkpoint"),
        ("gallery add ftp://host/x day", "no address of a gallery"),
        ("gallery add http://host/a-b day", "no address of a gallery"),
        ("gallery fetch g", "nothing to do to a gallery"),
    ],
)
def test_mistakes(words: str, message: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (place / "g" / "gallery.json").read_bytes()
    capsys.readouterr()
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert message in error, error
    assert error.count("\n") == 1
    assert (place / "g" / "gallery.json").read_bytes() == before
    assert not (place / "new").exists()


def test_ages() -> None:
    assert [age_s(text) for text in ("90m", "12h", "30d", "1.5w")] == [
        5400,
        43200,
        30 * 86400,
        1.5 * 7 * 86400,
    ]
    for text in ("", "30", "d", "-3d", "3 d", "3y"):
        with pytest.raises(ConfigError, match="is no age"):
            age_s(text)
