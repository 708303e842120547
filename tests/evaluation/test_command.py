"""The verb `xreid evaluate` from its command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.problems import VIS, embedding_set, people, row
from xreid.cli.main import main
from xreid.evaluation.temporal_reranking import half_of


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


def test_reranking_is_named_wherever_a_score_is(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (stored, "--rerank", "k-reciprocal", "--k1", "4", "--k2", "2", "--original_weight", "0.5")
    code, out, _ = run(capsys, *words, "--out", str(tmp_path / "report"))
    label = "RE-RANKED k-reciprocal v1 (k1 4, k2 2, lambda 0.5, distance squared) ["
    assert code == 0
    assert label in out.splitlines()[0]
    assert "\nre-ranked " in out
    assert "! Re-ranked, k-reciprocal v1" in out
    page = (tmp_path / "report" / "evaluation.html").read_text()
    assert page.count(label) == 3, "at the top and beside the scores of both directions"
    stored_result = json.loads((tmp_path / "report" / "evaluation.json").read_text())["results"][0]
    assert label in stored_result["label"]
    assert stored_result["reranking"]["settings"] == {"k1": 4, "k2": 2, "lambda": 0.5, "distance": "squared"}
    _, plain, _ = run(capsys, stored, "--json")
    assert json.loads(plain)["results"][0]["reranking"] is None
    assert json.loads(plain)["results"][0]["metrics"] != stored_result["metrics"]


def test_temporal_reranking_reads_the_halves(
    stored: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = people(8, noise=1.5, root=tmp_path, source="hitsz-vcm")
    for half in ("first-half", "second-half"):
        replace(whole, table=half_of(whole.table, half)).save(tmp_path / half)
    first, second = str(tmp_path / "first-half"), str(tmp_path / "second-half")
    words = (stored, "--rerank", "temporal", "--first_half", first, "--second_half", second)
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "RE-RANKED temporal v1 (original 0.8, whole 0.2, halves 0.1, k1 5, k2 3, lambda 0.0," in out


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
        ([str(tmp_path / "absent")], "expected a folder written by `xreid embed`"),
        ([stored, "--directions", "I2X"], "no such direction"),
        ([stored, "--directions", "[]"], "--directions is empty"),
        ([stored, "--protocol", "vcm"], "no such protocol"),
        ([stored, "--protocol", "bupt-campus/full", "--directions", "V2I"], "no query tracklet"),
        ([str(tmp_path / "one")], "no query tracklet"),
        ([stored, "--also", str(tmp_path / "other")], "differ in their checkpoint"),
        ([str(tmp_path / "damaged")], "damaged"),
        ([stored, "--rerank", "k-reciprocal", "--k1", "0"], "re-ranking is set wrongly"),
        ([stored, "--rerank", "temporal"], "needs both"),
        ([stored, "--first_half", stored], "belong to --rerank temporal"),
        ([stored, "--k1", "5"], "are for re-ranking"),
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
