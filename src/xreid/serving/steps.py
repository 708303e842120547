"""What a job consists of: cut tracklets, embed them, append them. The first two run in another process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.core.errors import XReidError
from xreid.serving.backend import Backend

if TYPE_CHECKING:
    from xreid.serving.jobs import Job


class CancelledError(Exception):
    """The job was stopped."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What every step gets.

    Attributes:
        folder: For what it makes; it stays, for the gallery's frames lie there.
        backend: Gallery and model.
        tell: Called with the step's name, how much is done, and of how much.
        stop: Set to stop it.
    """

    folder: Path
    backend: Backend
    tell: Callable[[str, int, int | None], None]
    stop: threading.Event


def run_steps(job: Job, step: Step) -> dict[str, Any]:
    """Do a job; returns what came of it.

    Raises:
        CancelledError: It was stopped; nothing was appended.
        XReidError: It failed; nothing was appended.
    """
    try:
        if job.kind == "video":
            embeddings, found = _from_video(job, step), _counts(step.folder)
        else:
            embeddings, found = Path(job.source), {}
        step.tell("append", 0, None)
        if step.stop.is_set():
            raise CancelledError
        appended = step.backend.append(embeddings, name=job.name, labels=job.labels)
    except CancelledError:
        raise
    except XReidError:
        shutil.rmtree(step.folder, ignore_errors=True)
        raise
    return {**found, **appended, **_checked(step), **_alerts(step)}


def _checked(step: Step) -> dict[str, Any]:
    """What the calibration is worth with the strangers that came; what was appended stays."""
    step.tell("check the calibration", 0, None)
    try:
        step.backend.check_strangers()
    except XReidError as error:
        return {"check_failed": str(error)}
    return {}


def _alerts(step: Step) -> dict[str, Any]:
    """Look for who is watched for; what was appended stays, whatever comes of this."""
    if not step.backend.watch.people:
        return {}
    step.tell("watch list", 0, None)
    try:
        report = step.backend.check_watch()
        failed = "; ".join(f"{name}: {why}" for name, why in report.failed.items())
        return {"alerts": len(report.new), **({"watch_failed": failed} if failed else {})}
    except XReidError as error:
        return {"watch_failed": str(error)}


def _from_video(job: Job, step: Step) -> Path:
    tracklets, embeddings = step.folder / "tracklets", step.folder / "embeddings"
    step.folder.mkdir(parents=True, exist_ok=True)
    _worker(
        {"step": "ingest", "video": job.source, "out": str(tracklets), "options": job.options},
        step,
        called="cut tracklets",
    )
    model = step.backend.require_model()
    _worker(
        {
            "step": "embed",
            "checkpoint": str(model),
            "data": str(tracklets),
            "out": str(embeddings),
            "options": asdict(step.backend.embed_config()),
        },
        step,
        called="embed",
    )
    return embeddings


def _counts(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "tracklets" / "ingest.json").read_text())
    found = report.get("report", report.get("counts", {}))
    return {"ingest": found} if isinstance(found, dict) else {}


def _worker(request: dict[str, Any], step: Step, *, called: str) -> None:
    """Run `ingest_worker`, passing its progress on, until it is done or the job is stopped."""
    step.tell(called, 0, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "xreid.serving.ingest_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    watcher = threading.Thread(target=_end_when_stopped, args=(process, step.stop), daemon=True)
    watcher.start()
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as stdin:
        stdin.write(json.dumps(request).encode())
    problem: dict[str, str] | None = {"what": f"the process that should {called} ended without a word"}
    for line in process.stdout:
        told = json.loads(line)
        if "total" in told:
            step.tell(called, told["done"], told["total"])
        else:
            problem = told["problem"]
    process.wait()
    if step.stop.is_set():
        shutil.rmtree(step.folder, ignore_errors=True)
        raise CancelledError
    if problem is not None:
        raise XReidError(problem.pop("what"), **problem)


def _end_when_stopped(process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    while process.poll() is None:
        if stop.wait(timeout=0.2) and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            return
