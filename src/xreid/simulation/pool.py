"""Work spread over processes that use one thread each and end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2

from xreid.core.errors import ConfigError, XReidError

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_workers(workers: int) -> None:
    """Refuse a negative number of processes.

    Raises:
        ConfigError: It is negative.
    """
    if workers < 0:
        raise ConfigError("--workers is negative", expected="0 (one per processor) or more", got=str(workers))


def spread(task: Callable[[Item], Result], items: Sequence[Item], *, workers: int) -> Iterator[Result]:
    """Run the task for every item, in this process or in several, and yield results as they come.

    Args:
        task: A function that can be pickled.
        items: What to run it for.
        workers: Processes; 0 = one per processor, 1 = in this process.

    Raises:
        XReidError: A process was killed.
    """
    workers = min(workers or os.cpu_count() or 1, len(items))
    if workers <= 1:
        yield from map(task, items)
        return
    with (
        _one_thread_each(),
        ProcessPoolExecutor(
            workers, mp_context=multiprocessing.get_context("spawn"), initializer=_settle
        ) as pool,
    ):
        waiting: set[Future[Result]] = {pool.submit(task, item) for item in items}
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
