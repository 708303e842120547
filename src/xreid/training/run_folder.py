"""The folder of a run: what it was asked, on which data, by which code; and refusal of anything else.

RUN/run.json          data, versions, commit, seed, hashes
RUN/config.yaml       the resolved configuration; `xreid train --config` reads it
RUN/metrics.jsonl     one line per logged steps and per epoch
RUN/tensorboard/      the same for TensorBoard
RUN/state/            what an exact resume needs; gone when the run is finished
RUN/best-*/           best epoch so far, by held-out identities
RUN/checkpoint/       the result; its presence says that the run is finished
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError, XReidError
from xreid.core.files import read_json, sha256_of_value, write_json
from xreid.core.records import require_format, to_plain
from xreid.inference.checkpoint import MODEL_IN_RUN
from xreid.training.config import TrainConfig
from xreid.training.material import Material
from xreid.training.provenance import git_commit, versions
from xreid.training.settings import differences, write_settings

FORMAT = 1
_RUN, _CONFIG, _LOCK = "run.json", "config.yaml", ".lock"


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run on disk.

    Attributes:
        path: The folder.
        record: What run.json says.
    """

    path: Path
    record: dict[str, Any]

    @property
    def checkpoint(self) -> Path:
        """Where the result lies once the run is finished."""
        return self.path / MODEL_IN_RUN

    @property
    def state(self) -> Path:
        """Where the state for a resume lies."""
        return self.path / "state"

    def best(self, epoch: int) -> Path:
        """Where the model of the best epoch so far lies."""
        return self.path / f"best-{epoch:04d}"

    def forget_best(self, *, but: int | None) -> None:
        """Remove former best models, once the state names another."""
        for folder in self.path.glob("best-*"):
            if but is None or folder != self.best(but):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def is_finished(self) -> bool:
        """Whether the result is there."""
        return self.checkpoint.is_dir()


class BusyError(ConfigError):
    """Another process works in the folder; later it may be free, or done."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out of the folder of a run, until this one leaves or dies.

    Raises:
        BusyError: Another process is in it.
        ConfigError: It is a file.
        XReidError: It cannot be written.
    """
    import fcntl

    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = open(path / _LOCK, "ab")  # noqa: SIM115 - held as long as the lock
    except FileExistsError as error:
        raise ConfigError(f"{path} is a file", expected="a folder for the run") from error
    except OSError as error:
        raise XReidError(f"cannot write {path}: {error.strerror}", todo="Choose another --out.") from error
    with handle:
        try:
            # a record lock, unlike flock, is not passed on to loader processes, which may outlive a kill
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise BusyError(
                f"another process is training in {path}", todo="Wait for it, or end it."
            ) from error
        except OSError:
            pass  # a file system without locks
        yield


def open_run(path: Path, config: TrainConfig, material: Material, *, write: bool = True) -> RunFolder:
    """Create the folder of a run, or find it again; all processes but the first only find it.

    Raises:
        ConfigError: The folder holds something else: another run's configuration or data, or no run.
        XReidError: It cannot be written.
    """
    plain = to_plain(config)
    if (path / _RUN).exists():
        record = read_json(path / _RUN, what="run")
        require_format(record.get("format"), supported=FORMAT, what=f"run {path}")
        _require_same(path, record, plain, material)
    else:
        _require_empty(path)
        record = _new_record(plain, config, material)
        write_json(path / _RUN, record)
    if write:
        _sweep(path)
        write_settings(path / _CONFIG, config)
    return RunFolder(path=path, record=record)


def _new_record(plain: dict[str, Any], config: TrainConfig, material: Material) -> dict[str, Any]:
    table, held_out = material.table, material.held_out
    return {
        "format": FORMAT,
        "config": plain,
        "config_sha256": sha256_of_value(plain),
        "seed": config.train.seed,
        "data": {
            "root": str(table.root),
            "source": table.source,
            "licence": table.licence,
            "sha256": material.hash,
            "tracklets": len(table),
            "identities": len(material.identities),
            "identities_left_out": list(material.sampler.skipped),
            "cameras": list(material.cameras),
            "held_out_identities": [] if held_out is None else held_out.identities(),
        },
        "versions": versions(),
        "commit": git_commit(),
    }


def _require_same(path: Path, record: dict[str, Any], plain: dict[str, Any], material: Material) -> None:
    found = differences(record["config"], plain)
    if found:
        raise ConfigError(
            f"{path} holds a run with another configuration ({'; '.join(found[:4])}"
            f"{'; ...' if len(found) > 4 else ''})",
            todo="Restart with the options it was started with, or choose another --out.",
        )
    if record["data"]["sha256"] != material.hash:
        raise ConfigError(
            f"{path} holds a run on other data",
            expected=f"{record['data']['tracklets']} tracklets of {record['data']['root']}",
            got=f"{len(material.table)} tracklets of {material.table.root}, or other names in them",
            todo="Restart with the data it was started with, or choose another --out.",
        )


def _sweep(path: Path) -> None:
    """Remove what a kill left half-written."""
    for entry in path.glob(".*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)


def _require_empty(path: Path) -> None:
    if path.is_dir() and any(not entry.name.startswith(".") for entry in path.iterdir()):
        raise ConfigError(f"{path} is not empty and holds no run", todo="Choose another --out.")
