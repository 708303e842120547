"""Tables and figures of an ablation say what they were measured on, and where they must not be believed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.ablation_micro import run
from xreid.training.ablation_figure import draw
from xreid.training.ablation_text import difference_rows, latex

ROWS = """rows:
  - {name: a, preset: baseline}
  - {name: b, preset: image, extends: a}
  - {name: the same as a, preset: baseline, extends: a}
"""
Done = tuple[Path, Path, dict[str, Any]]


@pytest.fixture(scope="module")
def done(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A table of two rows and a repetition, with three seeds: its file, its folder and its results."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "mine.yaml").write_text(ROWS)
    found = run(str(folder / "mine.yaml"), archive, folder / "out", seeds=3)
    assert found.failures == {}
    return folder / "mine.yaml", folder / "out", found.tables[0]


def copy_of(done: Done) -> dict[str, Any]:
    """Results that may be changed."""
    copied: dict[str, Any] = json.loads(json.dumps(done[2]))
    return copied


def test_every_line_of_the_csv_says_what_it_was_measured_on(done: Done) -> None:
    lines = list(csv.DictReader(io.StringIO((done[1] / "mine" / "table.csv").read_text())))
    measured = {(line["source"], line["scored_on"], line["protocol"], line["selection"]) for line in lines}
    rule = "the last epoch is kept; test data is never looked at to choose"
    assert measured == {(done[2]["source"], "test", "hitsz-vcm v1 [0633e362]", rule)}


def test_a_figure_says_what_it_was_measured_on(done: Done) -> None:
    told = draw(done[2]).get_supxlabel().replace("\n", " ")
    parts = (done[2]["source"], "[0633e362]", "3 training seeds", "95% intervals", "the last epoch is kept")
    assert [part for part in parts if part not in told] == []
    assert draw({**done[2], "protocol": None}).get_supxlabel() == ""


def test_names_of_any_signs_are_latex(done: Done) -> None:
    results = copy_of(done)
    results["rows"][0]["name"] = r"[a] 50% & b_c^2 {x} \ ~<y>| $#"
    results["rows"][1]["name"] = "* -1 of I->V - x"
    results["notes"] = ["two lines:\nof one note"]
    lines = latex(results).splitlines()
    assert "% of one note" in lines
    begin = r"{}[a] 50\% \& b\_c\textasciicircum{}2 \{x\} \textbackslash{} "
    (first,) = [line for line in lines if line.startswith(begin)]
    assert first.startswith(begin + r"\textasciitilde{}\textless{}y\textgreater{}\textbar{} \$\# & ")
    assert any(line.startswith(r"{}* $-$1 of I$\to$V $-$ x & ") for line in lines)
    same = r"the same as a $-$ a & $+$0.0\xreidinterval{$+$0.0, $+$0.0} & "
    assert any(line.startswith(same) for line in lines)


def test_latex_tables_have_one_shape(done: Done) -> None:
    """As compiled with pdflatex: every row as wide as the head, intervals small, stars without width."""
    results = copy_of(done)
    difference = results["rows"][1]["differences"][0]
    difference["I2V"]["mAP"] |= {"mean": -0.021, "low": -0.03, "high": -0.01, "excludes_zero": True}
    results["rows"][2]["scores"] = {}
    lines = latex(results).splitlines()
    assert any(r"\usepackage{booktabs}" in line for line in lines if line.startswith("%"))
    body = [line for line in lines if not line.startswith("%")]
    assert body[:3] == [
        r"\providecommand{\xreidinterval}[1]{ {\scriptsize [#1]}}", r"\begin{tabular}{lcccc}", r"\toprule",
    ]  # fmt: skip
    assert body[3:5] == [
        r" & \multicolumn{2}{c}{I2V} & \multicolumn{2}{c}{V2I} \\", r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}",
    ]  # fmt: skip
    assert body[-2:] == [r"\bottomrule", r"\end{tabular}"]
    rows = [line for line in body[5:] if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {4}
    assert len(rows) == 1 + 3 + 2
    assert r" & $-$2.1\xreidinterval{$-$3.0, $-$1.0}\rlap{$^{*}$} & " in rows[4]
    assert rows[3].count("missing") == 4


def test_a_difference_to_a_sum_is_written_in_brackets(done: Done) -> None:
    results = copy_of(done)
    results["rows"][1]["differences"][0]["against"] = "SII + LII"
    results["rows"][2]["differences"][0]["against"] = "cross-modal"
    lines = latex(results).splitlines()
    assert any(line.startswith("b $-$ (SII + LII) & ") for line in lines)
    assert any(line.startswith("the same as a $-$ cross-modal & ") for line in lines)


def test_a_difference_over_fewer_seeds_says_so(done: Done) -> None:
    results = copy_of(done)
    results["rows"][1]["differences"][0]["seeds"] = [1]
    assert [name for name, _, _ in difference_rows(results)] == ["b (1 of 3 seeds)", "the same as a"]


def test_an_interval_without_width_is_cautioned(done: Done) -> None:
    difference = done[2]["rows"][2]["differences"][0]["I2V"]["mAP"]
    assert (difference["low"], difference["mean"], difference["high"]) == (0, 0, 0)
    assert [note for note in done[2]["notes"] if "no width" in note and "no certainty" in note]


def test_rows_that_share_one_seed_only_are_cautioned(done: Done, archive: Path) -> None:
    table, out, results = done
    assert not any("one training seed" in note for note in results["notes"])
    folders = {(row["name"], r["seed"]): r["folder"] for row in results["rows"] for r in row["runs"]}
    scores = [out / folders[gone] / "evaluation.json" for gone in (("a", 0), ("b", 1))]
    for file in scores:
        file.rename(file.with_suffix(".away"))
    try:
        again = run(str(table), archive, out, seeds=3, train=False).tables[0]
    finally:
        for file in scores:
            file.with_suffix(".away").rename(file)
    assert again["rows"][1]["differences"][0]["seeds"] == [2]  # a has 1 and 2, b has 0 and 2
    assert any("one training seed" in note for note in again["notes"])
