"""What an ablation says while it runs."""

from __future__ import annotations

import io
import time

import pytest

from xreid.training.ablation_progress import Board, span


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    return made


def test_time_left_over_all_runs(clock: Clock) -> None:
    out = io.StringIO()
    board = Board(total=6, done=1, jobs=2, out=out, seconds_between=30.0)
    assert board.left() is None
    first, second = board.line("first"), board.line("second")
    first.hear({"kind": "start", "steps": 100, "done": 0})
    clock.now += 10
    first.hear({"kind": "step", "step": 25, "frames": 16})
    # the first takes 40 s in all, the others are taken for alike: 30 + 30 + 3 x 40 by two at a time
    assert board.left() == pytest.approx((30 + 30 + 3 * 40) / 2)
    assert first.text() == "first: step 25 of 100, 40 frames/s, 30 s left"
    assert out.getvalue() == ""
    clock.now += 30
    second.hear({"kind": "part", "what": "memory", "done": 1, "total": 4})
    assert "ablate: second: memory 1 of 4\n" in out.getvalue()
    first.end()
    second.end("no weights")
    shown = out.getvalue()
    assert "ablate: first: done in 40 s\n" in shown
    assert "ablate: second: FAILED: no weights\n" in shown
    assert shown.endswith("3 of 6 runs done (1 failed), about 1:00 left\n")


def test_a_resumed_run_is_judged_by_what_it_did_since(clock: Clock) -> None:
    board = Board(total=1, done=0, jobs=1, out=io.StringIO())
    line = board.line("again")
    line.hear({"kind": "start", "steps": 100, "done": 80})
    clock.now += 5
    line.hear({"kind": "step", "step": 90, "frames": 16})
    assert board.left() == pytest.approx(5)


def test_spans() -> None:
    assert [span(s) for s in (0.4, 59.4, 60, 3599, 3600, 36_061)] == [
        "0 s", "59 s", "1:00", "59:59", "1:00:00", "10:01:01",
    ]  # fmt: skip
