"""Waiting for states, never for times: a test passes on a machine that is twenty times slower, or faster.

The patience below is for what hangs only; nothing is said by how long something takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE_S = 900.0


def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def files_in(folder: Path, pattern: str) -> list[Path]:
    """As `Path.rglob`, while another process renames and deletes folders in there: none where it just did."""
    with suppress(FileNotFoundError):
        return list(folder.rglob(pattern))
    return []
