"""`xreid calibrate` and what it changes for embed, evaluate and search, on a small untrained model."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.problems import people
from tests.inference.small import write_model
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import CheckpointError
from xreid.evaluation.calibration import read_calibration
from xreid.inference.calibrated import carry_calibration
from xreid.inference.checkpoint import LoadedModel, load_checkpoint


def made_by(model: LoadedModel, *, first: int, count: int = 20, subset: str = "train") -> EmbeddingSet:
    """People `first`.. with vectors around a centre each, said to be embedded by the model."""
    found = people(count, noise=1.5, seed=first)
    width = sum(w for _, w in model.network.layout)
    vectors = np.zeros((len(found), width), dtype=np.float32)
    vectors[:, :16] = found.vectors
    rows = tuple(
        replace(r, identity=f"{int(r.identity or 0) + first:04d}", name=f"{first}-{r.name}", subset=subset)
        for r in found.table
    )
    origin = model.origin(preprocessing={"frames": 3}, source="hitsz-vcm")
    return EmbeddingSet(vectors=vectors, table=replace(found.table, rows=rows), origin=origin)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """run/checkpoint, and embeddings of people held out of training and of others."""
    monkeypatch.chdir(tmp_path)
    model = write_model(tmp_path / "run" / "checkpoint")
    made_by(model, first=100).save(tmp_path / "held")
    made_by(model, first=500).save(tmp_path / "test")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], words: str) -> tuple[int, str, str]:
    code = main(words.split())
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_from_held_out_people_to_probabilities(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "calibrate held --checkpoint run --far 0.01")
    assert code == 0, err
    assert "hitsz-vcm v1 [0633e362]" in out
    assert all(kind in out for kind in ("vis-vis", "vis-ir", "ir-ir", "threshold at FAR 1%"))
    file = work / "run" / "checkpoint" / "calibration.json"
    first = file.read_bytes()
    assert read_calibration(work / "run").identities[0] == "0100"
    run(capsys, "calibrate held --checkpoint run/checkpoint --far 0.01 --json")
    assert file.read_bytes() == first, "the same command gives the same bytes"

    model = load_checkpoint(work / "run")
    told: list[str] = []
    carry_calibration(
        EmbeddingSet.load(work / "test"), model, out=work / "test", note=lambda text: told.append(text)
    )
    assert told == []
    code, out, err = run(capsys, "evaluate test --resamples 20 --any_to_any --out page --lists 0")
    assert code == 0, err
    for needed in ("TAR at FAR 1%", "ECE", "vis-ir threshold", "Mixed gallery, ir queries", "equalised"):
        assert needed in out
    page = (work / "page" / "evaluation.html").read_text()
    for needed in ("Calibration: from cosine", "The stored thresholds here", "One gallery of both"):
        assert needed in page
    assert page.count("<svg") == 1 + 2 + 2
    stored = json.loads((work / "page" / "evaluation.json").read_text())["open_set"]
    assert stored["calibration"]["source"] == "hitsz-vcm"
    code, out, _ = run(capsys, "evaluate test --calibration none")
    assert (code, "Open set" in out) == (0, False)

    run(capsys, "gallery add gallery test")
    name = EmbeddingSet.load(work / "test").table[0].name
    code, out, err = run(capsys, f"search gallery --tracklet {name} --top 3 --json")
    answer = json.loads(out)[0]
    assert answer["prior"] == pytest.approx(1 / 119)
    kind = read_calibration(file).kinds["ir-ir" if answer["hits"][0]["modality"] == "ir" else "vis-ir"]
    odds = kind.slope * answer["hits"][0]["score"] + kind.offset - np.log(118)
    assert answer["hits"][0]["probability"] == pytest.approx(1 / (1 + np.exp(-odds)), rel=1e-6)
    code, out, err = run(capsys, f"search gallery --tracklet {name} --prior 0.25 --order calibrated")
    assert "prior 1/4" in " ".join(out.split())
    assert "p " in out
    code, out, err = run(capsys, f"search gallery --tracklet {name} --calibration none")
    assert "not calibrated" in out


def test_embeddings_made_before_get_it_and_others_do_not(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "calibrate held --checkpoint run")
    model, before = load_checkpoint(work / "run"), EmbeddingSet.load(work / "test")
    told: list[str] = []
    after = carry_calibration(before, model, out=work / "test", note=told.append)
    assert after.calibration is not None
    assert EmbeddingSet.load(work / "test").calibration == after.calibration
    np.testing.assert_array_equal(EmbeddingSet.load(work / "test").vectors, before.vectors)
    run(capsys, "calibrate held --checkpoint run --method isotonic")
    again = carry_calibration(after, load_checkpoint(work / "run"), out=work / "test", note=told.append)
    assert again.calibration["method"] == "isotonic"
    assert "calibrated anew" in told[0]
    others = replace(before, origin=replace(before.origin, preprocessing={"frames": 9}))
    left = carry_calibration(others, load_checkpoint(work / "run"), out=work / "others", note=told.append)
    assert left.calibration is None
    assert "left out" in told[1]
    assert not (work / "others").exists()


def test_exchanged_weights_are_not_calibrated(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = work / "run" / "checkpoint" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    code, _, err = run(capsys, "calibrate held --checkpoint run")
    assert code == 2
    assert "is damaged or was exchanged" in err
    assert not (work / "run" / "checkpoint" / "calibration.json").exists()


def test_a_calibration_of_other_weights_or_damaged_is_one_message(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "calibrate held --checkpoint run")
    write_model(work / "two", seed=1)
    file = work / "run" / "checkpoint" / "calibration.json"
    (work / "two" / "calibration.json").write_bytes(file.read_bytes())
    with pytest.raises(CheckpointError, match="made for other weights"):
        load_checkpoint(work / "two")
    file.write_bytes(file.read_bytes()[:100])
    code, out, err = run(capsys, "embed run nowhere out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is not JSON" in err


def test_refusals_are_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_checkpoint(work / "run")
    named = made_by(model, first=0)
    rows = tuple(replace(r, identity="a" if r.identity == "0000" else r.identity) for r in named.table)
    replace(named, table=replace(named.table, rows=rows)).save(work / "trained")
    made_by(model, first=600, subset="query").save(work / "tests")
    write_model(work / "two", seed=1)
    run(capsys, "calibrate held --checkpoint run")
    for words, message in (
        ("calibrate trained --checkpoint run", "1 of the people are training identities"),
        ("calibrate tests --checkpoint run", "of the test lists"),
        ("calibrate held --checkpoint two", "not made by this checkpoint"),
        ("calibrate held --checkpoint nowhere", "there is no checkpoint"),
        ("calibrate held --checkpoint run --far 2", "--far is out of range"),
        ("calibrate held --checkpoint run --fit_prior 0", "--fit_prior is out of range"),
        ("calibrate held", "checkpoint"),
        ("evaluate held --calibration run", "--other_people"),
        ("evaluate test --calibration nowhere", "there is no calibration"),
        ("evaluate test --open_set --enrolled 1", "left out of the gallery"),
        ("embed run data out --held_out --subset train", "exclude each other"),
    ):
        code, out, err = run(capsys, words)
        assert (code, out) == (2, ""), words
        assert err.count("\n") == 1, err
        assert message in err, (words, err)
    for words in (
        "calibrate trained --checkpoint run",
        "calibrate tests --checkpoint run --protocol generic",
    ):
        assert run(capsys, f"{words} --other_people")[0] == 0
    assert run(capsys, "evaluate held --calibration run --other_people --resamples 0")[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkpoint_that_cannot_be_written_is_one_message(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = work / "run" / "checkpoint"
    folder.chmod(0o555)
    code, _, err = run(capsys, "calibrate held --checkpoint run")
    folder.chmod(0o755)
    assert code == 2
    assert "cannot write" in err
