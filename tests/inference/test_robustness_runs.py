"""Robustness over several training runs, and of two methods: against oracles, resumed, refused, shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.inference.small import write_model
from tests.training.micro import files_of
from xreid.cli.main import main
from xreid.core.errors import CheckpointError, ConfigError, ProtocolError
from xreid.core.tracklets import TrackletTable
from xreid.data import open_archive
from xreid.evaluation.comparison import compare
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import METRICS
from xreid.inference import embed
from xreid.inference.checkpoint import load_checkpoint, save_checkpoint
from xreid.inference.embed import EmbedConfig
from xreid.inference.robustness import Card, RobustnessConfig, measure
from xreid.inference.robustness_page import render_card
from xreid.inference.robustness_report import card_data, format_card
from xreid.inference.robustness_runs import measure_methods, read_methods
from xreid.inference.robustness_study import RunScores, Study, of_one, study

EMBED = EmbedConfig(clips_per_batch=4, tracklets_per_part=10)
BOOTSTRAP = Bootstrap(resamples=60)
CONFIG = RobustnessConfig(kinds=("blur=4", "ir-noise=40"), bootstrap=BOOTSTRAP)
DATA = {"source": "hitsz-vcm", "sha256": "d"}


def write_run(
    folder: Path,
    *,
    seed: int | None,
    preset: str = "paper",
    weights: int = 0,
    epochs: int = 5,
    **changes: Any,
) -> Path:
    """A checkpoint as a run of `preset` leaves it."""
    made = write_model(folder, seed=weights)
    loop = {"seed": seed, "epochs": epochs}
    config = {"preset": preset, "train": loop, "selection": {"held_out": 0.0}}
    known = {"preset": preset, "seed": seed, "config": config, "data": {**DATA, **changes}}
    save_checkpoint(folder, made.network, replace(made.checkpoint, provenance=known))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Three runs of one method and of another, seeds 0, 1, 2."""
    root = tmp_path_factory.mktemp("runs")
    return {
        preset: [
            write_run(root / f"{preset}{seed}", seed=seed, preset=preset, weights=10 * number + seed)
            for seed in range(3)
        ]
        for number, preset in enumerate(("paper", "plain"))
    }


@pytest.fixture(scope="module")
def filmed(archive: Path) -> TrackletTable:
    return open_archive(archive).subset("query", "gallery")


@pytest.fixture(scope="module")
def cards(
    runs: dict[str, list[Path]], filmed: TrackletTable, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Card]]:
    """Each run measured by itself."""
    out = tmp_path_factory.mktemp("cards")
    return {
        preset: [
            measure(load_checkpoint(run), filmed, out=out / run.name, config=CONFIG, embed=EMBED)
            for run in folders
        ]
        for preset, folders in runs.items()
    }


def together(
    runs: dict[str, list[Path]], filmed: TrackletTable, out: Path, *, against: bool = True, **kwargs: Any
) -> Study:
    methods = read_methods(runs["paper"], against=runs["plain"] if against else ())
    asked: dict[str, Any] = {"config": CONFIG, "embed": EMBED, **kwargs}
    return measure_methods(methods, filmed, out=out, device=torch.device("cpu"), **asked)


@pytest.fixture(scope="module")
def found(
    runs: dict[str, list[Path]], filmed: TrackletTable, tmp_path_factory: pytest.TempPathFactory
) -> Study:
    return together(runs, filmed, tmp_path_factory.mktemp("together"))


def test_one_run_says_what_evaluation_and_comparison_say(cards: dict[str, list[Card]]) -> None:
    card = cards["paper"][0]
    for direction, curve in enumerate(of_one(card).methods[0].curves):
        for n, point in enumerate(card.points):
            new, old = point.results[direction], card.clean[direction]
            comparison = compare(new, old, bootstrap=BOOTSTRAP)
            for name in METRICS:
                for spread, estimate in (
                    (curve.clean[name], old.metrics[name]),
                    (curve.levels[n][name], new.metrics[name]),
                    (curve.changes[n][name], comparison.differences[name]),
                ):
                    assert (spread.mean, spread.low, spread.high) == pytest.approx(
                        (estimate.value, estimate.low, estimate.high)
                    )
                assert comparison.share_above_zero is not None
                above = curve.changes[n][name].above_zero
                assert above == pytest.approx(comparison.share_above_zero[name])


