"""How long a run trained, over all attempts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from xreid.core.files import read_json, write_json
from xreid.training.progress import Reporter


class Clock:
    """Seconds spent, over all attempts; what a kill loses is what passed since the last note."""

    def __init__(self, file: Path, *, every: float = 10.0) -> None:
        self._file, self._every = file, every
        self.seconds = float(read_json(file)["train"]) if file.is_file() else 0.0

    def __enter__(self) -> Clock:
        self._last = self._noted = time.perf_counter()
        return self

    def __exit__(self, *problem: object) -> None:
        self._note()

    def tick(self) -> None:
        """Count the time since the last call."""
        now = time.perf_counter()
        self.seconds, self._last = self.seconds + now - self._last, now
        if now - self._noted > self._every:
            self._note()

    def _note(self) -> None:
        self._noted = time.perf_counter()
        write_json(self._file, {"train": round(self.seconds, 2)})


class Timed:
    """A reporter that moves a clock with every step and passes everything on."""

    def __init__(self, reporter: Reporter, clock: Clock) -> None:
        self._reporter, self._clock = reporter, clock

    def start(self, *, steps: int, done: int, epochs: int) -> None:
        """The first step is about to be made."""
        self._clock.tick()
        self._reporter.start(steps=steps, done=done, epochs=epochs)

    def step(self, *, step: int, epoch: int, terms: Mapping[str, float], lr: float, frames: int) -> None:
        """A step was made."""
        self._clock.tick()
        self._reporter.step(step=step, epoch=epoch, terms=terms, lr=lr, frames=frames)

    def part(self, what: str, done: int, total: int) -> None:
        """Something that is no step goes on."""
        self._clock.tick()
        self._reporter.part(what, done, total)

    def note(self, text: str) -> None:
        """Something worth a line happened."""
        self._reporter.note(text)
