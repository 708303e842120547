"""Writes a simulated archive: several processes, resumable, the same bytes for any number of them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from xreid.core.errors import XReidError
from xreid.core.files import write_json
from xreid.simulation.archive import folders, frame_names, write_lists
from xreid.simulation.config import SimulationConfig
from xreid.simulation.marker import begin
from xreid.simulation.plan import PlannedWalk, plan_walks
from xreid.simulation.pool import check_workers, spread

FORMAT_VERSION = 3
MARKER = "simulation.json"
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
    check_workers(workers)
    walks = plan_walks(config)
    frames = sum(_file_count(config, walk) for walk in walks)
    tell = progress or (lambda done, total: None)
    if not begin(out, marker=MARKER, description=_description(config)):
        rendered = _render_all(config, walks, out, workers=workers, tell=lambda done: tell(done, frames))
        write_lists(config, walks, out)
        counts = {"identities": len({w.identity for w in walks}), "walks": len(walks), "frames": frames}
        write_json(out / MARKER, _description(config) | {"complete": True, "counts": counts})
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
    for count, new in spread(task, people, workers=workers):
        done, rendered = done + count, rendered + new
        tell(done)
    return rendered


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
