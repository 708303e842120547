"""Processes that train the runs of an ablation, and die."""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

from xreid.training import ablation_pool


def test_ending_a_process_that_died_before_it_read(tmp_path: Path) -> None:
    unused: Any = None
    slot = ablation_pool._Slot(
        0, machine=unused, waiting=queue.SimpleQueue(), failures={}, board=unused, logs=tmp_path
    )
    dead = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, text=True)
    dead.wait()
    assert dead.stdin is not None
    dead.stdin.write("a job\n")  # waits in the stream until that is closed
    slot._process = dead
    slot.end()
    assert slot._process is None
