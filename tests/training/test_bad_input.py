"""Everything that can be wrong with a run gives one line and exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.data.tiny_archives import truncate, write_hitsz
from tests.training.micro import files_of, in_process, micro, train_and_die
from xreid.cli.main import main
from xreid.core.errors import XReidError
from xreid.models.backbone import ClipImageEncoder
from xreid.models.config import NetworkConfig
from xreid.training.log import MetricsLog
from xreid.training.loop import train
from xreid.training.run_folder import locked

SMALL = ["--scale", "tiny", "--batch.identities=4", "--network.width=64", "--network.depth=1"]
SMALL += ["--train.epochs=1", "--batch.per_epoch=1", "--batch.clips=1", "--train.tensorboard=false"]


def one_identity(archive: Path, work: Path) -> list[str]:
    return ["--data", str(write_hitsz(work / "one", train_ids=(1,), cameras=(1, 2)))]


def one_modality(archive: Path, work: Path) -> list[str]:
    root = write_hitsz(work / "half", train_ids=(1, 2, 3, 4, 5), cameras=(1,))
    info = root / "info" / "track_train_info.txt"
    rows = [line for line in info.read_text().splitlines() if not (line.split()[3] == "5" and line[0] == "1")]
    info.write_text("\n".join(rows) + "\n")
    return ["--data", str(root)]


def missing(archive: Path, work: Path) -> list[str]:
    return ["--data", str(work / "nowhere")]


def empty(archive: Path, work: Path) -> list[str]:
    (work / "empty").mkdir()
    return ["--data", str(work / "empty")]


def truncated(archive: Path, work: Path) -> list[str]:
    root = write_hitsz(work / "cut", train_ids=(1, 2, 3, 4), cameras=(1,), frames=12)
    for path in (root / "Train" / "0003").rglob("*.jpg"):
        truncate(path)
    return ["--data", str(root)]


def absent_weights(archive: Path, work: Path) -> list[str]:
    return ["--data", str(archive), "--weights", str(work / "ViT-B-16.pt"), "--network.stem=patch"]


def weights_of_another_shape(archive: Path, work: Path) -> list[str]:
    config = replace(NetworkConfig.tiny(), width=32, depth=1, stem="patch")
    vit = ClipImageEncoder(config).vit
    save_file({n: v.contiguous() for n, v in vit.state_dict().items()}, work / "other.safetensors")
    weights = ["--weights", str(work / "other.safetensors"), "--network.stem=patch"]
    return ["--data", str(archive), *weights]


def unknown_option(archive: Path, work: Path) -> list[str]:
    return ["--data", str(archive), "--train.speed=3"]


def newer_configuration(archive: Path, work: Path) -> list[str]:
    (work / "newer.yaml").write_text("format: 7\n")
    return ["--data", str(archive), "--config", str(work / "newer.yaml")]


def too_many_people(archive: Path, work: Path) -> list[str]:
    return ["--data", str(archive), "--batch.identities=6"]


def nothing_to_evaluate(archive: Path, work: Path) -> list[str]:
    root = write_hitsz(work / "one-camera", train_ids=(1, 2, 3, 4, 5, 6), cameras=(1,))
    return ["--data", str(root), "--selection.held_out=0.34"]


def no_gpu(archive: Path, work: Path) -> list[str]:
    return ["--data", str(archive), "--device=cuda:77"]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (one_identity, "a batch takes 4 identities"),
        (one_modality, "--archive.single_modality skip"),
        (missing, "does not exist"),
        (empty, "is empty"),
        (truncated, "the file is truncated"),
        (absent_weights, "there are no weights at"),
        (weights_of_another_shape, "do not fit the encoder"),
        (unknown_option, "train.speed"),
        (newer_configuration, "written by a newer xreid"),
        (too_many_people, "a batch takes 6 identities"),
        (nothing_to_evaluate, "held-out identities cannot be evaluated"),
        (no_gpu, "77"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_line_and_exit_code_2(
    case: Callable[[Path, Path], list[str]],
    message: str,
    archive: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["train", *SMALL, *case(archive, tmp_path), "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("xreid: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_one_modality_can_be_skipped(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*one_modality(archive, tmp_path), "--archive.single_modality", "skip"]
    assert main(["train", *SMALL, *arguments, "--out", str(tmp_path / "run")]) == 0
    assert "1 identities of one modality only are left out" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["identities_left_out"] == ["0005"]


def test_unreadable_frames_can_be_replaced(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_hitsz(tmp_path / "cut", train_ids=(1, 2, 3, 4), cameras=(1,), frames=12)
    for path in root.rglob("*.jpg"):
        if path.name in ("1.jpg", "6.jpg", "11.jpg", "16.jpg"):
            truncate(path)
    arguments = ["--data", str(root), "--archive.on_unreadable=replace", "--out", str(tmp_path / "run")]
    assert main(["train", *SMALL, *arguments]) == 0
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["replaced_frames"] > 0


def test_a_finished_run_exits_with_0(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", *SMALL, "--data", str(archive), "--out", str(tmp_path / "run")]
    assert main(command) == 0
    assert "model of epoch 1 of 1 (last epoch)" in capsys.readouterr().out
    assert main(command) == 0
    assert "was finished before" in capsys.readouterr().out
    assert main([*command, "--train.seed=1"]) == 2
    assert "train.seed 0 -> 1" in capsys.readouterr().err


def _train_on_a_full_disk(archive: Path, out: Path, largest: int) -> None:
    """No file may grow beyond `largest` bytes: writes fail as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    try:
        train(micro(), data=archive, out=out)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (out.parent / "said.txt").write_text(f"{type(error).__name__}: {error}")
        os._exit(7)


@pytest.mark.parametrize("largest", [100, 1500, 20_000])
def test_a_full_disk_loses_nothing(largest: int, archive: Path, tmp_path: Path) -> None:
    train(micro(), data=archive, out=tmp_path / "whole")
    out = tmp_path / "run"
    assert in_process(train_and_die, micro(), archive, out, "step", 6) == -signal.SIGKILL
    before = files_of(out / "state")
    assert in_process(_train_on_a_full_disk, archive, out, largest) == 7
    said = (tmp_path / "said.txt").read_text()
    assert "cannot write" in said, said
    assert "XReidError" in said
    assert files_of(out / "state") == before
    train(micro(), data=archive, out=out)  # with room again
    whole, found = files_of(tmp_path / "whole"), files_of(out)
    assert whole == found


def _log_on_a_full_disk(run: Path, tensorboard: bool) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = MetricsLog(run, tensorboard=tensorboard)
    # 40 values take 500 bytes as a line and several times that as events, written by a thread of TensorBoard
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000 if tensorboard else 20, resource.RLIM_INFINITY))
    try:
        try:
            log.write("step", step=1, values={f"v{i}": 1.5 for i in range(40)})
        finally:
            log.close()
    except XReidError:
        os._exit(7)


@pytest.mark.parametrize("tensorboard", [True, False])
def test_closing_the_log_on_a_full_disk_is_one_message(tensorboard: bool, tmp_path: Path) -> None:
    assert in_process(_log_on_a_full_disk, tmp_path, tensorboard) == 7


def test_a_folder_that_cannot_be_written(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(XReidError, match=r"is a file|cannot write"), locked(out):
            pass
