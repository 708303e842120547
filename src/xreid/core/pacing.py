"""Progress of long work, told now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

Tell = Callable[[int, int], None]

SECONDS_BETWEEN_LINES = 10.0


def now_and_then(tell: Tell, *, seconds: float = SECONDS_BETWEEN_LINES) -> Tell:
    """`tell`, called through at most every so many seconds; work that takes less time says nothing."""
    last = time.perf_counter()

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.perf_counter() > last + seconds:
            last = time.perf_counter()
            tell(done, total)

    return told
