"""The page about runs: a tiny run goes in, each section comes out, and what is missing is said."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.problems import people
from tests.training.micro import NETWORK, micro, objective
from xreid.cli.main import main
from xreid.core.embeddings import write_table
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.evaluation.directions import I2V
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.examples import Match
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.protocols import GENERIC
from xreid.inference.checkpoint import selection_rule
from xreid.losses.config import ObjectiveConfig
from xreid.training.config import BatchConfig, SelectionConfig
from xreid.training.loop import train
from xreid.training.report_attention import half_of_attention
from xreid.training.report_cases import Case
from xreid.training.report_curves import Axis, binned, training_charts
from xreid.training.report_runs import read_runs
from xreid.training.report_scores import differences

ALONE: ObjectiveConfig = objective(triplet_features=("proj",), cmcl_weight=0.0)


@pytest.fixture(scope="module")
def runs(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of the whole method with held-out people, and one without SII, LII and CII."""
    root = tmp_path_factory.mktemp("runs")
    batch = BatchConfig(identities=2, clips=1, frames=2, per_epoch=4)
    train(
        micro(batch=batch, selection=SelectionConfig(keep="best", held_out=0.5)),
        data=archive,
        out=root / "whole",
    )
    network = replace(NETWORK, use_sii=False, use_lii=False, use_cii=False, classifiers=("proj",))
    train(micro(batch=batch, network=network, objective=ALONE), data=archive, out=root / "plain")
    return root / "whole", root / "plain"


