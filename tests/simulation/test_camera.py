from __future__ import annotations

import numpy as np
import pytest

from xreid.core.tracklets import Modality
from xreid.simulation.camera import FRAME_SIZE, draw_camera
from xreid.simulation.identity import draw_person
from xreid.simulation.scene import paint_scene
from xreid.simulation.walk import draw_walk


@pytest.mark.parametrize("name", ["D1", "D2", "D7"])
def test_projection_equals_the_pinhole_formula(name: str) -> None:
    camera = draw_camera(0, name, Modality.VISIBLE)
    point = np.array([0.7, 6.0, 1.4])
    sin, cos = np.sin(camera.tilt), np.cos(camera.tilt)
    forward = point[1] * cos - (point[2] - camera.height_m) * sin
    up = point[1] * sin + (point[2] - camera.height_m) * cos
    pixels, depth = camera.project(point.astype(np.float32)[None])
    assert depth[0] == pytest.approx(forward, abs=1e-4)
    assert pixels[0, 0] == pytest.approx(FRAME_SIZE[0] / 2 + camera.focal_px * point[0] / forward, abs=0.01)
    assert pixels[0, 1] == pytest.approx(FRAME_SIZE[1] / 2 - camera.focal_px * up / forward, abs=0.01)


def test_people_walk_in_view_and_upright() -> None:
    person = draw_person(0, "train-0", difficulty=0.3)
    seen = []
    for place in range(6):
        camera = draw_camera(4, f"D{place}", Modality.INFRARED)
        walk = draw_walk(np.random.default_rng(place), person, camera, frames=24, step_s=0.2)
        feet = np.concatenate([walk.position, np.zeros((24, 1), np.float32)], 1)
        head = feet + np.array([0, 0, 1.7], np.float32)
        (low, _), (high, _) = camera.project(feet), camera.project(head)
        assert (low[:, 1] - high[:, 1] > 60).all()
        seen.append(((low[:, 0] > 0) & (low[:, 0] < FRAME_SIZE[0])).mean())
        step = np.linalg.norm(np.diff(walk.position, axis=0), axis=1)
        assert step.max() < 0.2 * 2.0  # nobody runs
    assert np.mean(seen) > 0.9


def test_both_cameras_of_a_place_see_the_same_scene() -> None:
    visible, infrared = (draw_camera(2, "D3", modality) for modality in Modality)
    assert abs(visible.height_m - infrared.height_m) < 0.25
    assert (visible.near_m, visible.far_m, visible.paths) == (infrared.near_m, infrared.far_m, infrared.paths)
    picture, dark = paint_scene(2, visible), paint_scene(2, infrared)
    assert picture.shape == (FRAME_SIZE[1], FRAME_SIZE[0], 3)
    assert dark.shape == (FRAME_SIZE[1], FRAME_SIZE[0])
    assert (picture == paint_scene(2, visible)).all()
    assert 40 < picture.mean() < 200
