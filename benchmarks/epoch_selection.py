"""What choosing the epoch on the test set adds to a score.

    python benchmarks/epoch_selection.py --data ARCHIVE --out FOLDER [--weights RUN] [--seeds 3] [--epochs 20]

Trains a preset with a share of the training people held out and, unlike any trainer of this package, looks
at the test split after every `--every` epochs. Prints, per seed and in the mean, the test scores of the last
epoch, of the best on the held-out people, and of the best on the test itself, and writes results.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xreid.data.archive import open_archive
from xreid.training import pieces
from xreid.training.loop import train
from xreid.training.presets import preset_named
from xreid.training.selection import HeldOutScore
from xreid.training.settings import changed

RULES = ("last", "best on held-out people", "best on the test")
SHOWN = ("I2V Rank-1", "I2V mAP", "V2I Rank-1", "V2I mAP")


def watched(config: Any, *, data: Path, out: Path) -> list[dict[str, dict[str, float]]]:
    """Train, and return for every epoch looked at its scores, by "held out" and "test"."""
    seen: list[dict[str, dict[str, float]]] = []
    test = open_archive(data).subset("query", "gallery")

    class Both(HeldOutScore):
        """Scores the held-out people for the trainer, and the test split for us."""

        def __init__(self, table: Any, **named: Any) -> None:
            super().__init__(table, **named)
            self.test = HeldOutScore(test, **named)

        def __call__(self) -> dict[str, float]:
            scores = super().__call__()
            seen.append({"held out": scores, "test": self.test()})
            return scores

    original, pieces.HeldOutScore = pieces.HeldOutScore, Both  # type: ignore[misc]
    try:
        train(config, data=data, out=out)
    finally:
        pieces.HeldOutScore = original  # type: ignore[misc]
    return seen


def chosen(seen: list[dict[str, dict[str, float]]]) -> dict[str, Mapping[str, float]]:
    """The test scores of the epoch that each rule keeps; mAP over both directions decides."""
    best = {on: int(np.argmax([s[on]["mAP"] for s in seen])) for on in ("held out", "test")}
    kept = (len(seen) - 1, best["held out"], best["test"])
    return {rule: seen[epoch]["test"] for rule, epoch in zip(RULES, kept, strict=True)}


def main() -> None:
    """Print test Rank-1 and mAP, in percent, of the epochs that the three rules choose."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--lr", type=float, default=5e-4)
    asked = parser.parse_args()
    found, curves = [], []
    for seed in range(asked.seeds):
        changes: dict[str, Any] = {
            "train": {"seed": seed, "epochs": asked.epochs, "tensorboard": False},
            "optimiser": {"lr": asked.lr},
            "selection": {"held_out": 0.2, "every": asked.every},
            "network": {"weights": asked.weights},
        }
        config = changed(preset_named(asked.preset, scale="tiny"), changes)
        curves.append(watched(config, data=asked.data, out=asked.out / f"seed{seed}"))
        found.append(chosen(curves[-1]))
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "results.json").write_text(json.dumps({"curves": curves, "chosen": found}, indent=1))
        for rule in RULES:
            print(
                f"seed {seed}  {rule:<24}", *(f"{name} {100 * found[-1][rule][name]:5.1f}" for name in SHOWN)
            )
    for rule in RULES:
        means = (np.mean([100 * one[rule][name] for one in found]) for name in SHOWN)
        print(f"mean    {rule:<24}", *(f"{n} {m:5.1f}" for n, m in zip(SHOWN, means, strict=True)))


if __name__ == "__main__":
    main()
