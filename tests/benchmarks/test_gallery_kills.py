"""The benchmark of kills, short: three kills of a writer, nothing acknowledged lost."""

import subprocess
import sys
from pathlib import Path

from tests.waiting import PATIENCE_S


def test_nothing_acknowledged_is_lost() -> None:
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        str(root / "benchmarks" / "gallery_kills.py"),
        "--kills",
        "3",
        "--longest_s",
        "0.4",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 faults" in done.stdout
