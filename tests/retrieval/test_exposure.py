"""A frame mapped onto the background's brightness."""

from __future__ import annotations

import numpy as np
import pytest

from xreid.retrieval.exposure import line, lit_like


def _plain(seen: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The same line by numpy's own mean, variance, median and quantile."""
    usable = (seen > 4) & (seen < 250) & (known > 4) & (known < 250)
    xs, ys = seen[usable].astype(np.float32), known[usable].astype(np.float32)
    gain, offset, kept = 1.0, 0.0, np.ones(len(xs), dtype=bool)
    for _ in range(4):
        if kept.sum() < 100:
            break
        x, y = xs[kept], ys[kept]
        spread = float(x.var())
        slope = float(((x * y).mean() - x.mean() * y.mean()) / spread) if spread > 25 else 1.0
        gain = min(max(slope, 0.5), 2.0)
        offset = min(max(float(np.median(y - gain * x)), -60.0), 60.0)
        error = np.abs(gain * xs + offset - ys)
        kept = error <= np.quantile(error, 0.8)
    return np.clip(np.arange(256) * gain + offset, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("count", [0, 99, 1001, 2700])
@pytest.mark.parametrize("spread", [0, 3, 60])
def test_the_line_is_that_of_the_plain_formulas(count: int, spread: int) -> None:
    rng = np.random.default_rng(count + spread)
    seen = np.clip(rng.normal(120, spread, count), 0, 255).astype(np.uint8)
    known = np.clip(seen * 0.8 + 20 + rng.normal(0, 4, count), 0, 255).astype(np.uint8)
    known[: count // 10] = 250 - known[: count // 10] // 2  # people
    np.testing.assert_array_equal(line(seen, known), _plain(seen, known))


def test_a_brighter_exposure_is_taken_back_though_somebody_is_there() -> None:
    rng = np.random.default_rng(0)
    mean = rng.integers(40, 160, (120, 160, 3), dtype=np.uint8)
    image = np.clip(mean * 1.3 + 5, 0, 255).astype(np.uint8)
    image[20:100, 60:90] = 10
    lit = lit_like(mean, image, free=np.ones(mean.shape[:2], dtype=bool))
    away = np.abs(lit.astype(int) - mean)
    away[20:100, 60:90] = 0
    assert away.max() <= 3