def test_means_and_differences_are_those_of_the_single_cards(
    found: Study, cards: dict[str, list[Card]]
) -> None:
    def values(preset: str, direction: int, level: int | None) -> np.ndarray:
        """float64 [run, metric]."""
        results = [c.clean if level is None else c.points[level].results for c in cards[preset]]
        return np.array([[r[direction].metrics[name].value for name in METRICS] for r in results])

    def means(scores: Any) -> np.ndarray:
        return np.array([scores[name].mean for name in METRICS])

    moved = 0
    for direction in range(2):
        ours, theirs = (method.curves[direction] for method in found.methods)
        ahead = found.ahead[direction]
        clean = [values(preset, direction, None) for preset in ("paper", "plain")]
        np.testing.assert_allclose(means(ours.clean), clean[0].mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(means(ahead.clean), (clean[0] - clean[1]).mean(axis=0), atol=1e-12)
        for level in range(2):
            a, b = (values(preset, direction, level) for preset in ("paper", "plain"))
            np.testing.assert_allclose(means(ours.levels[level]), a.mean(axis=0), atol=1e-12)
            np.testing.assert_allclose(means(theirs.changes[level]), (b - clean[1]).mean(axis=0), atol=1e-12)
            np.testing.assert_allclose(means(ahead.levels[level]), (a - b).mean(axis=0), atol=1e-12)
            beyond = (a - clean[0]) - (b - clean[1])
            np.testing.assert_allclose(means(ahead.changes[level]), beyond.mean(axis=0), atol=1e-12)
            seen = ahead.levels[level]["mAP"].per_seed
            np.testing.assert_allclose(list(seen.values()), (a - b)[:, METRICS.index("mAP")], atol=1e-12)
            moved += int(np.abs(a - b).max() > 0) + int(np.abs(beyond).max() > 0)
    assert moved > 4, "the methods differ"


def test_intervals_hold_runs_and_people(found: Study) -> None:
    for method in found.methods:
        for curve in method.curves:
            for score in (curve.clean["mAP"], curve.levels[0]["mAP"]):
                assert score.low is not None
                assert score.high is not None
                assert score.people_low is not None
                assert score.people_high is not None
                assert 0 <= score.low < score.people_low < score.people_high < score.high <= 1
    assert any(curve.changes[0]["mAP"].low for curve in found.ahead)


def test_runs_may_be_named_in_another_order(
    runs: dict[str, list[Path]], filmed: TrackletTable, found: Study, tmp_path: Path
) -> None:
    turned = {"paper": runs["paper"], "plain": runs["plain"][::-1]}
    again = together(turned, filmed, tmp_path)
    assert [run.seed for run in again.methods[1].runs] == [0, 1, 2]
    assert again.ahead == found.ahead


def test_killed_in_the_other_method_and_started_again(
    runs: dict[str, list[Path]],
    filmed: TrackletTable,
    found: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class KilledError(Exception):
        pass

    told = list[tuple[int, int]]()

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if done > 0.7 * total:
            raise KilledError

    with pytest.raises(KilledError):
        together(runs, filmed, tmp_path, tell=tell)
    assert told == sorted(told)
    before = files_of(tmp_path / "also")
    again = together(runs, filmed, tmp_path)
    assert card_data(again) == card_data(found)
    assert files_of(tmp_path / "also") == before, "what was done stays"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["against", "also", "clean", "levels"]
    assert sorted(path.name for path in (tmp_path / "against").iterdir()) == ["seed0", "seed1", "seed2"]
    monkeypatch.setattr(embed.Embedder, "_features", None)  # nothing is left to embed
    fewer = together(runs, filmed, tmp_path, against=False)
    assert fewer.methods[0].curves == found.methods[0].curves


@pytest.mark.parametrize("which", ["first", "also", "against"])
def test_a_folder_of_other_runs_is_refused(
    which: str, runs: dict[str, list[Path]], filmed: TrackletTable, found: Study, tmp_path: Path
) -> None:
    mine = {name: list(folders) for name, folders in runs.items()}
    together(mine, filmed, tmp_path)
    before = files_of(tmp_path)
    preset, place = ("plain" if which == "against" else "paper"), (1 if which == "also" else 0)
    mine[preset][place] = write_run(tmp_path.parent / f"other-{which}", seed=place, preset=preset, weights=77)
    with pytest.raises(ConfigError, match="Choose another folder"):
        together(mine, filmed, tmp_path)
    assert files_of(tmp_path) == before


def test_one_run_against_one_may_be_of_any_seed(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", seed=None)
    b = write_run(tmp_path / "b", seed=3, preset="plain", weights=1)
    assert [method.name for method in read_methods([a], against=[b])] == ["paper", "plain"]


def test_methods_of_one_preset_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    a = write_run(tmp_path / "wide", seed=0)
    b = write_run(tmp_path / "narrow", seed=0, weights=1, epochs=9)
    assert [method.name for method in read_methods([a], against=[b])] == ["wide", "narrow"]
    named = read_methods([a], against=[b], names=["ours", "theirs"])
    assert [method.name for method in named] == ["ours", "theirs"]


def test_held_out_people_may_differ_by_seed(tmp_path: Path) -> None:
    folders = []
    for seed in (0, 1):
        folder = write_run(tmp_path / str(seed), seed=seed, weights=seed, sha256=f"of seed {seed}")
        model = load_checkpoint(folder)
        known = dict(model.checkpoint.provenance)
        known["config"] = {**known["config"], "selection": {"held_out": 0.1}}
        save_checkpoint(folder, model.network, replace(model.checkpoint, provenance=known))
        folders.append(folder)
    assert len(read_methods(folders)[0].runs) == 2


def test_what_cannot_be_put_together_is_refused(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", seed=0)
    others = {
        "same model": write_run(tmp_path / "twin", seed=1),
        "training seeds, each another": write_run(tmp_path / "seed", seed=0, weights=1),
        "training seeds": write_run(tmp_path / "none", seed=None, weights=2),
        r"train\.epochs": write_run(tmp_path / "epochs", seed=1, weights=3, epochs=9),
        r"data\.sha256": write_run(tmp_path / "data", seed=1, weights=4, sha256="other"),
    }
    for message, folder in others.items():
        with pytest.raises(ConfigError) as told:
            read_methods([first, folder])
        assert re.search(message, str(told.value)), message
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_methods([first, tmp_path / "missing"])
    more = [first, write_run(tmp_path / "one", seed=1, weights=5)]
    rival = write_run(tmp_path / "rival", seed=0, preset="plain", weights=6)
    with pytest.raises(ConfigError, match="cannot be paired"):
        read_methods(more, against=[rival])
    with pytest.raises(ConfigError, match="same model"):
        read_methods([first], against=[first])
    with pytest.raises(ConfigError, match="names do not fit"):
        read_methods([first], against=[rival], names=["one"])


def test_other_queries_cannot_be_compared(cards: dict[str, list[Card]]) -> None:
    card = cards["paper"][0]
    mine = RunScores.of(card)
    less = replace(mine, clean=tuple(replace(s, queries=s.queries[::-1]) for s in mine.clean))
    with pytest.raises(ProtocolError, match="cannot be compared"):
        study(card, [("a", [mine]), ("b", [less])])


def test_the_record_of_two_methods(found: Study) -> None:
    data = json.loads(json.dumps(card_data(found), allow_nan=False))
    assert data["methods"] == ["paper", "plain"]
    assert [(run["method"], run["seed"]) for run in data["runs"]] == [
        (name, seed) for name in ("paper", "plain") for seed in range(3)
    ]
    assert len({run["origin"]["checkpoint"] for run in data["runs"]}) == 6
    (blur, _) = data["kinds"]
    entry = blur["levels"][0]["directions"][0]
    ours, theirs = entry["metrics"]["mAP"], entry["against"]["metrics"]["mAP"]
    assert set(ours["per_seed"]) == {"0", "1", "2"}
    assert np.mean(list(ours["per_seed"].values())) == pytest.approx(ours["value"])
    assert entry["minus_against"]["mAP"]["value"] == pytest.approx(ours["value"] - theirs["value"])
    clean = data["clean"][0]
    assert clean["interval"]["over"] == "training seeds and query identities, crossed"
    beyond = entry["minus_against"]["mAP"]["value"] - clean["minus_against"]["mAP"]["value"]
    assert entry["minus_against_beyond_clean"]["mAP"]["value"] == pytest.approx(beyond)


def test_page_and_text_of_several_runs(found: Study, cards: dict[str, list[Card]]) -> None:
    alone = study(found.card, [("paper", found.methods[0].runs)])
    page, text = render_card(alone), format_card(alone)
    for shown in (page, text):
        assert "seeds 0, 1, 2" in shown
        assert "training seeds and query identities" in shown
    assert "over training seeds and the searched people" in page
    assert "another training seed is not in the intervals" not in page
    assert "another training seed is not in the intervals" in render_card(of_one(cards["paper"][0]))
    both, table = render_card(found), format_card(found)
    assert both.count('role="img"') == 3, "blur in both directions, infrared noise for infrared queries"
    assert both.count("</polyline>") + both.count("<polyline") == 6, "a curve of each method"
    difference = 100 * found.ahead[0].levels[0]["Rank-1"].mean
    assert f"{difference:+.1f}" in both
    (line,) = [line for line in table.splitlines() if line.startswith("blur")]
    assert f"{difference:+.1f}" in line
    assert "paper: 3 runs (seeds 0, 1, 2) against plain: 3 runs (seeds 0, 1, 2)" in table


def test_the_command(
    runs: dict[str, list[Path]], archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = ([str(folder) for folder in runs[name][:2]] for name in ("paper", "plain"))
    words = ["robustness", ours[0], str(archive), "--out", str(tmp_path / "out"), "--kinds", "blur=4"]
    words += ["--resamples", "20", "--batch", "5"]
    assert main([*words, "--also", ours[1], "--against", *theirs, "--names", "A & B", "C"]) == 0
    shown = capsys.readouterr()
    assert "I2V Rank-1: A & B, C, difference" in shown.out
    assert "robustness: C, seed 1: blur 4: Rank-1 I2V" in shown.err
    assert "A &amp; B" in (tmp_path / "out" / "robustness.html").read_text(encoding="utf-8")
    first = files_of(tmp_path / "out")
    assert main([*words, "--also", theirs[1]]) == 2
    assert "of different methods" in capsys.readouterr().err
    assert files_of(tmp_path / "out") == first
