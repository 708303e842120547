"""One micro run of everything: simulate, train, embed, evaluate, index, search, the page."""

import json
import re
from pathlib import Path

import pytest

from xreid.cli.main import main

STEPS = ["simulate", "train", "embed", "evaluate", "match without learning", "gallery and search"]


def test_the_demo_runs_from_nothing_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    words = ["demo", str(out), "--size", "tiny", "--epochs", "1"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "does not show how well" in shown.out
    page = (out / "index.html").read_text()
    links = [link.partition("#") for link in re.findall(r'(?:href|src)="(?!data:)([^"]+)"', page)]
    assert len(links) >= 4
    assert all((out / file).is_file() for file, _, _ in links), links
    places = [(file, place) for file, _, place in links if place]
    assert len(places) == 2
    assert all(f'id="{place}"' in (out / file).read_text() for file, place in places), places
    assert "http" not in page, "nothing is fetched from elsewhere"
    assert list(json.loads((out / "demo.json").read_text())["seconds"]) == STEPS
    evaluation = json.loads((out / "evaluation" / "evaluation.json").read_text())
    assert len(evaluation["results"]) == 2
    found = json.loads((out / "search" / "search.json").read_text())
    assert found

    weights = (out / "run" / "checkpoint" / "model.safetensors").read_bytes()
    assert main(words) == 0, "started again, it finds everything done"
    assert (out / "run" / "checkpoint" / "model.safetensors").read_bytes() == weights
    assert main([*words, "--seed", "1"]) == 2
    assert "other options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("new --preset papyrus", "papyrus"),
        ("new --size huge", "huge"),
        ("new --epochs -1", "epochs must not be negative"),
        ("file --size tiny", "cannot write"),
        ("damaged --size tiny", r"demo\.json is damaged"),
    ],
)
def test_bad_input_is_one_message_before_anything_is_made(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    Path("damaged").mkdir()
    Path("damaged/demo.json").write_text("[]")
    assert main(["demo", *words.split()]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not Path("new").exists()
    assert Path("file").read_text() == "mine"
