"""Colour and grey told apart, and the frames where a camera changes over."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.footage import walkers, wall
from xreid.core.tracklets import Modality
from xreid.retrieval.spectrum import CHROMA_LIMIT, chroma, modality_of, spectrum_from, switches


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def test_grey_is_infrared_also_with_noise_or_a_tint() -> None:
    assert chroma(np.full((90, 90, 3), 77, np.uint8)) < 0.01
    rng = np.random.default_rng(0)
    scene = _grey(wall(size=(480, 640)))
    noisy = np.clip(scene + rng.normal(0, 12, scene.shape), 0, 255).astype(np.uint8)
    assert chroma(noisy) < CHROMA_LIMIT, "coloured noise is averaged away"
    for tint in ((0.6, 1.0, 0.7), (1.0, 0.7, 0.9)):
        tinted = np.clip(scene * np.array(tint), 0, 255).astype(np.uint8)
        assert np.ptp(tinted, axis=2).mean() > 10
        assert chroma(tinted) < CHROMA_LIMIT / 2


def test_colours_are_visible_also_in_the_dark() -> None:
    for image in (wall(), *walkers(3)):
        assert chroma(image) > 5 * CHROMA_LIMIT
    assert chroma((wall() * 0.25).astype(np.uint8)) > CHROMA_LIMIT


def test_confidence_grows_with_the_distance_from_the_limit() -> None:
    found = [spectrum_from([value]) for value in (0.0, 0.3, 0.7, 0.8, 2.0, 10.0)]
    assert [one.modality.value for one in found] == ["ir"] * 3 + ["vis"] * 3
    sure = [one.confidence for one in found]
    assert sure[0] > 0.99
    assert sure[:3] == sorted(sure[:3], reverse=True)
    assert sure[3:] == sorted(sure[3:])
    assert min(sure) >= 0.5
    assert spectrum_from([0.0, 0.0, 0.0, 20.0]).modality is Modality.INFRARED


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(9.0, 50)], []),
        ([(9.0, 50), (0.0, 50)], [50]),
        ([(9.0, 50), (0.0, 50), (9.0, 30)], [50, 100]),
        ([(9.0, 50), (0.0, 4), (9.0, 50)], []),
        ([(9.0, 50), (0.0, 7), (9.0, 50)], []),
        ([(0.0, 3), (9.0, 50)], []),
        ([], []),
        ([(9.0, 2)], []),
    ],
)
def test_changes_that_last_are_found_where_they_are(
    runs: list[tuple[float, int]], expected: list[int]
) -> None:
    series = [value for value, length in runs for _ in range(length)]
    assert switches(series, window=10) == expected


@settings(deadline=None)
@given(st.lists(st.integers(20, 60), min_size=1, max_size=5), st.integers(0, 2**31))
def test_changes_survive_flickering_frames(lengths: list[int], seed: int) -> None:
    """Single frames of the wrong kind, five or more apart and away from the changes, change nothing."""
    clean = np.concatenate([np.full(n, 9.0 if i % 2 else 0.0) for i, n in enumerate(lengths)])
    edges = np.cumsum(lengths)[:-1].tolist()
    assert switches(clean, window=10) == edges
    flickering = clean.copy()
    offset = seed % 5
    for place in range(offset, len(clean), 5):
        if min((abs(place - edge) for edge in [*edges, 0, len(clean)]), default=99) > 6:
            flickering[place] = 9.0 - flickering[place]
    assert switches(flickering, window=10) == edges


def test_a_modality_that_was_stated_counts() -> None:
    for stated in Modality:
        assert modality_of([0.0] * 5, stated=stated.value) is stated
    assert modality_of([0.0] * 5, stated="auto") is Modality.INFRARED
    assert modality_of([5.0] * 5, stated="auto") is Modality.VISIBLE
