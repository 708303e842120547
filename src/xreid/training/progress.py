"""What a run shows while it runs: a live bar on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

SECONDS_BETWEEN_LINES = 10.0
_SMOOTHING = 0.9


class Reporter(Protocol):
    """Listens to a run."""

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """The first step is about to be made; `done` steps were made before."""

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """A step of so many frames was made."""

    def part(self, what: str, done: int, total: int) -> None:
        """Something that is no step goes on (building the memories)."""

    def note(self, text: str) -> None:
        """Something worth a line happened."""


class Silent:
    """Shows nothing."""

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """Nothing."""

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """Nothing."""

    def part(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Rate:
    """Frames and steps per second over the recent past, and the time that is left."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._step_seconds: float | None = None
        self._frames = 0

    def step(self, frames: int) -> None:
        """A step of so many frames was made."""
        now = time.perf_counter()
        seconds, self._last, self._frames = now - self._last, now, frames
        old = self._step_seconds
        self._step_seconds = seconds if old is None else _SMOOTHING * old + (1 - _SMOOTHING) * seconds

    def restart(self) -> None:
        """Time since the last step was spent on something else."""
        self._last = time.perf_counter()

    @property
    def frames_per_second(self) -> float:
        """0 before the first step."""
        return self._frames / self._step_seconds if self._step_seconds else 0.0

    def left(self, steps: int) -> str:
        """Time that `steps` more steps take, as h:mm:ss."""
        seconds = round((self._step_seconds or 0.0) * steps)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


class LineReporter:
    """Sparse lines on stderr, for logs and pipes."""

    def __init__(self, *, seconds_between: float = SECONDS_BETWEEN_LINES) -> None:
        self._between, self._next = seconds_between, 0.0
        self._rate, self._steps, self._epochs = Rate(), 0, 0

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """Say where the run begins."""
        self._steps, self._epochs, self._rate = steps, epochs, Rate()
        self.note(f"{steps} steps in {epochs} epochs" + (f"; {done} are done" if done else ""))

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """Print a line if the last one is old enough."""
        self._rate.step(frames)
        if time.perf_counter() < self._next and step < self._steps:
            return
        self._next = time.perf_counter() + self._between
        self.note(
            f"epoch {epoch + 1}/{self._epochs} step {step}/{self._steps} lr {lr:.2e} "
            f"{self._rate.frames_per_second:.0f} frames/s, {self._rate.left(self._steps - step)} left: "
            + " ".join(f"{name} {value:.3f}" for name, value in terms.items())
        )

    def part(self, what: str, done: int, total: int) -> None:
        """Say when it is done."""
        self._rate.restart()
        if done == total:
            self.note(f"{what}: {total}")

    def note(self, text: str) -> None:
        """Print it."""
        sys.stderr.write(f"train: {text}\n")
        sys.stderr.flush()


class LiveReporter:
    """A bar with every loss term under it; use as a context manager, on a terminal."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._live = Live(self._bar, console=console, transient=True, refresh_per_second=4)
        self._task = self._bar.add_task("", rate="", total=None)
        self._part: TaskID | None = None
        self._rate, self._epochs = Rate(), 0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """Draw the bar."""
        self._epochs, self._rate = epochs, Rate()
        self._bar.update(self._task, total=steps, completed=done)

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """Move the bar and show the terms."""
        self._rate.step(frames)
        self._bar.update(
            self._task,
            completed=step,
            description=f"epoch {epoch + 1}/{self._epochs}",
            rate=f"{self._rate.frames_per_second:.0f} frames/s",
        )
        grid = Table.grid(padding=(0, 2))
        for name, value in {**terms, "lr": lr}.items():
            grid.add_row(name, f"{value:.3e}" if name == "lr" else f"{value:.4f}")
        self._live.update(Group(self._bar, grid))

    def part(self, what: str, done: int, total: int) -> None:
        """A second bar, for as long as it lasts."""
        self._rate.restart()
        if self._part is None:
            self._part = self._bar.add_task(what, rate="", total=total)
        self._bar.update(self._part, completed=done, total=total, description=what)
        if done == total:
            self._bar.remove_task(self._part)
            self._part = None

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._live.console.print(f"train: {text}", highlight=False)
