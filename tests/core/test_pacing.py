"""Progress that is told now and then."""

import pytest

from xreid.core import pacing
from xreid.core.pacing import now_and_then


def test_told_at_most_every_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(pacing.time, "perf_counter", lambda: clock[0])
    heard: list[tuple[int, int]] = []
    tell = now_and_then(lambda done, total: heard.append((done, total)), seconds=10)
    for seconds, done in ((101, 1), (110, 2), (111, 3), (112, 4), (121.5, 5)):
        clock[0] = seconds
        tell(done, 9)
    assert heard == [(3, 9), (5, 9)]
