"""The detector without weights: people who stand, light that changes, places that were left."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.retrieval.footage import Image, draw_person, walkers, wall, write_images
from xreid.core.errors import ConfigError, DataError
from xreid.retrieval.detections import Boxes, build_detector
from xreid.retrieval.first_seconds import one_scene
from xreid.retrieval.frames import open_frames
from xreid.retrieval.motion import MotionDetector, Shapes, join_parts, one_thread


def _true_box(i: int) -> tuple[float, float, float, float] | None:
    if 18 <= i < 82:
        x = 20 + 4 * (min(i - 10, 35) + max(0, i - 65))
        return x - 16.5, 100, x + 16.5, 200
    return None


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, wide) * max(0.0, tall)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


@pytest.mark.parametrize(
    "gain", [lambda i: 1.0, lambda i: 1.0 - 0.25 * (i > 40), lambda i: 1 + 0.1 * np.sin(i)]
)
def test_somebody_who_walks_stands_and_walks_is_found_all_the_time(gain: Callable[[int], float]) -> None:
    detector = MotionDetector(fps=10)
    found = [boxes for image in walkers(90, gain=gain) for boxes in detector([image])]
    assert not any(len(boxes) for boxes in found[:10]), "nobody is there yet"
    good = 0
    for i, boxes in enumerate(found):
        box = _true_box(i)
        if box is not None:
            assert len(boxes) <= 1, f"frame {i} shows one person, not {len(boxes)}"
            good += any(_overlap(tuple(b[:4]), box) > 0.6 for b in boxes)
    assert good >= 0.95 * sum(_true_box(i) is not None for i in range(90))


@pytest.mark.parametrize(("grey", "expected"), [(True, 1), (False, 0)])
def test_what_is_darker_is_shadow_by_day_and_somebody_in_infrared(grey: bool, expected: int) -> None:
    background = wall()
    if grey:
        background = np.repeat(background.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    detector, found = MotionDetector(fps=10), list[Boxes]()
    for i in range(30):
        image = background.copy()
        if i >= 10:
            left = 40 + 5 * (i - 10)
            darker = image[90:200, left : left + 34] * 0.8
            image[90:200, left : left + 34] = darker.astype(np.uint8)
        found += detector([image])
    assert [len(boxes) for boxes in found[12:]] == [expected] * 18


def test_clothes_nearly_as_grey_as_the_ground_are_seen_in_infrared() -> None:
    rng = np.random.default_rng(0)
    detector, found = MotionDetector(fps=10), list[Boxes]()
    for i in range(60):
        image = np.full((240, 320, 3), 90.0)
        if i >= 30:
            image[90:200, 5 * i - 110 : 5 * i - 76] += 17
        noise = rng.normal(0, 2, (*image.shape[:2], 1))
        found += detector([np.clip(image + noise, 0, 255).astype(np.uint8)])
    assert [len(boxes) for boxes in found[32:]] == [1] * 28
    assert not any(len(boxes) for boxes in found[:30]), "noise is nobody"


def test_a_place_somebody_has_left_is_not_reported() -> None:
    detector = MotionDetector(fps=10)
    background = wall()
    found: list[Boxes] = []
    for i in range(40):  # somebody stands there from the first frame on, and leaves
        image = background.copy()
        draw_person(image, x=80 if i < 5 else 80 + 8 * (i - 5), foot=200, colour=(30, 30, 200))
        found += detector([image])
    ghost = (60, 100, 100, 200)
    assert not any(_overlap(tuple(b[:4]), ghost) > 0.5 for boxes in found[15:] for b in boxes)
    assert len(found[25]) == 1, "the person is still found"


def _leaves(count: int, *, until: int) -> list[Image]:
    """Somebody stands there from the first frame on, and walks off after `until` frames."""
    images = []
    for i in range(count):
        image = wall()
        draw_person(image, x=80 if i < until else 80 + 8 * (i - until), foot=200, colour=(30, 30, 200))
        images.append(image)
    return images


def test_who_stands_in_the_first_frame_is_found_at_once_where_the_seconds_after_it_are_known() -> None:
    images, ghost = _leaves(40, until=5), (60, 100, 100, 200)
    plain, ahead = MotionDetector(fps=10), MotionDetector(fps=10)
    ahead.look_ahead(images[::3])
    found = {"plain": plain(images), "ahead": ahead(images)}
    seen = {n: [any(_overlap(tuple(b[:4]), ghost) > 0.6 for b in one) for one in found[n]] for n in found}
    assert not any(seen["plain"][:5]), "without it: not found while standing,"
    assert any(seen["plain"][6:12]), "and a ghost after that"
    assert all(seen["ahead"][:5])
    assert not any(seen["ahead"][8:])
    assert [len(boxes) for boxes in found["ahead"][:30]] == [1] * 30


def test_who_comes_and_stays_most_of_the_first_seconds_is_no_background() -> None:
    images = [wall() for _ in range(30)]
    for image in images[1:]:
        draw_person(image, x=160, foot=200, colour=(30, 30, 200))
    detector = MotionDetector(fps=10)
    detector.look_ahead(images)
    assert [len(boxes) for boxes in detector(images)] == [0] + [1] * 29


def test_only_frames_of_the_first_scene_are_looked_at() -> None:
    day, night = _leaves(30, until=0), [np.repeat(wall()[..., :1] // 2, 3, axis=2) for _ in range(30)]
    assert len(one_scene([*day, *night])) == 30, "another kind of light"
    assert len(one_scene([*day, *[255 - image // 4 for image in day]])) == 30, "much more light"
    assert len(one_scene([*day, wall(size=(120, 160))])) == 30, "another size"
    detector = MotionDetector(fps=10)
    detector.look_ahead([])
    detector.look_ahead(night[:2])  # too few to agree
    assert not len(detector(day[:1])[0])


def test_a_change_of_scene_and_of_size_start_anew() -> None:
    detector = MotionDetector(fps=10)
    for _ in range(5):
        detector([wall(seed=0)])
    assert not len(detector([255 - wall(seed=5)])[0])
    assert not len(detector([255 - wall(seed=5)])[0])
    assert not len(detector([wall(size=(120, 160))])[0])


def test_parts_are_joined_as_a_body_is() -> None:
    head, body, far = (10, 0, 20, 10, 80), (5, 12, 25, 60, 900), (200, 0, 220, 60, 900)
    assert sorted(join_parts([head, far, body], Shapes())) == [(5, 0, 25, 60, 980), far]
    above = (5, -80, 25, -40, 700)  # somebody behind: too far above to be a head
    assert len(join_parts([body, above], Shapes())) == 2


def test_stills_are_compared_with_their_median(tmp_path: Path) -> None:
    images = []
    for i in range(10):
        image = wall()
        draw_person(image, x=30 + 28 * i, foot=200 - 5 * i, colour=(20, 20, 220))
        images.append(image)
    detector = MotionDetector.for_stills(open_frames(write_images(tmp_path / "stills", images)))
    for i, image in enumerate(images):
        ((box,),) = detector([image])
        foot = 200 - 5 * i
        assert _overlap(tuple(box[:4]), (30 + 28 * i - 16, foot - 100, 30 + 28 * i + 16, foot)) > 0.6
    few = write_images(tmp_path / "few", images[:3])
    with pytest.raises(DataError, match=r"background.*8 readable images.*got 3"):
        MotionDetector.for_stills(open_frames(few))


def test_detectors_by_name(tmp_path: Path) -> None:
    source = open_frames(write_images(tmp_path / "images", [wall()]))
    for name in ("yolo", "torchvision", "torchvision:no_such_model"):
        with pytest.raises(ConfigError, match="no detector"):
            build_detector(name, source=source, every=1, stills=False, weights=None, device="cpu")
    hog = build_detector("hog", source=source, every=1, stills=False, weights=None, device="cpu")
    assert hog([wall()])[0].shape[1] == 5
    assert hog([wall(size=(60, 60))])[0].shape == (0, 5)


def test_opencv_has_its_threads_again_after_an_ingest_whatever_happened() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert cv2.getNumThreads() == 1
            raise KeyError
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_of_two_ingests_at_once_the_last_gives_opencv_its_threads_again() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    first, last = one_thread(), one_thread()
    try:
        first.__enter__()
        last.__enter__()
        first.__exit__(None, None, None)
        assert cv2.getNumThreads() == 1, "the other one is still at it"
        last.__exit__(None, None, None)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
