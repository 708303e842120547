"""`xreid ablate`: its own options, settings for all rows, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from xreid.cli import ablate
from xreid.core.errors import ConfigError
from xreid.training.ablation import Ablation

PLACE = ["--data", "archive", "--out", "out"]


def test_own_options_and_settings_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("train: {epochs: 9, precision: fp32}\n")
    words = "--optimiser.lr 5e-4 --seeds 2 --network.classifiers [proj,cls] --train.epochs=3 --weights none"
    options, overrides = ablate._parse(
        ["table3", "fig4", *PLACE, *words.split(), "--settings", str(file), "--batch.per-epoch", "null"]
    )
    assert (options.tables, options.seeds, options.scale) == (["table3", "fig4"], 2, "vit-b16")
    assert overrides == {
        "train": {"epochs": 9, "precision": "fp32"},
        "network.weights": None,
        "optimiser.lr": 5e-4,
        "network.classifiers": ["proj", "cls"],
        "train.epochs": 3,
        "batch.per_epoch": None,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("table3 --train.epochs many", "epochs"),
        ("table3 --train.epoch 3", "epoch"),
        ("table3 --seeds 0", "--seeds"),
        ("table3 --evaluate train", "evaluate"),
        ("--seeds 3", "tables"),
    ],
)
def test_wrong_options_are_named(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ablate._parse([*words.split(), *PLACE])


@pytest.mark.parametrize(("failures", "code"), [({}, 0), ({"out/runs/a": "no weights"}, 2)])
def test_a_failed_run_is_named_and_exits_with_2(
    failures: dict[str, str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Ablation(tables=(), folders=(), failures=failures, page=Path("out/index.html"))
    monkeypatch.setattr(ablate, "_ablate", lambda options, overrides: done)
    assert ablate.main(["table3", *PLACE]) == code
    shown = capsys.readouterr()
    assert "out/index.html" in shown.out
    assert shown.err == ("xreid: error: out/runs/a: no weights\n" if code else "")
