"""An ingest that gets stuck: whoever kills it in the middle has all the time in the world."""

from __future__ import annotations

import threading
from typing import Any

from xreid.retrieval import workers


class _Stuck:
    """A queue whose sender stops for good once it has told of a frame."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def put(self, told: tuple[str, int, int | None]) -> None:
        self.queue.put(told)
        if told[1]:
            threading.Event().wait()


def run_task(task: workers.Task) -> workers.Outcome:
    """As `workers.run_task`, in a process of `workers.pool`, until the first frames are done."""
    workers._queue = _Stuck(workers._queue)  # type: ignore[assignment]
    return workers.run_task(task)
