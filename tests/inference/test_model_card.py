"""The card says what the checkpoint knows, in the hub's form, and takes no other model's scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.inference.small import write_model
from xreid import write_model_card
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import DataError
from xreid.core.files import write_json
from xreid.core.tracklets import TrackletTable
from xreid.data.names import SIMULATION_LICENCE
from xreid.evaluation.calibration import Calibration, KindCalibration, Threshold
from xreid.evaluation.evaluator import evaluate_directions
from xreid.evaluation.protocols import protocol_named
from xreid.evaluation.report import write_report
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.embed import embed_tracklets
from xreid.inference.model_card import model_card

LAYOUT = [("bn_cls", 16)]


def card_of(model: LoadedModel, **changes: object) -> ModelCard:
    checkpoint = replace(model.checkpoint, **changes)  # type: ignore[arg-type]
    return ModelCard(model_card(checkpoint, layout=LAYOUT, sha256=model.sha256))


def evaluated(model: LoadedModel, table: TrackletTable, folder: Path) -> tuple[EmbeddingSet, Path]:
    embeddings = embed_tracklets(model, table, out=folder / "embeddings")
    protocol = protocol_named("auto", table=table)
    write_report(evaluate_directions(embeddings, protocol), embeddings, folder / "evaluation", per_kind=0)
    return embeddings, folder / "evaluation"


def test_every_checkpoint_has_one(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.license_name == "for-tests"
    assert card.data.library_name == "xreid"
    assert {"person-re-identification", "x-reid", "hitsz-vcm"} <= set(card.data.tags)
    for part in (
        "What it must not be used for",
        model.sha256,
        "frames of 16 x 8 pixels, 3 of a clip",
        "None are",
    ):
        assert part in card.text


def test_terms_of_the_data_stay_with_the_model(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    terms = "non-commercial research only (HITSZ-VCM terms)"
    card = card_of(model, licence=terms)
    assert card.data.license_name == "non-commercial-research-only-hitsz-vcm-terms"
    assert f"- Terms: {terms}" in card.text
    assert "needs the consent" in card.text
    assert "simulator" not in card.text


def test_simulated_people_are_not_taken_for_an_archive(tmp_path: Path) -> None:
    card = card_of(write_model(tmp_path / "model"), licence=SIMULATION_LICENCE)
    assert "hitsz-vcm" not in card.data.tags
    assert card.text.strip().startswith("# x-reid on simulated people\n")
    assert "says nothing about real cameras" in card.text
    assert "consent of whoever" not in card.text


def test_what_the_run_knows(tmp_path: Path) -> None:
    provenance = {
        "preset": "paper",
        "seed": 3,
        "commit": None,
        "data": {"identities": 40, "tracklets": 160},
        "versions": {"xreid": "9.9", "torch": "2.12"},
        "selection": {
            "keep": "best",
            "epoch": 7,
            "of_epochs": 9,
            "held_out_identities": 5,
            "held_out_scores": {"mAP": 0.5, "I2V Rank-1": 0.25},
        },
    }
    text = card_of(write_model(tmp_path / "model"), provenance=provenance).text
    for part in ("- Preset: paper", "- Seed: 3", "- People: 40", "xreid 9.9", "- Epoch: 7 of 9, kept: best"):
        assert part in text
    assert "Commit" not in text
    assert "held out (they chose the epoch, which flatters): mAP 50.0%, I2V Rank-1 25.0%." in text
    kept = {**provenance, "selection": {**provenance["selection"], "keep": "last"}}  # type: ignore[dict-item]
    assert "who were held out: mAP" in card_of(write_model(tmp_path / "other"), provenance=kept).text


def test_no_path_of_the_encoder_weights(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    network = replace(model.checkpoint.network, weights="/home/somebody/clip.safetensors")
    text = card_of(model, network=network).text
    assert "from clip.safetensors" in text
    assert "somebody" not in text


def test_scores_of_an_evaluation(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "run" / "checkpoint")
    _, evaluation = evaluated(model, table, tmp_path)
    path = write_model_card(str(tmp_path / "run"), evaluation=str(evaluation))
    assert path == tmp_path / "run" / "checkpoint" / "README.md"
    summary = json.loads((evaluation / "evaluation.json").read_text())["results"][0]
    rank1 = summary["metrics"]["Rank-1"]
    card = ModelCard.load(path)
    assert (
        f"| hitsz-vcm | hitsz-vcm v1 [0633e362] | I2V | {summary['counts']['valid queries']} | "
        f"{100 * rank1['value']:.1f} [{100 * rank1['low']:.1f}, {100 * rank1['high']:.1f}] |"
    ) in card.text
    values = {r.metric_name: r.metric_value for r in card.data.eval_results}
    assert values["Rank-1, I2V, hitsz-vcm v1 [0633e362]"] == round(100 * rank1["value"], 2)
    assert len(values) == 4


def test_a_calibration_is_told(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    assert "## Calibration" not in write_model_card(tmp_path / "model").read_text()
    kind = KindCalibration(
        slope=20.0,
        offset=-9.0,
        knots=((0.0, -9.0), (1.0, 11.0)),
        positives=80,
        negatives=12_640,
        identities=80,
        stranger_cuts=(0.4, 0.5),
        threshold=Threshold(far=1e-3, score=0.683, tar=0.788, resolution="few"),
    )
    made = Calibration(
        method="logistic",
        kinds={
            "vis-ir": kind,
            "ir-ir": replace(kind, threshold=Threshold(far=1e-3, score=None, tar=None, resolution="too few")),
        },
        origin=model.origin(preprocessing={"frames": 3}, source="hitsz-vcm"),
        source="hitsz-vcm",
        identities=("1", "2", "3"),
        tracklets=12,
        protocol="hitsz-vcm v1 [0633e362]",
        fit_prior=0.01,
    )
    write_json(tmp_path / "model" / "calibration.json", made.to_json())
    text = write_model_card(tmp_path / "model").read_text()
    assert "Fitted on 3 people of hitsz-vcm" in text
    assert "| vis-ir | 0.683 | 0.10% | 78.8% |" in text
    assert "| ir-ir | - | 0.10% | - |" in text


def test_scores_of_another_model_are_refused(table: TrackletTable, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    _, evaluation = evaluated(write_model(tmp_path / "other", seed=1), table, tmp_path)
    before = (tmp_path / "model" / "README.md").read_bytes()
    with pytest.raises(DataError, match=f"of another model; expected checkpoint {model.sha256[:12]}"):
        write_model_card(tmp_path / "model", evaluation=evaluation)
    for text in ("{}", '{"results": [{}]}', '{"results": 3}', "[]", "no"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match="no evaluation|not JSON"):
            write_model_card(tmp_path / "model", evaluation=tmp_path / "bad.json")
    assert (tmp_path / "model" / "README.md").read_bytes() == before
