"""Killed at any moment and started again, a run ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.micro import files_of, in_process, loop, micro, train_and_die
from xreid.core.errors import CheckpointError, ConfigError
from xreid.training.config import SelectionConfig, TrainConfig
from xreid.training.log import MetricsLog
from xreid.training.loop import train

PLAIN = micro()
# memories rebuilt every epoch, states in mid-epoch, averaged weights, the best epoch on held-out people
RICH = micro(
    batch=type(PLAIN.batch)(identities=2, clips=1, frames=2, per_epoch=4),
    train=loop(memory="epoch", checkpoint_every=3, average=0.9),
    selection=SelectionConfig(keep="best", held_out=0.5),
)


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What each configuration gives when nobody disturbs it."""
    found = {}
    for name, config in (("plain", PLAIN), ("rich", RICH)):
        out = tmp_path_factory.mktemp(name) / "run"
        train(config, data=archive, out=out)
        found[name] = files_of(out)
    return found


def _complete(config: TrainConfig, archive: Path, out: Path, expected: dict[str, bytes]) -> None:
    result = train(config, data=archive, out=out)
    assert not result.was_finished
    assert files_of(out) == expected


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("memory", 1),
        ("step", 1),
        ("step", 7),
        ("log", 2),
        ("log+", 4),  # a line is written that the state knows nothing of
        ("tensors", 2),
        ("tensors+", 3),  # half a state
        ("rename+", 2),  # a state without its predecessor removed
        ("model+", 1),  # half a checkpoint
        ("rename+", 4),  # the checkpoint is there, the state still is
    ],
)
def test_killed_once(
    place: str, count: int, archive: Path, tmp_path: Path, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    out = tmp_path / "run"
    assert in_process(train_and_die, PLAIN, archive, out, place, count) == -signal.SIGKILL
    if (out / "checkpoint").exists():
        assert train(PLAIN, data=archive, out=out).was_finished
        assert files_of(out) == undisturbed["plain"]
    else:
        _complete(PLAIN, archive, out, undisturbed["plain"])


def test_killed_again_and_again(
    archive: Path, tmp_path: Path, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    out = tmp_path / "run"
    kills = (("model+", 1), ("step", 6), ("log+", 1), ("rename", 1), ("tensors", 2), ("save", 1))
    for place, count in kills:
        assert in_process(train_and_die, RICH, archive, out, place, count) == -signal.SIGKILL
    _complete(RICH, archive, out, undisturbed["rich"])


def test_metrics_have_every_line_once(undisturbed: dict[str, dict[str, bytes]]) -> None:
    lines = [json.loads(line) for line in undisturbed["rich"]["metrics.jsonl"].splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "step"] == [3, 6, 9, 12]
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == [1, 2, 3]
    assert all("held-out mAP" in line for line in lines if line["kind"] == "epoch")


def test_lines_the_state_knows_nothing_of_are_cut_at_once(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, tensorboard=False)
    log.write("step", step=1, values={"loss": 2.5})
    kept = log.sync()
    log.write("step", step=2, values={"loss": 1.5})
    log.close()
    again = MetricsLog(tmp_path, keep_bytes=kept, step=1, tensorboard=False)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"kind": "step", "step": 1, "loss": 2.5}\n'
    again.write("step", step=2, values={"loss": 1.0})
    again.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [2.5, 1.0]


def test_a_finished_run_says_so(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(PLAIN, data=archive, out=out)
    before = files_of(out)
    assert train(PLAIN, data=archive, out=out).was_finished
    assert files_of(out) == before


def test_another_configuration_or_other_data_is_refused(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert in_process(train_and_die, PLAIN, archive, out, "step", 6) == -signal.SIGKILL
    before = files_of(out)
    with pytest.raises(ConfigError, match=r"train\.seed 0 -> 1"):
        train(micro(train=loop(seed=1)), data=archive, out=out)
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for name in ("Train", "Test"):
        (fewer / name).symlink_to(archive / name)
    (fewer / "info").mkdir()
    for path in (archive / "info").iterdir():
        lines = path.read_text().splitlines()
        (fewer / "info" / path.name).write_text(
            "\n".join(lines[:-2] if "track_train" in path.name else lines)
        )
    with pytest.raises(ConfigError, match="other data"):
        train(PLAIN, data=fewer, out=out)
    assert files_of(out) == before


def test_a_folder_of_something_else_is_refused(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no run"):
        train(PLAIN, data=archive, out=tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("damage", ["tensors", "format", "log"])
def test_a_damaged_state_is_named(damage: str, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert in_process(train_and_die, PLAIN, archive, out, "step", 6) == -signal.SIGKILL
    state = next((out / "state").iterdir())
    if damage == "tensors":
        (state / "state.safetensors").write_bytes(b"not tensors")
    elif damage == "format":
        numbers = json.loads((state / "state.json").read_text())
        (state / "state.json").write_text(json.dumps({**numbers, "format": 99}))
    else:
        (out / "metrics.jsonl").write_text("")
    kind = ConfigError if damage == "format" else CheckpointError
    with pytest.raises(kind, match={"tensors": "cannot read", "format": "newer", "log": "shorter"}[damage]):
        train(PLAIN, data=archive, out=out)


@pytest.mark.slow
def test_command_killed_at_random_moments(archive: Path, tmp_path: Path) -> None:
    """The real command, killed by the clock."""
    command = [sys.executable, "-m", "xreid.cli.main", "train", "--scale", "tiny", "--data", str(archive)]
    command += [
        "--batch.identities",
        "4",
        "--batch.clips=2",
        "--batch.frames=3",
        "--network.depth",
        "1",
        "--network.width",
        "64",
        "--train.epochs=6",
    ]
    command += ["--batch.per_epoch=5", "--train.checkpoint_every=2", "--train.log_every=2", "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment)
    rng = np.random.default_rng(0)
    kills = 0
    while True:
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment)
        try:
            code = process.wait(timeout=float(rng.uniform(2.5, 7)))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.05)
            assert kills < 60
    assert code == 0
    assert kills > 1
    for name in ("checkpoint", "metrics.jsonl"):
        whole, killed = tmp_path / "whole" / name, tmp_path / "killed" / name
        if whole.is_file():
            assert whole.read_bytes() == killed.read_bytes()
        else:
            assert files_of(whole) == files_of(killed)
