from __future__ import annotations

import numpy as np
import pytest

from xreid.simulation.figure import build_figure
from xreid.simulation.identity import Person, draw_person
from xreid.simulation.mesh import skin
from xreid.simulation.skeleton import BONE, PARENTS, Motion, measure, rest_joints, walk_cycle


@pytest.fixture(scope="module")
def person() -> Person:
    return draw_person(0, "train-1", difficulty=0.3)


@pytest.fixture(scope="module")
def motion(person: Person) -> Motion:
    phase = np.linspace(0, 2 * np.pi, 17, dtype=np.float32)
    return walk_cycle(measure(person.body), person.gait, phase=phase, habit=False, loads=(False, False))


def test_bones_keep_their_length(person: Person, motion: Motion) -> None:
    rest = rest_joints(measure(person.body))
    for bone, parent in enumerate(PARENTS):
        if parent >= 0:
            posed = np.linalg.norm(motion.joints[:, bone] - motion.joints[:, parent], axis=1)
            assert posed == pytest.approx(np.linalg.norm(rest[bone] - rest[parent]), abs=1e-4)


def test_rotations_are_rotations(motion: Motion) -> None:
    product = motion.rotations @ motion.rotations.swapaxes(-1, -2)
    assert np.allclose(product, np.eye(3), atol=1e-5)
    assert np.allclose(np.linalg.det(motion.rotations), 1, atol=1e-5)


def test_legs_alternate_and_knees_bend_backwards(motion: Motion) -> None:
    left, right = motion.joints[:, BONE["foot_l"], 0], motion.joints[:, BONE["foot_r"], 0]
    assert np.corrcoef(left, right)[0, 1] < -0.7
    assert np.ptp(left) > 0.3
    for side in ("l", "r"):
        hip, knee, ankle = (motion.joints[:, BONE[f"{part}_{side}"]] for part in ("thigh", "shin", "foot"))
        straight = hip[:, 0] + (ankle[:, 0] - hip[:, 0]) * (knee[:, 2] - hip[:, 2]) / (
            ankle[:, 2] - hip[:, 2]
        )
        assert (knee[:, 0] > straight - 0.01).all()


def test_arm_swings_against_the_leg_of_its_side(motion: Motion) -> None:
    hand, foot = motion.joints[:, BONE["hand_l"], 0], motion.joints[:, BONE["foot_l"], 0]
    assert np.corrcoef(hand, foot)[0, 1] < -0.5


def test_skinning_equals_a_loop_over_points_and_bones(person: Person, motion: Motion) -> None:
    mesh, rest = build_figure(person), rest_joints(measure(person.body))
    points, normals = skin(mesh, motion, rest)
    for frame in (0, 5):
        for vertex in range(0, len(mesh.points), 97):
            expected, turned = np.zeros(3), np.zeros(3)
            for bone, weight in zip(mesh.bones[vertex], mesh.weights[vertex], strict=True):
                rotation = motion.rotations[frame, bone]
                expected += weight * (
                    rotation @ (mesh.points[vertex] - rest[bone]) + motion.joints[frame, bone]
                )
                turned += weight * (rotation @ mesh.normals[vertex])
            assert points[frame, vertex] == pytest.approx(expected, abs=1e-4)
            assert normals[frame, vertex] == pytest.approx(turned / np.linalg.norm(turned), abs=1e-4)


@pytest.mark.parametrize("number", range(12))
def test_figures_are_sound(number: int) -> None:
    person = draw_person(3, f"train-{number}", difficulty=0.3)
    mesh = build_figure(person)
    assert np.isfinite(mesh.points).all()
    assert np.allclose(mesh.weights.sum(1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    assert mesh.quads.max() == len(mesh.points) - 1
    tall = np.ptp(mesh.points[:, 2])
    assert person.body.height_m * 0.95 < tall < person.body.height_m * 1.06  # hats and hair add a little
    assert 0.3 < np.ptp(mesh.points[:, 1]) < 0.9
