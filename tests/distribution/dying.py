"""How a worker of a test dies once."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def die_once(note: Path) -> None:
    """Die by SIGKILL unless some worker has: the file is made by exactly one of those that come at once."""
    try:
        note.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
