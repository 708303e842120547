from __future__ import annotations

import errno
import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S, files_in, until
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


def test_killed_at_any_moment_it_is_completed_by_the_same_command(
    hitsz: Path, hitsz_config: SimulationConfig, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    given = {name: getattr(hitsz_config, name) for name in ("shortest_walk", "longest_walk", "seed")}
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
        *(f"--{name}={value}" for name, value in given.items()),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(lambda: files_in(out, "*.jpg") or process.poll() is not None)
    process.kill()
    process.wait()
    assert any(out.rglob("*.jpg"))
    simulate(hitsz_config, out, workers=1)
    assert digest(out) == digest(hitsz)


def test_its_processes_end_when_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xreid.cli.main", "simulate", str(tmp_path / "a"), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until(lambda: files_in(tmp_path / "a", "*.jpg") or process.poll() is not None)
    process.kill()
    process.communicate(timeout=PATIENCE_S)  # returns when the last holder of the pipe is gone
    assert process.returncode == -signal.SIGKILL, "killed in the middle"


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
