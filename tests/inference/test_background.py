"""Items prepared ahead come in order; errors arrive; leaving early ends the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.waiting import until
from xreid.inference.background import ahead

BEFORE: set[threading.Thread] = set()  # left by others until their generators are collected


@pytest.fixture(autouse=True)
def _who_was_here() -> None:
    BEFORE.clear()
    BEFORE.update(threading.enumerate())


def _threads() -> int:
    return sum(thread.name == "xreid-ahead" for thread in set(threading.enumerate()) - BEFORE)


def test_order_and_end() -> None:
    assert list(ahead(iter(range(20)), depth=3)) == list(range(20))
    assert list(ahead(iter(()), depth=1)) == []
    assert _threads() == 0


def test_it_runs_ahead_but_not_far() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    with closing(ahead(items(), depth=2)) as found:
        assert next(found) == 0
        until(lambda: len(made) == 4)  # one is out, two are ready, one waits for room
        time.sleep(0.3)
        assert len(made) == 4
    assert _threads() == 0


def test_errors_arrive_after_the_items_before_them() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    found = ahead(items(), depth=5)
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)
    assert _threads() == 0


def test_leaving_early_closes_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    with closing(ahead(items(), depth=2)) as found:
        next(found)
    assert closed.is_set()
    assert _threads() == 0
