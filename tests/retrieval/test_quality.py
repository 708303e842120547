"""The parts of a tracklet's quality, against hand-worked cases and naive counting."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval.crops import Crop
from xreid.retrieval.quality import Quality, hidden_of, quality_of, sharpness_of


def _crop(frame: int = 1, **values: float) -> Crop:
    boxed = {"x": 0.0, "y": 0.0, "width": 40.0, "height": 128.0, "score": 1.0, "time_s": 0.0, "chroma": 9.0}
    return Crop(frame=frame, **(boxed | values))  # type: ignore[arg-type]


def test_a_perfect_tracklet_is_one_and_each_fault_lowers_it() -> None:
    best = quality_of([_crop(i) for i in range(16)])
    assert best == Quality(size=1, sharpness=1, visible=1, frames=1)
    assert best.value == 1
    half = quality_of([_crop(i, height=64.0) for i in range(16)])
    assert half == Quality(size=0.5, sharpness=1, visible=1, frames=1)
    assert half.value == pytest.approx(0.5**0.25, abs=1e-4)
    assert quality_of([_crop(i) for i in range(4)]).frames == 0.25
    assert quality_of([_crop()], stills=True).value == 1
    assert quality_of([_crop(i, hidden=i % 2) for i in range(16)]).visible == 0.5
    assert 0 < quality_of([_crop(i, sharpness=0.0) for i in range(16)]).value < 0.2


def test_blur_and_enlargement_lower_the_sharpness() -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (48, 20, 3)).astype(np.uint8), (80, 192))
    values = [sharpness_of(np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))) for sigma in (0.5, 3, 6)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.5 * values[-1]
    small = np.asarray(cv2.resize(image, (10, 24), interpolation=cv2.INTER_AREA))
    assert sharpness_of(small) < 0.8 * values[0]
    assert sharpness_of(np.full((60, 30, 3), 9, np.uint8)) == 0, "a flat picture divides by nothing"


def _naive_sharpness(grey: np.ndarray) -> float:
    """The definition, for a picture of 96 rows: the share of differences that a mean over 9 takes away."""
    found = []
    for picture in (grey, grey.T):  # down the columns, then along the rows
        rows = len(picture)
        mirrored = [abs(i) if i < rows else 2 * (rows - 1) - i for i in range(-4, rows + 4)]
        blurred = np.array([picture[mirrored[i : i + 9]].mean(axis=0) for i in range(rows)])
        before, after = abs(picture[1:] - picture[:-1]), abs(blurred[1:] - blurred[:-1])
        found.append(np.maximum(before - after, 0).sum() / (before + 1).sum())
    return float(min(found))


@pytest.mark.parametrize("along", [0, 1])
def test_sharpness_is_that_of_the_blurrier_direction(along: int) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (96, 40)).astype(np.float32)
    blurred = cv2.blur(noise, (7, 1) if along else (1, 7))
    grey = np.asarray(blurred).round().astype(np.uint8)
    found = sharpness_of(np.repeat(grey[..., None], 3, axis=2))
    assert found == pytest.approx(_naive_sharpness(grey.astype(np.float64)), abs=2e-3)
    assert found < 0.85 * _naive_sharpness(noise.astype(np.float64))


def test_who_is_hidden() -> None:
    size = (200, 300)
    back, front = (100.0, 50.0, 40.0, 80.0), (120.0, 60.0, 40.0, 80.0)  # the second reaches further down
    assert hidden_of([back, front], size=size) == [pytest.approx(0.5 * 70 / 80, abs=0.04), 0]
    assert hidden_of([(0.0, 50.0, 40.0, 80.0)], size=size) == [0.5]
    assert hidden_of([(50.0, 120.0, 40.0, 80.0)], size=size) == [0.5]
    assert hidden_of([], size=size) == []


_BOX = st.tuples(st.integers(5, 60), st.integers(5, 60), st.integers(8, 40), st.integers(16, 60))


@settings(deadline=None)
@given(st.lists(_BOX, min_size=1, max_size=5))
def test_hidden_shares_agree_with_painting(boxes: list[tuple[int, int, int, int]]) -> None:
    """Within what a grid of 8 x 16 points can miss at the edges."""
    shares = hidden_of([tuple(map(float, box)) for box in boxes], size=(400, 400))  # type: ignore[misc]
    for i, (x, y, w, h) in enumerate(boxes):
        painted = np.zeros((400, 400), bool)
        for j, (a, b, c, d) in enumerate(boxes):
            if j != i and b + d > y + h:
                painted[b : b + d, a : a + c] = True
        assert shares[i] == pytest.approx(painted[y : y + h, x : x + w].mean(), abs=0.2)
