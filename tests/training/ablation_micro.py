"""Ablations of a second a run: the micro network on four people of grey frames."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from xreid.evaluation.intervals import Bootstrap
from xreid.training.ablation import Ablation, ablate
from xreid.training.ablation_plan import AblationConfig
from xreid.training.ablation_pool import Machine
from xreid.training.ablation_tables import tables_named

OVERRIDES: dict[str, Any] = {
    "network": {
        "frame_size": [16, 8],
        "patch": 4,
        "width": 16,
        "depth": 1,
        "heads": 2,
        "projection": 8,
        "interaction_heads": 2,
        "stem": "patch",
    },
    "batch": {"identities": 4, "per_epoch": 2},
    "augment": {"pad": 1},
    "train": {"epochs": 1, "precision": "fp32", "tensorboard": False},
    "prompts": {"epochs": 1},
}


def asked(seeds: int = 2, **changes: Any) -> AblationConfig:
    """Two seeds at scale tiny, made smaller still."""
    usual: dict[str, Any] = {
        "scale": "tiny",
        "seeds": tuple(range(seeds)),
        "overrides": OVERRIDES,
        "bootstrap": Bootstrap(resamples=50),
    }
    return AblationConfig(**{**usual, **changes})


def run(names: str, data: Path, out: Path, *, jobs: int = 0, train: bool = True, **changes: Any) -> Ablation:
    """Ablate, by default in this process."""
    machine = Machine(jobs=jobs, device="cpu", threads=1, cache_mib=16)
    tables = tables_named(names.split())
    return ablate(tables, asked(**changes), data=data, out=out, machine=machine, train=train)


def run_and_die(names: str, data: Path, out: Path, count: int) -> None:
    """Ablate, and die by SIGKILL at the `count`-th training step of all runs."""
    from xreid.training.step import Stepper

    original, calls = Stepper.__call__, 0

    def counted(self: Stepper, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments, **named)

    Stepper.__call__ = counted  # type: ignore[method-assign]
    run(names, data, out)


def run_without_failure(names: str, data: Path, out: Path, jobs: int) -> None:
    """Ablate with one seed, and fail where a run does."""
    assert run(names, data, out, jobs=jobs, seeds=1).failures == {}
