"""metrics.jsonl and TensorBoard; a resumed run leaves the file as the undisturbed one would have."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xreid.core.errors import CheckpointError, XReidError


class MetricsLog:
    """Appends lines to RUN/metrics.jsonl and scalars to RUN/tensorboard.

    Args:
        run: Folder of the run.
        keep_bytes: Length of the file at the state that is resumed from; what follows is cut off.
        step: Step that is resumed from.
        tensorboard: Whether to write TensorBoard logs.

    Raises:
        CheckpointError: The file is shorter than the state says.
        XReidError: It cannot be written.
    """

    def __init__(self, run: Path, *, keep_bytes: int = 0, step: int = 0, tensorboard: bool = True) -> None:
        self._path = run / "metrics.jsonl"
        try:
            self._path.touch()
            self._file = open(self._path, "r+b")  # noqa: SIM115 - open as long as the run
            length = self._file.seek(0, os.SEEK_END)
            if length < keep_bytes:
                raise CheckpointError(
                    f"{self._path} is shorter than when the state was saved",
                    expected=f"{keep_bytes} bytes or more",
                    got=str(length),
                    todo="Put the file back, or start a new run.",
                )
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
            self._board = _board(run / "tensorboard", step=step) if tensorboard else None
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def write(self, kind: str, *, step: int, values: Mapping[str, Any]) -> None:
        """Append one line; numbers in it also go to TensorBoard under `kind`/name.

        Raises:
            XReidError: The disk is full.
        """
        line = json.dumps({"kind": kind, "step": step, **values}, allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
            if self._board is not None:
                for name, value in values.items():
                    if isinstance(value, int | float):
                        self._board.add_scalar(f"{kind}/{name}", value, step)
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def sync(self) -> int:
        """Bring the file to disk and return its length in bytes."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def close(self) -> None:
        """Close both.

        Raises:
            XReidError: The disk is full: both still held something to write.
        """
        try:
            with self._file:
                if self._board is not None:
                    self._board.close()
        except OSError as error:
            raise _cannot_write(self._path, error) from error


def _board(folder: Path, *, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    # events of steps that are run again are hidden by TensorBoard
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def _cannot_write(path: Path, error: OSError) -> XReidError:
    return XReidError(
        f"cannot write {path}: {error.strerror or error}",
        todo="Free some space and restart the same command; it goes on from the last saved state.",
    )
