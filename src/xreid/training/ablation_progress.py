"""What an ablation shows while it runs: a line per run with its rate, and the time left over all."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

SECONDS_BETWEEN_LINES = 30.0


class Board:
    """All runs of an ablation: those under way, and how many wait.

    Args:
        total: Runs of the ablation.
        done: Of them, those that were found done.
        jobs: Runs side by side.
        out: Where to write lines; on a terminal the latest state is kept at the bottom instead.
        seconds_between: Least time between two reports.
    """

    def __init__(
        self,
        *,
        total: int,
        done: int,
        jobs: int,
        out: TextIO | None = None,
        seconds_between: float = SECONDS_BETWEEN_LINES,
    ) -> None:
        self._total, self._done, self._jobs = total, done, max(1, jobs)
        self._failed, self._out = 0, sys.stderr if out is None else out
        self._between, self._next = seconds_between, time.perf_counter() + seconds_between
        self._lock, self._lines, self._took = threading.Lock(), list[Line](), list[float]()
        self._elsewhere: set[str] = set()
        self._live = self._start_live() if self._out.isatty() else None

    def line(self, name: str) -> Line:
        """A run begins."""
        with self._lock:
            line = Line(name, self)
            self._lines.append(line)
        self.refresh()
        return line

    def ended(self, line: Line, problem: str) -> None:
        """A run has ended."""
        with self._lock:
            self._lines.remove(line)
            self._done += 1
            self._failed += bool(problem)
            self._took += [] if problem else [line.seconds]
        self.say(f"{line.name}: {f'FAILED: {problem}' if problem else f'done in {span(line.seconds)}'}")
        if self._live is None:
            self.say(self._over_all())
        self.refresh()

    def postponed(self, line: Line) -> None:
        """Another process is at this run; its turn comes again."""
        with self._lock:
            self._lines.remove(line)
            told = line.name in self._elsewhere
            self._elsewhere.add(line.name)
        if not told:
            self.say(f"{line.name}: another process is at it; looked at again later")

    def say(self, text: str) -> None:
        """Print a line of its own."""
        if self._live is not None:
            self._live.console.print(f"ablate: {text}", highlight=False, markup=False)
        else:
            self._out.write(f"ablate: {text}\n")
            self._out.flush()

    def refresh(self) -> None:
        """Show the state, if the last report is old enough."""
        now = time.perf_counter()
        with self._lock:
            lines = [line.text() for line in self._lines]
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text("\n".join([*lines, self._over_all()])))
        elif now >= self._next:
            self._next = now + self._between
            for text in [*lines, self._over_all()]:
                self.say(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def left(self) -> float | None:
        """Seconds until all is done, at the pace so far; None before anything is known."""
        with self._lock:
            whole = [(line.seconds, line.projected()) for line in self._lines]
            known = self._took + [p for _, p in whole if p is not None]
            if not known:
                return None
            mean = sum(known) / len(known)
            waiting = self._total - self._done - len(whole)
            rest = sum(max(0.0, (p or mean) - seconds) for seconds, p in whole) + waiting * mean
            return rest / min(self._jobs, max(1, len(whole) + waiting))

    def _over_all(self) -> str:
        left = self.left()
        when = f", about {span(left)} left" if left is not None and self._done < self._total else ""
        failed = f" ({self._failed} failed)" if self._failed else ""
        return f"{self._done} of {self._total} runs done{failed}{when}"

    def _start_live(self) -> Any:
        from rich.console import Console
        from rich.live import Live

        live = Live(console=Console(file=self._out), transient=True, refresh_per_second=2)
        live.start()
        return live


class Line:
    """One run: a reporter in this process, or a listener to the events of another."""

    def __init__(self, name: str, board: Board) -> None:
        self.name, self._board = name, board
        self._begun = self._stepping = time.perf_counter()
        self._first = self._step = self._steps = 0
        self._phase, self._frames = "starts", 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._begun

    def projected(self) -> float | None:
        """Seconds that all of it will take, by its steps so far."""
        made = self._step - self._first
        if made < 1:
            return None
        now = time.perf_counter()
        return self._stepping - self._begun + (now - self._stepping) * (self._steps - self._first) / made

    def text(self) -> str:
        """Its state in one line."""
        if not self._steps or self._phase:
            return f"{self.name}: {self._phase or 'starts'}"
        seconds = time.perf_counter() - self._stepping
        rate = f"{self._frames * (self._step - self._first) / max(seconds, 1e-9):.0f} frames/s"
        whole = self.projected()
        left = f", {span(max(0.0, whole - self.seconds))} left" if whole is not None else ""
        return f"{self.name}: step {self._step} of {self._steps}, {rate}{left}"

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event of `ablation_worker.Sender`."""
        kind = event["kind"]
        if kind == "start":
            self.start(steps=event["steps"], done=event["done"], epochs=0)
        elif kind == "step":
            self._moved(event["step"], frames=event["frames"])
        elif kind == "part":
            self.part(event["what"], event["done"], event["total"])
        elif kind == "note":
            self.note(event["text"])

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """The first step is about to be made."""
        self._steps, self._first, self._step = steps, done, done
        self._stepping, self._phase = time.perf_counter(), ""
        self._board.refresh()

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """A step was made."""
        self._moved(step, frames=frames)

    def part(self, what: str, done: int, total: int) -> None:
        """Something that is no step goes on."""
        self._phase = f"{what} {done} of {total}" if done < total or what == "embed" else ""
        self._board.refresh()

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        self._board.say(f"{self.name}: {text}")

    def end(self, problem: str = "") -> None:
        """It is done, or failed."""
        self._board.ended(self, problem)

    def postpone(self) -> None:
        """Another process is at it."""
        self._board.postponed(self)

    def _moved(self, step: int, *, frames: int) -> None:
        self._step, self._frames, self._phase = step, frames, ""
        self._board.refresh()


def span(seconds: float) -> str:
    """E.g. "12 s", "3:20" (minutes) or "1:02:03"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
