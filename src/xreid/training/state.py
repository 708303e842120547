"""The state of a run between two steps: saved whole or not at all, restored bit for bit.

Every random draw is a function of seed, epoch and position, so that there is no generator to save.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from xreid.core.errors import CheckpointError
from xreid.core.files import atomic_folder, read_json
from xreid.core.records import require_format
from xreid.inference.tensors import load_into, read_tensors, write_tensors
from xreid.losses.objective import Objective
from xreid.models.network import TrackletNetwork
from xreid.training.optimiser import optimiser_tensors, restore_optimiser

FORMAT = 1
_TENSORS, _NUMBERS = "state.safetensors", "state.json"


@dataclass(frozen=True, kw_only=True)
class Trainee:
    """What training changes.

    Attributes:
        network: The network.
        objective: Holds the prototype memories.
        optimiser: Holds Adam's moments.
        average: The running mean of the network's weights, which is what is kept; None: the network is.
    """

    network: TrackletNetwork
    objective: Objective
    optimiser: torch.optim.Optimizer
    average: AveragedModel | None = None

    @property
    def kept(self) -> TrackletNetwork:
        """The network that is scored and kept."""
        return self.network if self.average is None else cast(TrackletNetwork, self.average.module)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Everything of the state that is no tensor.

    Attributes:
        step: Steps done.
        log_bytes: Length of metrics.jsonl.
        best: Best epoch by held-out identities so far, with its scores, or None.
        latest: Latest epoch evaluated on held-out identities, with its scores, or None.
        sums: Terms summed up since the last line of metrics.jsonl, by name, with their "count".
        seconds: Time spent so far.
    """

    step: int = 0
    log_bytes: int = 0
    best: dict[str, Any] | None = None
    latest: dict[str, Any] | None = None
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def save_state(folder: Path, trainee: Trainee, numbers: Numbers) -> None:
    """Save a state beside the former ones, then remove those.

    Raises:
        XReidError: The disk is full; the former state is untouched.
    """
    tensors: dict[str, Tensor] = {}
    for name, values in _parts(trainee).items():
        tensors |= {f"{name}/{key}": value for key, value in values.items()}
    with atomic_folder(folder / f"step-{numbers.step:09d}") as temporary:
        write_tensors(temporary / _TENSORS, tensors)
        text = json.dumps({"format": FORMAT, **vars(numbers)}, allow_nan=False)
        (temporary / _NUMBERS).write_text(text + "\n", encoding="utf-8")
    for other in folder.iterdir():
        if other.name != f"step-{numbers.step:09d}":  # former states, and what a kill left half-written
            shutil.rmtree(other, ignore_errors=True)


def restore_state(folder: Path, trainee: Trainee) -> Numbers | None:
    """Put back the latest state; None where there is none.

    Raises:
        CheckpointError: It is damaged, or of a newer format.
    """
    states = sorted(folder.glob("step-*"))
    if not states:
        return None
    numbers = read_json(states[-1] / _NUMBERS, what="state")
    require_format(numbers.pop("format", None), supported=FORMAT, what=f"state {states[-1]}")
    tensors = read_tensors(states[-1] / _TENSORS, what="state")
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in _parts(trainee)}
    for full_name, value in tensors.items():
        part, _, name = full_name.partition("/")
        parts.setdefault(part, {})[name] = value
    what = str(states[-1])
    load_into(trainee.network, parts["network"], what=what)
    load_into(trainee.objective, parts["objective"], what=what)
    if trainee.average is not None:
        load_into(trainee.average, parts["average"], what=what)
    try:
        restore_optimiser(trainee.optimiser, trainee.network, parts["optimiser"])
        return Numbers(**numbers)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"state {what} is damaged", got=str(error)) from error


def _parts(trainee: Trainee) -> dict[str, dict[str, Tensor]]:
    averaged = {} if trainee.average is None else {"average": trainee.average.state_dict()}
    return {
        "network": trainee.network.state_dict(),
        "objective": trainee.objective.state_dict(),
        "optimiser": optimiser_tensors(trainee.optimiser, trainee.network),
        **averaged,
    }
