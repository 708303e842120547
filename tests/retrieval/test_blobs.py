"""People out of blobs: two abreast are two, a shadow is nobody, trousers are no shadow."""

import cv2
import numpy as np
import pytest

from tests.retrieval.footage import Image, draw_person
from xreid.retrieval.blobs import Blob, abreast, box_of, cast_shadow, windows_of, without_shadow


def _people(*figures: tuple[float, float, int]) -> Blob:
    """Figures by (middle, foot, height), as a blob of 120 x 160 pixels."""
    image: Image = np.zeros((120, 160, 3), np.uint8)
    for x, foot, height in figures:
        draw_person(image, x=x, foot=foot, colour=(9, 9, 9), height=height)
    blob: Blob = image.any(axis=2)
    return blob


@pytest.mark.parametrize(
    ("figures", "count"),
    [
        ([(40, 110, 90)], 1),
        ([(40, 110, 90), (68, 110, 90)], 2),
        ([(40, 110, 90), (70, 106, 75)], 2),  # a smaller one beside
        ([(30, 110, 80), (56, 108, 84), (82, 110, 80)], 3),
        ([(40, 110, 90), (66, 108, 45)], 1),  # a child, or a bag: too low to be a second head
        ([(40, 110, 90), (46, 112, 90)], 1),  # one behind the other
    ],
)
def test_people_abreast_are_parted(figures: list[tuple[float, float, int]], count: int) -> None:
    blob = _people(*figures)
    parts = abreast(blob)
    assert len(parts) == count
    assert (sum(part.astype(int) for part in parts) == blob).all(), "every pixel is somebody's"
    middles = sorted((box_of(part)[0] + box_of(part)[2]) / 2 for part in parts)
    if count > 1:
        assert middles == pytest.approx(sorted(x for x, _, _ in figures), abs=6)


def test_a_raised_arm_is_no_second_head() -> None:
    blob = _people((60, 110, 90))
    blob[40:46, 60:100] = True
    assert len(abreast(blob)) == 1


def test_a_torso_whose_head_was_not_seen_is_not_parted() -> None:
    blob = np.zeros((120, 160), dtype=bool)
    blob[30:110, 40:56] = True  # two shoulders, and the gap between them
    blob[20:30, 40:46] = blob[20:30, 50:56] = True
    assert len(abreast(blob)) == 1


def _ground(*, colour: tuple[int, int, int] = (90, 110, 130)) -> Image:
    return np.full((120, 160, 3), colour, np.uint8)


def test_a_shadow_on_the_ground_is_cut_off() -> None:
    lit, mean = _ground(), _ground()
    blob = _people((50, 90, 70))
    slant = np.zeros_like(blob)
    for row in range(88, 115):
        slant[row, 50 + (row - 88) : 66 + (row - 88)] = True
    lit[slant & ~blob] = (lit[slant & ~blob] * 0.55).astype(np.uint8)
    lit[blob] = (40, 60, 200)
    left, top, right, bottom = without_shadow(blob | slant, cast_shadow(lit, mean))
    assert (left, top, right, bottom) == pytest.approx(box_of(blob), abs=2)
    assert box_of(blob | slant)[3] > bottom + 20


def test_dark_trousers_are_no_shadow() -> None:
    lit, mean = _ground(), _ground()
    blob = _people((50, 110, 90))
    lit[blob] = (40, 60, 200)
    legs = blob & (np.arange(120)[:, None] > 110 - 0.48 * 90)
    lit[legs] = (mean[legs] * 0.5).astype(np.uint8)
    assert without_shadow(blob, cast_shadow(lit, mean)) == box_of(blob)


def test_what_is_all_shadow_keeps_its_box() -> None:
    lit, mean = _ground(), _ground()
    blob = _people((50, 110, 90))
    lit[blob] = (mean[blob] * 0.5).astype(np.uint8)
    assert cast_shadow(lit, mean)[blob].all()
    assert without_shadow(blob, cast_shadow(lit, mean)) == box_of(blob)
    coloured = lit.copy()
    coloured[blob] = (30, 60, 120)
    assert not cast_shadow(coloured, mean).any(), "of another colour"


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (37, 52)])
def test_windows_hold_the_blobs_of_the_whole_mask_in_its_order(corner: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(corner))
    mask = np.zeros((97, 121), np.uint8)
    mask[corner[0] : -2, corner[1] : -3] = cv2.medianBlur(
        rng.integers(0, 2, (95 - corner[0], 118 - corner[1]), dtype=np.uint8), 5
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    wanted = [label for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= 9]
    found = list(windows_of(mask, min_area=9))
    assert len(wanted) == len(found) > 5
    for label, (window, blob) in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(labels[window] == label, blob)
        assert blob.sum() == stats[label, cv2.CC_STAT_AREA]
    assert not list(windows_of(np.zeros((9, 9), np.uint8), min_area=0))


def test_a_blob_beyond_65535_others_is_found() -> None:
    mask = np.zeros((600, 700), np.uint8)
    mask[:590:2, ::2] = 1
    mask[-5:, -5:] = 1
    ((window, blob),) = windows_of(mask, min_area=2)
    assert blob.sum() == 25
    assert window == (slice(593, 600), slice(693, 700))
