"""Writes a simulated archive: several processes, resumable, the same bytes for any number of them."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2

from xreid.core.errors import ConfigError, XReidError
from xreid.core.files import read_json, write_json
from xreid.simulation.archive import folders, frame_names, write_lists
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import PlannedWalk, plan_walks

FORMAT_VERSION = 3
PART = ".part-"  # folders that are being written
NOTE = (
    "SYNTHETIC: every frame of this archive was computed by `xreid simulate`. It shows no real person, "
    "place or camera; it only has the file layout of the named data set. Scores on it say nothing about "
    "the real one."
)


@dataclass(frozen=True, kw_only=True)
class SimulationSummary:
    """What an archive holds.

    Attributes:
        out: Its folder.
        identities: Number of people.
        walks: Number of walks past a camera.
        frames: Number of JPEG files.
        rendered: How many of them this run wrote; the others were there already.
    """

    out: Path
    identities: int
    walks: int
    frames: int
    rendered: int


def simulate(
    config: SimulationConfig,
    out: Path,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Write a simulated archive; a run that was killed is completed by the same call.

    Args:
        config: What to simulate.
        out: Folder to write; new, empty, or begun with the same configuration.
        workers: Processes; 0 = one per processor, 1 = in this process.
        progress: Called with (frames done, frames in all) now and then.

    Raises:
        ConfigError: The folder holds something else or was begun with another configuration.
        XReidError: It cannot be written.
    """
    if workers < 0:
        raise ConfigError("--workers is negative", expected="0 (one per processor) or more", got=str(workers))
    walks = plan_walks(config)
    frames = sum(_file_count(config, walk) for walk in walks)
    tell = progress or (lambda done, total: None)
    if not _begin(config, out):
        rendered = _render_all(config, walks, out, workers=workers, tell=lambda done: tell(done, frames))
        write_lists(config, walks, out)
        counts = {"identities": len({w.identity for w in walks}), "walks": len(walks), "frames": frames}
        write_json(out / "simulation.json", _description(config) | {"complete": True, "counts": counts})
    else:
        rendered = 0
        tell(frames, frames)
    return SimulationSummary(
        out=out,
        identities=len({walk.identity for walk in walks}),
        walks=len(walks),
        frames=frames,
        rendered=rendered,
    )


def _file_count(config: SimulationConfig, walk: PlannedWalk) -> int:
    return walk.frames * len(folders(config, walk))


def _description(config: SimulationConfig) -> dict[str, Any]:
    return {"format": FORMAT_VERSION, "note": NOTE, "config": config.resolved()}


def _begin(config: SimulationConfig, out: Path) -> bool:
    """Check or mark the folder; True where the archive is complete already."""
    marker = out / "simulation.json"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is not a folder", todo="Choose another name.")
    if not marker.exists():
        if out.is_dir() and any(not entry.name.startswith(".simulation.json") for entry in out.iterdir()):
            raise ConfigError(
                f"{out} is not empty and holds no simulation", todo="Choose a new folder, or empty this one."
            )
        write_json(marker, _description(config) | {"complete": False})
        return False
    begun = read_json(marker, what="simulation")
    if (
        not isinstance(begun, dict)
        or begun.get("format") != FORMAT_VERSION
        or not isinstance(begun.get("config"), dict)
    ):
        raise ConfigError(
            f"{marker} is of another version",
            todo="Choose a new folder, or delete this one and simulate again.",
        )
    wanted = json.loads(json.dumps(config.resolved()))
    if begun["config"] != wanted:
        names = sorted({*begun["config"], *wanted})
        differing = [name for name in names if begun["config"].get(name) != wanted.get(name)]
        raise ConfigError(
            f"{out} was simulated with another configuration",
            expected=", ".join(f"{name}={begun['config'].get(name)}" for name in differing),
            got=", ".join(f"{name}={wanted.get(name)}" for name in differing),
            todo="Choose a new folder, or delete this one.",
        )
    return bool(begun.get("complete"))


def _render_all(
    config: SimulationConfig,
    walks: Sequence[PlannedWalk],
    out: Path,
    *,
    workers: int,
    tell: Callable[[int], None],
) -> int:
    for leftover in out.rglob(f"{PART}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    people = [list(group) for _, group in groupby(walks, key=lambda walk: walk.identity)]
    task = partial(_render_person, config, out)
    done = rendered = 0
    for count, new in _spread(task, people, workers=workers or os.cpu_count() or 1):
        done, rendered = done + count, rendered + new
        tell(done)
    return rendered


def _spread(
    task: Callable[[list[PlannedWalk]], tuple[int, int]],
    people: list[list[PlannedWalk]],
    *,
    workers: int,
) -> Iterator[tuple[int, int]]:
    """Run the task for every person, in this process or in several, in any order."""
    workers = min(workers, len(people))
    if workers == 1:
        yield from map(task, people)
        return
    with (
        _one_thread_each(),
        ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_settle
        ) as pool,
    ):
        waiting: set[Future[tuple[int, int]]] = {pool.submit(task, person) for person in people}
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ready)
        except BrokenProcessPool as error:
            raise XReidError(
                "a simulation process was killed",
                todo="Run the same command again, it continues; or use fewer --workers.",
            ) from error
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let the processes that are started meanwhile use one thread each for matrix products."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _settle() -> None:
    """Prepare a process of the pool: one thread, and no life after the main process is killed."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _render_person(config: SimulationConfig, out: Path, walks: list[PlannedWalk]) -> tuple[int, int]:
    """Write the missing walks of one person; return how many files they have and how many were new."""
    from xreid.simulation.studio import shoot_encoded

    count = new = 0
    for walk in walks:
        targets = {kind: out / folder for kind, folder in folders(config, walk).items()}
        count += _file_count(config, walk)
        if all(target.is_dir() for target in targets.values()):
            continue
        files = shoot_encoded(config, walk)
        for kind, target in targets.items():
            _write_folder(target, dict(zip(frame_names(config, walk, kind), files[kind], strict=True)))
            new += walk.frames
    return count, new


def _write_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write a folder of files that appears whole or not at all.

    A crash of the process cannot leave half of it. Power loss may (files are not synced one by one, which
    would take longer than rendering them): `xreid verify` finds that.
    """
    if target.is_dir():
        return
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=PART, dir=target.parent))
        for name, data in files.items():
            (part / name).write_bytes(data)
        part.chmod(0o755)
        part.rename(target)
    except OSError as error:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
        hint = "Free some space" if error.errno == errno.ENOSPC else "Check the folder"
        raise XReidError(
            f"cannot write {target}: {error.strerror or error}",
            todo=f"{hint} and run the same command again; it continues where it stopped.",
        ) from error
