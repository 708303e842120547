"""Means of loss terms between two lines of the log; their sums survive a kill."""

from __future__ import annotations

from collections.abc import Mapping

_COUNT = "count"


class Averages:
    """Sums terms by name; `sums` is saved with the state and given back on resume."""

    def __init__(self, sums: Mapping[str, float] | None = None) -> None:
        self.sums: dict[str, float] = dict(sums or {})

    def add(self, terms: Mapping[str, float]) -> None:
        """Add the terms of one step."""
        for name, value in {_COUNT: 1, **terms}.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def pop(self) -> dict[str, float]:
        """Means since the last call."""
        sums, self.sums = self.sums, {}
        count = sums.pop(_COUNT, 1)
        return {name: value / count for name, value in sums.items()}