@pytest.fixture(scope="module")
def page(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of both."""
    out = tmp_path_factory.mktemp("page") / "new" / "page.html"
    words = [*map(str, runs), "--out", str(out), "--lists", "1", "--device", "cpu", "--resamples", "50"]
    assert main(["report", *words]) == 0
    return out.read_text(encoding="utf-8")


class Checker(HTMLParser):
    """Collects what is open, the identifiers, and what is linked or loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("href", "src"):
                self.links.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    for link in checker.links:
        assert link.startswith("data:") or link.removeprefix("#") in checker.ids
    assert not {"script", "link", "iframe", "object"} & set(checker.tags)
    assert "http" not in page
    assert "@import" not in page


def test_every_section_is_there_for_every_run(page: str) -> None:
    for number in (0, 1):
        for part in ("run", "lists", "attention", "agreement", "map", "made"):
            assert re.search(f'id="{part}-{number}(-0)?"', page), part
    for needed in ('id="scores"', 'id="differences"', 'id="curves"', 'id="limits"', "plain − whole"):
        assert needed in page
    for chart in ("loss", "cpcl_vis", "triplet_interaction", "cmcl_sii_vis", "lr", "held-out mAP"):
        assert f"<b>{chart}</b>" in page
    for fact in ("hitsz-vcm v1 [", "licence", "seed", "commit", "versions", "torch "):
        assert fact in page
    assert "the best mAP (mean of I2V and V2I) on 2 held-out training people" in page
    assert "fixed beforehand; nothing was held out" in page
    assert page.count('<svg class="map"') == 6


def test_branches_that_a_method_does_not_have_are_left_out_with_a_sentence(page: str) -> None:
    whole, plain = page.split('id="run-1"')
    assert "<b>SII</b>" in whole
    assert "<b>LII</b>" in whole
    assert "<b>SII</b>" not in plain
    assert "no SII and no LII" in plain
    assert "no SII and no LII" not in whole


def test_embeddings_made_for_a_page_are_found_again_or_given(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["report", str(runs[1]), "--out", str(tmp_path / "a.html"), "--device", "cpu", "--looks", "false"]
    assert main(first) == 0
    (kept,) = (tmp_path / "a-embeddings").iterdir()
    before = (kept / "embedding.json").stat().st_mtime_ns
    assert main(first) == 0
    assert "already holds" in capsys.readouterr().err
    assert (kept / "embedding.json").stat().st_mtime_ns == before
    given = ["--embeddings", str(kept), "--out", str(tmp_path / "b.html")]
    assert main([*first, *given]) == 0
    assert (tmp_path / "b.html").read_text() == (tmp_path / "a.html").read_text()
    assert 'id="attention-0"' not in (tmp_path / "b.html").read_text()
    other = ["report", str(runs[0]), "--embeddings", str(kept), "--out", str(tmp_path / "c.html")]
    assert main(other) == 2
    assert "is of another model" in capsys.readouterr().err
    assert not (tmp_path / "c.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("NOWHERE", "does not exist"),
        ("EMPTY", "holds no run"),
        ("RUN RUN", "is named twice"),
        ("RUN --lists -1", "lists is out of range"),
        ("RUN --directions sideways", "no such direction"),
        ("RUN --embeddings EMPTY EMPTY", "does not fit the runs"),
        ("RUN --data NOWHERE", "does not exist"),
        ("RUN --data NAMELESS", "names its person"),
        ("RUN --out EMPTY", "is a folder"),
        ("UNFINISHED", "not finished"),
        ("DAMAGED", "metrics.jsonl, line 2 is damaged"),
        ("MOVED", "is gone"),
    ],
)
def test_what_is_missing_is_one_clear_message(
    words: str,
    message: str,
    runs: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {name: tmp_path / name for name in ("NOWHERE", "EMPTY", "UNFINISHED", "DAMAGED", "MOVED")}
    places["EMPTY"].mkdir()
    places["NAMELESS"] = tmp_path / "NAMELESS"
    nameless(places["NAMELESS"])
    for name in ("UNFINISHED", "DAMAGED", "MOVED"):
        shutil.copytree(runs[1], places[name])
    shutil.rmtree(places["UNFINISHED"] / "checkpoint")
    lines = (places["DAMAGED"] / "metrics.jsonl").read_text().splitlines()
    (places["DAMAGED"] / "metrics.jsonl").write_text("\n".join([lines[0], "{half", *lines[2:]]))
    record = json.loads((places["MOVED"] / "run.json").read_text())
    record["data"]["root"] = str(tmp_path / "away")
    (places["MOVED"] / "run.json").write_text(json.dumps(record))
    places["RUN"] = runs[1]
    spelled = [str(places.get(word, word)) for word in words.split()]
    assert main(["report", *spelled, "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "report.html").exists()


def nameless(folder: Path) -> None:
    """A tracklet table without identities, whose frames nobody has to read."""
    folder.mkdir()
    row = Tracklet(name="a", frames=("a.jpg",), modality=Modality.VISIBLE)
    write_table(TrackletTable(root=folder, rows=(row,)), folder / "tracklets.parquet")


def test_a_run_without_metrics_still_has_a_page(runs: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(runs[1], tmp_path / "bare")
    (tmp_path / "bare" / "metrics.jsonl").unlink()
    out = tmp_path / "a.html"
    words = ["report", str(tmp_path / "bare"), "--out", str(out), "--looks", "false", "--lists", "0"]
    assert main([*words, "--device", "cpu"]) == 0
    text = out.read_text()
    assert "bare has no metrics.jsonl" in text
    assert 'class="curve"' not in text
    assert "too short to log" not in text
    (tmp_path / "bare" / "metrics.jsonl").write_text('{"kind": "epoch", "step": 1, "epoch": 1}\n')
    assert main([*words, "--device", "cpu"]) == 0
    assert "too short to log" in out.read_text()


def test_frames_that_cannot_be_read_are_said_beside_the_maps(
    runs: tuple[Path, Path], archive: Path, tmp_path: Path
) -> None:
    first = ["report", str(runs[1]), "--out", str(tmp_path / "a.html"), "--device", "cpu", "--looks", "false"]
    assert main(first) == 0
    (kept,) = (tmp_path / "a-embeddings").iterdir()
    shutil.copytree(archive, tmp_path / "damaged")
    for path in (tmp_path / "damaged" / "Test" / "0503" / "ir").rglob("*.jpg"):
        path.write_text("no picture")
    words = ["report", str(runs[1]), "--embeddings", str(kept), "--data", str(tmp_path / "damaged")]
    assert main([*words, "--out", str(tmp_path / "b.html"), "--device", "cpu"]) == 0
    text = (tmp_path / "b.html").read_text()
    assert "Not drawn: cannot read frame" in text
    assert "could not be read" in text
    assert '<div class="pair">' in text, "the other person's pairs are drawn"


def test_names_of_runs_tell_them_apart(runs: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(runs[1], tmp_path / "again" / "plain")
    found = read_runs([runs[1], tmp_path / "again" / "plain"])
    assert [run.name.split("/")[-1] for run in found] == ["plain", "plain"]
    assert found[0].name != found[1].name
    assert [run.name for run in read_runs(runs)] == ["whole", "plain"]
    ablated = [tmp_path / key / "run" for key in ("baseline-seed0", "cpc-seed0")]
    for folder in ablated:
        shutil.copytree(runs[1], folder)
    assert [run.name for run in read_runs(ablated)] == ["baseline-seed0", "cpc-seed0"]
    assert [run.name for run in read_runs(ablated[:1])] == ["baseline-seed0"]


def test_how_the_epoch_was_chosen_in_words() -> None:
    assert selection_rule({}) == "not recorded"
    last = {"keep": "last", "epoch": 3, "of_epochs": 3, "held_out_identities": 7}
    assert (
        selection_rule(last)
        == "epoch 3 of 3, fixed beforehand; 7 training people were held out, and watched only"
    )


def test_a_difference_that_no_draw_shows_is_no_certainty() -> None:
    one, other = (evaluate(people(noise=n), GENERIC, direction=I2V) for n in (0.5, 3.0))
    (same,) = differences(["a", "b"], [[one], [one]], bootstrap=Bootstrap(resamples=50))
    assert [row["verdict"] for row in same["rows"]] == ["no draw differs, which is no certainty"] * 2
    (worse,) = differences(["a", "b"], [[one], [other]], bootstrap=Bootstrap(resamples=50))
    assert not any("no draw" in row["verdict"] for row in worse["rows"])


def test_a_bin_keeps_mean_and_extremes() -> None:
    points = np.array([(10 * i, float(i % 4)) for i in range(1, 401)])
    found = binned(points)
    assert found.shape == (100, 4)
    assert (found[:, 1:] == [1.5, 0, 3]).all()
    assert found[-1, 0] == 4000
    assert binned(points[:3]).tolist() == [[10, 1, 1, 1], [20, 2, 2, 2], [30, 3, 3, 3]]


@pytest.mark.parametrize(
    ("low", "high", "ticks", "log"),
    [
        (0.0, 7.3, [0, 2, 4, 6, 8], False),
        (5.9, 6.9, [5.75, 6, 6.25, 6.5, 6.75, 7], False),
        (1e-5, 0.05, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1], True),
        (3.0, 3.0, None, False),
        (0.0, 0.0, None, False),
        (-2.0, 3.0, [-2, 0, 2, 4], False),
    ],
)
def test_axes_hold_their_values(low: float, high: float, ticks: list[float] | None, log: bool) -> None:
    axis = Axis.of(low, high, straight=False)
    assert axis.log == log
    assert axis.low <= low
    assert axis.high >= high
    assert axis.high > axis.low
    assert axis.y(axis.low) > axis.y(axis.high), "up is more"
    if ticks is not None:
        assert axis.ticks == pytest.approx(ticks)


def test_a_straight_axis_stays_straight() -> None:
    assert not Axis.of(1e-9, 1e-3, straight=True).log


def test_curves_lie_where_their_values_are() -> None:
    lines = [{"kind": "step", "step": s, "epoch": 1, "loss": v} for s, v in ((50, 0.0), (100, 4.0))]
    (chart,) = training_charts([lines])
    assert chart.name == "loss"
    (points,) = re.findall(r'<polyline points="([^"]+)"', chart.svg)
    pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert pairs == [(183.0, 164.0), (320.0, 10.0)]  # half way along and at the bottom; right and at the top


def test_an_even_guess_is_marked_where_people_are_told_apart() -> None:
    lines = [{"kind": "step", "step": s, "cpcl_vis": math.log(400), "triplet_proj": 1.0} for s in (1, 2)]
    cpcl, triplet = training_charts([lines], people=400)
    line = re.search(r'<line class="even"[^>]* y1="([\d.]+)"', cpcl.svg)
    curve = re.search(r'<polyline points="[\d.]+,([\d.]+)', cpcl.svg)
    assert line is not None
    assert curve is not None
    assert line[1] == curve[1]
    assert "even guess among 400" in cpcl.meaning
    assert 'class="even"' not in triplet.svg
    assert 'class="even"' not in training_charts([lines])[0].svg


def test_numbers_that_are_no_curves_are_left_out() -> None:
    lines = [{"kind": "epoch", "step": 5, "epoch": 1, "replaced_frames": 3, "held-out mAP": 0.5, "note": "x"}]
    (chart,) = training_charts([lines])
    assert chart.name == "held-out mAP"
    assert ">40<" in chart.svg, "50 percent lies between 40 and 60"


def test_half_of_the_attention() -> None:
    even = np.full((1, 8), 1 / 8, dtype=np.float32)
    assert half_of_attention(even) == 4
    sharp = np.array([[0.6, 0.2, 0.2], [0.2, 0.4, 0.4]], dtype=np.float32)
    assert half_of_attention(sharp) == pytest.approx((1 + 2) / 2)


def test_a_case_names_its_tracklets() -> None:
    right, wrong = Match(row=4, score=0.5, hit=True), Match(row=7, score=0.6, hit=False)
    case = Case(direction="I2V", kind="worst", query=2, right=(9, right), wrong=(1, wrong))
    assert case.rows() == [2, 4, 7]
    assert replace(case, right=None).rows() == [2, 7]
