"""A process that completes runs, one after the other: jobs come in and events go out as lines of JSON.

Started as `python -m xreid.training.ablation_worker`. It ends when its input ends, also in mid-run: that is
how it follows a parent that was killed. A run that it leaves unfinished goes on where it was.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

_SECONDS_BETWEEN = 0.5


class Sender:
    """Writes events as lines; a reporter of a run.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out, self._next = out, 0.0

    def send(self, kind: str, **values: Any) -> None:
        """Write an event."""
        self._out.write(json.dumps({"kind": kind, **values}) + "\n")
        self._out.flush()

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """The first step is about to be made."""
        self.send("start", steps=steps, done=done)

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """A step was made; not every one is told."""
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + _SECONDS_BETWEEN
            self.send("step", step=step, frames=frames)

    def part(self, what: str, done: int, total: int) -> None:
        """Something that is no step goes on."""
        self.send("part", what=what, done=done, total=total)

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        self.send("note", text=text)


def main() -> None:
    """Take jobs until there are no more."""
    sender = Sender(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever else prints must not end up among the events
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs,), daemon=True).start()
    _limit_threads()
    while True:
        _do(jobs.get(), sender)


def _listen(jobs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


def _limit_threads() -> None:
    import torch

    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))


def _do(line: str, sender: Sender) -> None:
    from xreid.core.errors import XReidError
    from xreid.training.ablation_run import Job, complete, note_failure
    from xreid.training.run_folder import BusyError

    job = Job.from_plain(json.loads(line))
    trace = ""
    try:
        complete(job, reporter=sender)
        sender.send("done")
        return
    except BusyError:
        sender.send("busy")
        return
    except XReidError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 - one run that breaks must not stop the others; told, with its trace
        message, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
    note_failure(job.folder, message, trace=trace)
    sender.send("failed", message=message)


if __name__ == "__main__":
    main()
