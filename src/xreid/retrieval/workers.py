"""Processes that ingest recordings side by side; they end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import cv2

from xreid.core.errors import DataError, XReidError
from xreid.retrieval.bridge import STATE
from xreid.retrieval.ingest import ingest_video
from xreid.retrieval.ingest_config import IngestConfig, IngestReport

Queue = SimpleQueue[tuple[str, int, int | None]]

_queue: Queue | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """One recording to ingest.

    Attributes:
        name: Of the recording.
        path: Its file or folder.
        out: Where its ingest goes.
        config: Options.
        before: The recording of the same camera before this one, to warm up on; or None.
        bridge: The ingest of that, where this one begins at its very end: people go on from there.
        goes_on: The next recording of the camera begins where this one ends.
    """

    name: str
    path: Path
    out: Path
    config: IngestConfig
    before: Path | None = None
    bridge: Path | None = None
    goes_on: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a recording: a report, or what is wrong with it.

    Attributes:
        name: Of the recording.
        report: What was found.
        error: What is wrong with the recording.
    """

    name: str
    report: IngestReport | None = None
    error: str = ""


def run_task(task: Task) -> Outcome:
    """Ingest one recording; a recording that cannot be read is an outcome, other trouble is raised."""

    def tell(done: int, total: int | None) -> None:
        if _queue is not None:
            _queue.put((task.name, done, total))

    try:
        report = ingest_video(
            task.path,
            task.out,
            config=task.config,
            recording=task.name,
            before=task.before,
            bridge=task.bridge,
            goes_on=task.goes_on,
            may_be_empty=True,
            tell=tell,
        )
    except DataError as error:
        return Outcome(name=task.name, error=str(error))
    except (XReidError, OSError):  # not the recording's fault: another one would meet it as well
        raise
    except Exception as error:  # noqa: BLE001 - one odd recording keeps no other back
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}, line {where.lineno}"
        return Outcome(name=task.name, error=f"unexpected {type(error).__name__}: {error} ({place})")
    if task.bridge is not None:
        (task.bridge / STATE).unlink(missing_ok=True)  # megabytes, of use to the next file only
    return Outcome(name=task.name, report=report)


@contextmanager
def pool(jobs: int, queue: Queue | None) -> Iterator[ProcessPoolExecutor]:
    """Processes for `run_task`; killed where the block is left by an exception, which loses no finished work.

    Args:
        jobs: How many.
        queue: Gets (recording, frames done, frames in all or None), and must be read: a full one stops all
            work. None: nobody asks for progress.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    others = set(multiprocessing.active_children())
    workers = ProcessPoolExecutor(jobs, mp_context=context, initializer=_settle, initargs=(queue, threads))
    try:
        yield workers
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        raise
    finally:
        workers.shutdown(cancel_futures=True)


def new_queue() -> Queue:
    """A queue for `pool`."""
    return multiprocessing.get_context("spawn").SimpleQueue()


def _settle(queue: Queue | None, threads: int) -> None:
    """Prepare a process: its share of the threads, deaf to Ctrl-C and SIGTERM, no life after its parent."""
    global _queue
    _queue = queue
    cv2.setNumThreads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for torch, which only some detectors bring, and later
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
