"""The verb `xreid evaluate` from its command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.problems import VIS, embedding_set, people, row
from xreid.cli.main import main


@pytest.fixture
def stored(tmp_path: Path) -> str:
    people(8, noise=1.5, root=tmp_path, source="hitsz-vcm").save(tmp_path / "set")
    return str(tmp_path / "set")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["evaluate", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_table_for_both_directions(stored: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, stored)
    assert code == 0
    assert out.startswith("hitsz-vcm v1 [")
    assert "I2V" in out
    assert "V2I" in out
    assert "Intervals: 95%, 2,000 draws" in out
    _, out, _ = run(capsys, stored, "--confidence", "0.995")
    assert "Intervals: 99.5%, 2,000 draws" in out, "not rounded to 100%"


def test_directions_as_plain_words_and_json(stored: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, stored, "--directions", "vis->vis", "I2V", "i2v", "--json", "--protocol", "generic"
    )
    data = json.loads(out)
    assert code == 0
    assert [r["direction"] for r in data["results"]] == ["vis->vis", "I2V"]
    assert data["results"][0]["protocol"]["name"] == "generic"


def test_options_from_a_file(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "options.yaml"
    config.write_text("directions: [V2I]\njson: true\nresamples: 0\n")
    code, out, _ = run(capsys, stored, "--config", str(config))
    assert code == 0
    assert [r["direction"] for r in json.loads(out)["results"]] == ["V2I"]
    assert json.loads(out)["results"][0]["metrics"]["mAP"]["low"] is None


def test_out_writes_page_and_json(stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, stored, "--out", str(tmp_path / "report"), "--lists", "1")
    assert code == 0
    assert "evaluation.html" in err
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["evaluation.html", "evaluation.json"]


def test_the_same_command_gives_the_same_bytes(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        run(capsys, stored, "--out", str(tmp_path / name))
    for file in ("evaluation.html", "evaluation.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_queries_and_gallery_embedded_apart(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = people(8, noise=1.5, root=tmp_path, source="hitsz-vcm")
    for subset in ("query", "gallery"):
        rows = [i for i, r in enumerate(whole.table) if r.subset == subset]
        whole.take(rows).save(tmp_path / subset)
    _, expected, _ = run(capsys, stored)
    code, out, _ = run(capsys, str(tmp_path / "query"), "--also", str(tmp_path / "gallery"))
    assert (code, out) == (0, expected)


def test_bad_input_is_one_line_and_exit_code_2(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = people(root=tmp_path)
    replace(base, origin=replace(base.origin, checkpoint="d" * 64)).save(tmp_path / "other")
    embedding_set([row("a", "1", "D1", VIS), row("b", "1", "D2", VIS)], source="hitsz-vcm").save(
        tmp_path / "one"
    )
    people(source="hitsz-vcm").save(tmp_path / "damaged")
    np.save(tmp_path / "damaged" / "vectors.npy", np.zeros((2, 2), np.float32))
    for words, message in (
        ([str(tmp_path / "absent")], "cannot read embedding set"),
        ([stored, "--directions", "I2X"], "no such direction"),
        ([stored, "--directions", "[]"], "--directions is empty"),
        ([stored, "--protocol", "vcm"], "no such protocol"),
        ([stored, "--protocol", "bupt-campus/full", "--directions", "V2I"], "no query tracklet"),
        ([str(tmp_path / "one")], "no query tracklet"),
        ([stored, "--also", str(tmp_path / "other")], "differ in their checkpoint"),
        ([str(tmp_path / "damaged")], "damaged"),
        ([stored, "--block_mib", "0"], "--block_mib is too small"),
        ([stored, "--confidence", "95"], "bootstrap cannot be drawn"),
        ([stored, "--resamples", "2000000000000"], "resamples 0 to 100,000"),
        ([stored, "--frames", str(tmp_path / "absent")], "is no folder"),
        ([], "embeddings"),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, ""), words
        assert err.count("\n") == 1
        assert message in err, (words, err)
