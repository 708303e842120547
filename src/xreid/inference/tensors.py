"""Named tensors in a safetensors file: nothing in it can run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from xreid.core.errors import CheckpointError

ANOTHER_VERSION = "If another xreid version wrote it, use that version, or train again."


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, from whatever device.

    The file is written in place: call this inside `atomic_file` or `atomic_folder`.

    Raises:
        OSError: The disk is full or not writable.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # clones: safetensors refuses tensors that share memory
    plain = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}
    try:
        save_file(plain, path, metadata={"format": "pt"})
    except SafetensorError as error:  # it does not say which OSError it was
        raise OSError(str(error)) from error


def read_tensors(path: Path, *, what: str) -> dict[str, Tensor]:
    """Read tensors to the CPU.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"cannot read {what} {path}", got=" ".join(str(error).split())[:200]) from error


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], *, what: str) -> None:
    """Fill a module; names and shapes must agree exactly.

    Raises:
        CheckpointError: They do not.
    """
    expected = module.state_dict()
    missing, surplus = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or surplus:
        raise CheckpointError(
            f"{what} does not fit the model",
            expected=f"{len(expected)} tensors" + (f" with {missing[0]}" if missing else ""),
            got=f"{len(tensors)} tensors" + (f" with {surplus[0]}" if surplus else f" without {missing[0]}"),
            todo=ANOTHER_VERSION,
        )
    for name, value in expected.items():
        if tensors[name].shape != value.shape:
            raise CheckpointError(
                f"{what} does not fit the model: {name}",
                expected=str(list(value.shape)),
                got=str(list(tensors[name].shape)),
                todo=ANOTHER_VERSION,
            )
    module.load_state_dict(dict(tensors))
