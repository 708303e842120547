"""The robustness card: scores against a naive evaluator, resumed after a kill, from the command line."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.data.tiny_archives import write_bupt
from tests.evaluation.problems import naive_evaluation
from tests.inference.small import write_model
from tests.training.micro import files_of, in_process
from xreid.cli.main import main
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality, TrackletTable, index_of
from xreid.data import open_archive
from xreid.data.augment import Normalise
from xreid.data.clips import ClipReader
from xreid.data.loader import evaluation_clips
from xreid.data.perturb import KINDS, Perturbation
from xreid.data.sampling import chunk_first
from xreid.evaluation.evaluator import sides
from xreid.evaluation.intervals import Bootstrap, Estimate
from xreid.evaluation.metrics import METRICS
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS
from xreid.evaluation.selection import select
from xreid.inference import embed
from xreid.inference.checkpoint import LoadedModel, load_checkpoint
from xreid.inference.embed import EmbedConfig, embed_tracklets
from xreid.inference.robustness import Card, RobustnessConfig, measure
from xreid.inference.robustness_chart import Mark, level_chart
from xreid.inference.robustness_page import render_card
from xreid.inference.robustness_report import card_data, format_card, write_card
from xreid.inference.robustness_study import of_one

EMBED = EmbedConfig(clips_per_batch=4, tracklets_per_part=10)
KINDS_HERE = ("frames=1,100", "blur=4", "switch=50", "ir-noise=40")


@pytest.fixture(scope="module")
def filmed(archive: Path) -> TrackletTable:
    return open_archive(archive).subset("query", "gallery")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return write_model(tmp_path_factory.mktemp("model"))


def config(**changes: Any) -> RobustnessConfig:
    return replace(RobustnessConfig(kinds=KINDS_HERE, bootstrap=Bootstrap(resamples=50)), **changes)


@pytest.fixture(scope="module")
def card(model: LoadedModel, filmed: TrackletTable, tmp_path_factory: pytest.TempPathFactory) -> Card:
    return measure(model, filmed, out=tmp_path_factory.mktemp("card"), config=config(), embed=EMBED)


def naive_scores(card: Card, out: Path, number: int, level: str, side: str) -> np.ndarray:
    """Means over the valid queries, from the vectors on disk, with the perturbed side exchanged."""
    clean = EmbeddingSet.load(out / "clean")
    vectors = clean.vectors.copy()
    if (out / "levels" / level).is_dir():
        perturbed = EmbeddingSet.load(out / "levels" / level)
        place = {row.name: i for i, row in enumerate(clean.table)}
        for row, vector in zip(perturbed.table, perturbed.vectors, strict=True):
            vectors[place[row.name]] = vector
    worse = replace(clean, vectors=vectors)
    selection = select(clean.table, card.protocol, direction=DEFAULT_DIRECTIONS[number])
    query = sides(worse if side != "gallery" else clean, selection, protocol=card.protocol)[0]
    gallery = sides(worse if side != "queries" else clean, selection, protocol=card.protocol)[1]
    return np.mean([values for values in naive_evaluation(query, gallery).values if values], axis=0)


@pytest.mark.parametrize("side", ["queries", "gallery", "both"])
def test_scores_are_the_naive_ones_and_differences_are_theirs(
    side: Any, model: LoadedModel, filmed: TrackletTable, tmp_path: Path
) -> None:
    card = measure(model, filmed, out=tmp_path, config=config(side=side), embed=EMBED)
    assert len(card.points) == 5
    moved, curves = 0, of_one(card).methods[0].curves
    for level_number, point in enumerate(card.points):
        level = f"{point.perturbation.kind}_{point.perturbation.level:g}"
        for number, result in enumerate(point.results):
            found = np.array([result.metrics[name].value for name in METRICS])
            before = np.array([card.clean[number].metrics[name].value for name in METRICS])
            change = [curves[number].changes[level_number][name].mean for name in METRICS]
            np.testing.assert_allclose(found, naive_scores(card, tmp_path, number, level, side), atol=1e-12)
            np.testing.assert_allclose(change, found - before, atol=1e-12)
            moved += not np.array_equal(found, before)
    assert moved > 3, "the perturbations reach the scores"


def test_clean_is_what_embed_writes_to_the_bit(
    card: Card, model: LoadedModel, filmed: TrackletTable, tmp_path: Path
) -> None:
    plain = embed_tracklets(model, filmed, out=tmp_path / "plain", config=EMBED)
    assert np.array_equal(card.embeddings.vectors, plain.vectors)
    assert card.embeddings.origin == plain.origin
    for kind in KINDS:
        change = Perturbation(kind=kind, level=0.0)
        same = embed_tracklets(
            model, change.table(filmed), out=tmp_path / kind, config=EMBED, transform=change
        )
        assert np.array_equal(same.vectors, plain.vectors), kind
        assert same.origin.key != plain.origin.key, "stamped all the same"


def test_only_what_changes_is_embedded(
    card: Card, model: LoadedModel, filmed: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = list[int]()
    original = embed.Embedder._features
    monkeypatch.setattr(
        embed.Embedder, "_features", lambda self, b: (rows.append(len(b)), original(self, b))[1]
    )
    told = list[tuple[int, int]]()
    measure(
        model,
        filmed,
        out=tmp_path,
        config=config(),
        embed=EMBED,
        tell=lambda done, total: told.append((done, total)),
    )
    infrared = sum(row.modality is Modality.INFRARED for row in filmed)
    everybody = len(filmed)
    assert sum(rows) == everybody + 3 * everybody + infrared  # clean; frames=1, blur, switch; noise
    assert told[-1] == (sum(rows), sum(rows))
    assert told == sorted(told)
    assert sorted(p.name for p in (tmp_path / "levels").iterdir()) == [
        "blur_4", "frames_1", "ir-noise_40", "switch_50",
    ]  # fmt: skip
    untouched = card.of_kind("frames")[1]
    assert untouched.changed == (0, 0)
    assert untouched.results == card.clean
    assert all(curve.changes[1]["mAP"].mean == 0 for curve in of_one(card).methods[0].curves)
    assert card.of_kind("ir-noise")[0].changed == (infrared, 0)
    assert card.of_kind("switch")[0].same_camera == everybody


@pytest.mark.parametrize("kind", ["blur", "switch", "ir-noise"])
def test_levels_hold_the_vectors_of_perturbed_frames(
    kind: str, model: LoadedModel, filmed: TrackletTable, tmp_path: Path
) -> None:
    (level,) = [text.partition("=")[2] for text in KINDS_HERE if text.startswith(kind)]
    measure(model, filmed, out=tmp_path, config=config(kinds=(f"{kind}={level}",)), embed=EMBED)
    stored = EmbeddingSet.load(tmp_path / "levels" / f"{kind}_{level}")
    change, normalise = Perturbation(kind=kind, level=float(level)), Normalise()
    reader = ClipReader(change.table(filmed), size=model.network.config.frame_size)
    camera_of, expected = index_of(model.checkpoint.network.cameras), []
    for number, row in enumerate(filmed):
        if kind == "ir-noise" and row.modality is Modality.VISIBLE:
            continue
        frames = chunk_first(len(row.frames), 3)
        pixels = change(reader.read_array(number, frames), row, frames)
        camera = torch.tensor([camera_of.get(row.camera or "", -1)])
        with torch.no_grad():
            features = model.network.features(normalise(torch.from_numpy(pixels))[None], camera)[0]
        expected.append(F.normalize(features, dim=0).numpy())
    np.testing.assert_allclose(stored.vectors, np.stack(expected), atol=2e-6)


def test_of_lists_only_the_perturbed_one_is_embedded(model: LoadedModel, tmp_path: Path) -> None:
    table = open_archive(write_bupt(tmp_path / "bupt")).subset("query", "gallery")
    for side, subsets in (("queries", {"query"}), ("gallery", {"gallery"}), ("both", {"query", "gallery"})):
        out = tmp_path / side
        card = measure(
            model,
            table,
            out=out,
            config=config(kinds=("blur=4",), side=side),
            embed=EMBED,  # type: ignore[arg-type]
        )
        stored = EmbeddingSet.load(out / "levels" / "blur_4").table
        assert {row.subset for row in stored} == subsets
        assert len(stored) == sum(row.subset in subsets for row in table)
        assert card.protocol.name == "bupt-campus/full"


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.pixels])
def test_workers_see_the_same_pixels(kind: str, filmed: TrackletTable) -> None:
    change = Perturbation(kind=kind, level=KINDS[kind].levels[-1])
    clips = [
        [
            batch.clips
            for batch in evaluation_clips(
                ClipReader(filmed, size=(32, 16), transform=change),
                range(0, len(filmed), 3),
                frames_per_clip=2,
                clips_per_batch=3,
                workers=workers,
            )
        ]
        for workers in (0, 2)
    ]
    assert all((a == b).all() for a, b in zip(*clips, strict=True))


def _measure_and_die(checkpoint: Path, table: TrackletTable, out: Path, after: int) -> None:
    calls = 0

    def count(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            os.kill(os.getpid(), signal.SIGKILL)

    measure(load_checkpoint(checkpoint), table, out=out, config=config(), embed=EMBED, tell=count)


def test_killed_and_started_again(
    card: Card, filmed: TrackletTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "model")
    for after in (2, 9):  # in the clean set, and in the second level
        assert in_process(_measure_and_die, tmp_path / "model", filmed, tmp_path / "out", after) == -9
    done = [path.name for path in (tmp_path / "out" / "levels").iterdir() if not path.name.startswith(".")]
    assert 0 < len(done) < 4
    before = {name: (tmp_path / "out" / "levels" / name / "vectors.npy").stat().st_mtime_ns for name in done}
    again = measure(model, filmed, out=tmp_path / "out", config=config(), embed=EMBED)
    after_ = {name: (tmp_path / "out" / "levels" / name / "vectors.npy").stat().st_mtime_ns for name in done}
    assert after_ == before
    assert card_data(of_one(again)) == card_data(of_one(card))
    write_card(of_one(again), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "clean", "levels", "robustness.html", "robustness.json",
    ]  # fmt: skip
    monkeypatch.setattr(embed.Embedder, "_features", None)  # nothing is left to embed
    for side in ("gallery", "both"):
        measure(model, filmed, out=tmp_path / "out", config=config(side=side), embed=EMBED)
    with pytest.raises(ConfigError, match="Choose another folder"):
        measure(model, filmed, out=tmp_path / "out", config=config(seed=1), embed=EMBED)


def test_the_record_holds_everything(card: Card) -> None:
    data = json.loads(json.dumps(card_data(of_one(card)), allow_nan=False))
    assert data["protocol"]["label"] == card.protocol.label
    assert data["origin"]["checkpoint"] == card.embeddings.origin.checkpoint
    assert data["seeds"] == {"perturbations": 0, "bootstrap": 0}
    assert data["perturbed"] == "queries"
    assert [entry["kind"] for entry in data["kinds"]] == ["frames", "blur", "switch", "ir-noise"]
    assert [level["level"] for level in data["kinds"][0]["levels"]] == [1, 100]
    blur = data["kinds"][1]["levels"][0]["directions"][0]
    assert blur["direction"] == "I2V"
    assert set(blur["metrics"]) == set(blur["minus_clean"]) == set(METRICS)
    assert blur["metrics"]["mAP"]["low"] <= blur["metrics"]["mAP"]["value"] <= blur["metrics"]["mAP"]["high"]
    assert data["kinds"][2]["levels"][0]["changed_same_camera"] == data["tracklets"]
    assert len(data["clean"]) == 2


def test_the_page_and_the_text(card: Card) -> None:
    page, text = render_card(of_one(card)), format_card(of_one(card))
    assert page.count("<svg") == 6, "a chart for each kind, and the legend's two dots"
    assert "http" not in page
    assert page.count("data:image/png") == 4, "blur and noise: clean and one level each"
    assert page.count("no perturbed tracklet, so unchanged") == 1, "visible queries have no infrared noise"
    assert card.protocol.label in page
    assert card.protocol.label in text
    shown = f"{100 * card.of_kind('blur')[0].results[0].rank1:.1f}"
    assert any(line.split()[:3] == ["blur", "4%", shown] for line in text.splitlines())
    assert any(line.endswith("as clean") for line in text.splitlines() if line.startswith("ir-noise"))


def test_every_output_says_how_the_epoch_was_chosen_and_with_which_seed(card: Card) -> None:
    selection = {"epoch": 7, "of_epochs": 9, "held_out_identities": 40, "keep": "best"}
    known = of_one(replace(card, trained={"preset": "paper", "seed": 53, "selection": selection}))
    rule = "epoch 7 of 9, the best mAP (mean of I2V and V2I) on 40 held-out training people"
    assert card_data(known)["trained"] == known.card.trained
    for text in (render_card(known), format_card(known)):
        assert rule in text
        assert "53" in text
    assert "not recorded" in format_card(of_one(replace(card, trained={})))


def test_scores_have_intervals_and_those_without_width_are_cautioned(card: Card) -> None:
    (clean,) = [line for line in format_card(of_one(card)).splitlines() if line.startswith("clean")]
    assert clean.count("[") == len(card.clean)
    point = replace(card.points[0], results=card.clean)
    same, other = (of_one(replace(card, points=(p,))) for p in (point, card.of_kind("blur")[0]))
    texts = [(format_card(one), render_card(one), str(card_data(one)["warnings"])) for one in (same, other)]
    assert all("no width" in text for text in texts[0])
    assert not any("no width" in text for text in texts[1])


def mark(place: float, value: float, *, sure: bool = True, low: float | None = 0.1) -> Mark:
    high = None if low is None else 0.9
    return Mark(place=place, label=f"{place:g}", score=Estimate(value=value, low=low, high=high), sure=sure)


def test_the_chart_shows_every_point_interval_and_doubt() -> None:
    curves = [
        ("I2V", 0, [mark(0, 0.75), mark(5, 0.5, sure=False), mark(5.2, 0.4), mark(10, 0.25)]),
        ("V2I", 1, [mark(0, 0.7), mark(5, 0.25), mark(5.2, 0.2), mark(10, 0.26, low=None)]),
    ]
    root = ElementTree.fromstring(level_chart(curves, axis="a < b", title='"x"'))
    circles = root.findall(".//circle")
    assert len(circles) == 8
    assert [c.get("class") for c in circles] == [None, "open", *[None] * 6]
    assert len(root.findall(".//path")) == 7, "no interval, no bar"
    heights = [float(c.get("cy", "nan")) for c in circles[:4]]
    zero, hundred = (float(line.get("y1", "nan")) for line in (root.findall(".//line")[i] for i in (0, 4)))
    for height, value in zip(heights, (0.75, 0.5, 0.4, 0.25), strict=True):
        assert abs(height - (zero + value * (hundred - zero))) < 0.1
    ticks = [t.text for t in root.findall("./text") if t.get("text-anchor") == "middle"]
    assert ticks == ["0", "5", "10", "a < b"], "5.2 would run into 5"
    names = {t.text: float(t.get("y", "nan")) for t in root.findall(".//g/text")}
    assert abs(names["I2V"] - names["V2I"]) >= 18, "names of curves that end together stay apart"


def test_a_chart_of_one_place() -> None:
    assert ElementTree.fromstring(level_chart([("I2V", 0, [mark(0, 0.5)])], axis="a", title="t"))


def test_the_command(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "run" / "checkpoint")
    words = ["robustness", str(tmp_path / "run"), str(archive), "--out", str(tmp_path / "out")]
    words += ["--kinds", "occlusion=50", "ir-gain=-2,2", "--resamples", "20", "--batch", "5"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "occlusion 50%" in shown.out
    assert "ir-gain +2" in shown.out
    assert "robustness: occlusion 50: Rank-1 I2V" in shown.err
    first = files_of(tmp_path / "out")
    assert {"robustness.json", "robustness.html", "clean/vectors.npy"} <= set(first)
    assert main(words) == 0
    assert files_of(tmp_path / "out") == first
    assert main([*words, "--seed", "3"]) == 2
    assert "Choose another folder" in capsys.readouterr().err
    assert files_of(tmp_path / "out") == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "fog"], "no such kind of perturbation: 'fog'"),
        (["--kinds", "blur", "blur=1"], "named once each"),
        (["--side", "left"], "side"),
        (["--protocol", "mine"], "no such protocol"),
        (["--protocol", "generic/lists"], "there is no query tracklet"),
        (["--subset", "query"], "no gallery"),
        (["--batch", "0"], "clips_per_batch is out of range"),
        (["--workers=-1"], "must not be negative"),
        (["--resamples=-1"], "bootstrap cannot be drawn"),
        (["--device", "abacus"], "unknown device"),
    ],
)
def test_one_line_and_exit_code_2_before_anything_is_written(
    arguments: list[str], message: str, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "model")
    words = ["robustness", str(tmp_path / "model"), str(archive), str(tmp_path / "out"), *arguments]
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith("xreid: error: ")
    assert not (tmp_path / "out").exists()
