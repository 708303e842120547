from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from xreid.core.errors import ConfigError, XReidError
from xreid.simulation import generate
from xreid.simulation.config import SimulationConfig, tiny
from xreid.simulation.generate import FORMAT_VERSION, simulate


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_bytes_do_not_depend_on_the_number_of_processes(
    hitsz: Path, hitsz_config: SimulationConfig, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    summary = simulate(hitsz_config, tmp_path / "a", workers=2, progress=lambda *done: told.append(done))
    assert digest(tmp_path / "a") == digest(hitsz)
    assert told[-1] == (summary.frames, summary.frames)
    assert summary.rendered == summary.frames


def test_another_seed_gives_other_frames(hitsz: Path, hitsz_config: SimulationConfig, tmp_path: Path) -> None:
    simulate(replace(hitsz_config, seed=6, train_identities=1, test_identities=1), tmp_path / "a", workers=1)
    first = "Train/0001/ir"
    ours = {data for name, data in digest(tmp_path / "a").items() if name.startswith(first)}
    assert not ours & set(digest(hitsz).values())


def test_a_broken_run_is_completed_by_the_same_call(
    hitsz: Path, hitsz_config: SimulationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a"
    original, calls = generate._write_folder, []

    def fails_later(target: Path, files: dict[str, bytes]) -> None:
        calls.append(target)
        if len(calls) == 8:
            raise RuntimeError("power cut")
        original(target, files)

    monkeypatch.setattr(generate, "_write_folder", fails_later)
    with pytest.raises(RuntimeError):
        simulate(hitsz_config, out, workers=1)
    assert not (out / "info").exists()  # no lists before all frames
    assert json.loads((out / "simulation.json").read_text())["complete"] is False
    monkeypatch.setattr(generate, "_write_folder", original)
    (calls[0].parent / f"{generate.PART}x").mkdir()  # as a killed run leaves it
    summary = simulate(hitsz_config, out, workers=1)
    assert 0 < summary.rendered < summary.frames
    assert digest(out) == digest(hitsz)
    assert simulate(hitsz_config, out, workers=1).rendered == 0
    assert not list(out.rglob(f"{generate.PART}*"))


def test_killed_at_any_moment_it_is_completed_by_the_same_command(tmp_path: Path) -> None:
    out, whole = tmp_path / "a", tmp_path / "b"
    command = [
        sys.executable,
        "-m",
        "xreid.cli.main",
        "simulate",
        str(out),
        "--preset",
        "tiny",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 200
    while not any(out.rglob("*.jpg")) and time.monotonic() < limit:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert any(out.rglob("*.jpg"))
    simulate(tiny(), out, workers=1)
    simulate(tiny(), whole, workers=1)
    assert digest(out) == digest(whole)


def test_its_processes_end_when_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xreid.cli.main", "simulate", str(tmp_path / "a"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 200
    while not any((tmp_path / "a").rglob("*.jpg")) and time.monotonic() < limit:
        time.sleep(0.02)
    assert any((tmp_path / "a").rglob("*.jpg")), "killed in the middle"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=80)  # returns when the last holder of the pipe is gone


def test_another_configuration_in_the_same_folder_is_refused(
    hitsz: Path, hitsz_config: SimulationConfig
) -> None:
    before = digest(hitsz)
    with pytest.raises(ConfigError, match=r"seed=5.*got.*seed=7"):
        simulate(replace(hitsz_config, seed=7), hitsz, workers=1)
    assert digest(hitsz) == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(ConfigError, match="not empty"):
        simulate(tiny(), tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(ConfigError, match="not a folder"):
        simulate(tiny(), tmp_path / "thesis.txt", workers=1)
    with pytest.raises(ConfigError, match="negative"):
        simulate(tiny(), tmp_path / "a", workers=-1)


@pytest.mark.parametrize(
    "marker", ['{"format": 99, "config": {}}', f'{{"format": {FORMAT_VERSION}, "config": 7}}', "[]"]
)
def test_a_newer_simulation_is_refused(tmp_path: Path, marker: str) -> None:
    (tmp_path / "simulation.json").write_text(marker)
    with pytest.raises(ConfigError, match="another version"):
        simulate(tiny(), tmp_path, workers=1)


def test_a_full_disk_gives_one_message_and_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(XReidError, match="Free some space"):
        simulate(tiny(), tmp_path / "a", workers=1)
    assert not list((tmp_path / "a").rglob("D*"))
    assert not list((tmp_path / "a").rglob(f"{generate.PART}*"))
