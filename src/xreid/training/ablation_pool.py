"""Several runs side by side, each in a process of its own; a run that fails stops no other."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from xreid.core.errors import ConfigError, XReidError
from xreid.training.ablation_progress import Board
from xreid.training.ablation_run import Job, complete, note_failure
from xreid.training.run_folder import BusyError

_WORKER = "xreid.training.ablation_worker"
_BUSY = "another process is at it"
_BUSY_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of the machine an ablation may use; changes results by rounding at most.

    Attributes:
        jobs: Runs side by side; none: one per GPU, without GPUs one per core. 0: one after the other in this
            process.
        device: auto, cpu or cuda; with GPUs each process sees one of them.
        threads: Threads of each process for arithmetic; 0: cores / jobs.
        workers: Loader processes of each process; none: 0 on a CPU, up to 8 with a GPU.
        cache_mib: Memory of each process for decoded frames in MiB.
    """

    jobs: int | None = None
    device: str = "auto"
    threads: int = 0
    workers: int | None = None
    cache_mib: int = 1024

    def __post_init__(self) -> None:
        for name in ("jobs", "threads", "workers", "cache_mib"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} must not be negative", got=str(getattr(self, name)))
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(
                f"unknown device {self.device!r}", expected="auto, cpu or cuda (all that are visible)"
            )

    def resolved(self) -> Machine:
        """With numbers for this machine, where none were given."""
        gpus, cores = len(self.gpus()), len(os.sched_getaffinity(0))
        jobs = (gpus or cores) if self.jobs is None else self.jobs
        loaders = min(8, cores // max(1, jobs)) if gpus else 0
        return replace(
            self,
            jobs=jobs,
            threads=self.threads or max(1, cores // max(1, jobs)),
            workers=loaders if self.workers is None else self.workers,
        )

    def gpus(self) -> list[str]:
        """Names of the GPUs to use, as CUDA_VISIBLE_DEVICES spells them.

        Raises:
            ConfigError: GPUs were asked for and there are none.
        """
        import torch

        if self.device == "cpu":
            return []
        if not torch.cuda.is_available():
            if self.device == "cuda":
                raise ConfigError("device cuda is not available", todo="Use --device cpu, or install CUDA.")
            return []
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def complete_all(jobs: Sequence[Job], *, machine: Machine, board: Board, logs: Path) -> dict[Path, str]:
    """Complete every job; returns what went wrong, by folder of the run.

    Args:
        jobs: In the order to begin them.
        machine: Where; resolved.
        board: Shows what happens.
        logs: Folder for what the processes print.

    Raises:
        KeyboardInterrupt: The user stops it; the processes are ended first.
    """
    if not machine.jobs:
        return _one_by_one(jobs, board)
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failures: dict[Path, str] = {}
    slots = [
        _Slot(number, machine=machine, waiting=waiting, failures=failures, board=board, logs=logs)
        for number in range(min(machine.jobs, len(jobs)))
    ]
    for slot in slots:
        slot.start()
    try:
        for slot in slots:
            while slot.is_alive():
                slot.join(1.0)
                board.refresh()
    finally:
        for slot in slots:
            slot.end()
    return failures


def _one_by_one(jobs: Sequence[Job], board: Board) -> dict[Path, str]:
    failures: dict[Path, str] = {}
    waiting = deque(jobs)
    while waiting:
        job = waiting.popleft()
        line = board.line(job.folder.name)
        try:
            complete(job, reporter=line)
        except BusyError:
            line.postpone()
            waiting.append(job)
            time.sleep(_BUSY_SECONDS)
            continue
        except XReidError as error:
            failures[job.folder] = str(error)
            note_failure(job.folder, str(error))
        line.end(failures.get(job.folder, ""))
    return failures


class _Slot(threading.Thread):
    """Feeds one process with jobs, and starts another should it die."""

    def __init__(
        self,
        number: int,
        *,
        machine: Machine,
        waiting: queue.SimpleQueue[Job],
        failures: dict[Path, str],
        board: Board,
        logs: Path,
    ) -> None:
        super().__init__(daemon=True)
        self._number, self._machine, self._waiting = number, machine, waiting
        self._failures, self._board = failures, board
        self._log = logs / f"process-{number}.log"
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(self) -> None:
        """Take jobs until there are none."""
        while not self._stopped:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                break
            line = self._board.line(job.folder.name)
            try:
                problem = self._do(job, line)
            except OSError as error:
                problem = f"cannot start a process: {error}"
            if problem == _BUSY:
                line.postpone()
                self._waiting.put(job)
                time.sleep(_BUSY_SECONDS)
                continue
            if problem:
                self._failures[job.folder] = problem
            line.end(problem)
        self.end()

    def end(self) -> None:
        """End the process, in mid-run if need be; it resumes another time."""
        self._stopped = True
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):  # it died before it read what it was sent last
                _stream(process.stdin).close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _do(self, job: Job, line: Any) -> str:
        """What went wrong with a job, "" for nothing."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        process = self._process
        try:
            _stream(process.stdin).write(json.dumps(job.to_plain()) + "\n")
            _stream(process.stdin).flush()
        except (OSError, ValueError):
            return self._obituary(process)
        for text in _stream(process.stdout):
            event = json.loads(text)
            if event["kind"] == "done":
                return ""
            if event["kind"] == "busy":
                return _BUSY
            if event["kind"] == "failed":
                return str(event["message"])
            line.hear(event)
        return self._obituary(process)

    def _start(self) -> subprocess.Popen[str]:
        threads = str(self._machine.threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        gpus = self._machine.gpus()
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[self._number % len(gpus)]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches this process only, which ends the others in order
            )

    def _obituary(self, process: subprocess.Popen[str]) -> str:
        if self._stopped:
            return "interrupted"
        code = process.wait()
        how = " (killed, perhaps for lack of memory)" if code == -9 else ""
        return f"its process ended with code {code}{how}; see {self._log}"


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
