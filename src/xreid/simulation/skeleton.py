"""The skeleton: joints at rest, and joints and rotations in every frame of a walk.

Axes: x forward, y left, z up, metres, the ground at z = 0. Shape legend: F frames, B bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xreid.simulation.arrays import Floats
from xreid.simulation.identity import Body, Gait

BONES = (
    "pelvis", "chest", "head",
    "upper_arm_l", "forearm_l", "hand_l", "upper_arm_r", "forearm_r", "hand_r",
    "thigh_l", "shin_l", "foot_l", "thigh_r", "shin_r", "foot_r",
)  # fmt: skip
PARENTS = (-1, 0, 1, 1, 3, 4, 1, 6, 7, 0, 9, 10, 0, 12, 13)
BONE = {name: i for i, name in enumerate(BONES)}


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Heights and half-widths of the standing body, in metres.

    Attributes:
        height: Of the crown.
        neck: Height of the base of the neck.
        shoulder: Height of the shoulder joints.
        waist: Height of the waist.
        hip: Height of the hip joints.
        knee: Height of the knees.
        ankle: Height of the ankles.
        shoulder_y: Distance of the shoulder joints from the middle.
        hip_y: Distance of the hip joints from the middle.
        elbow: Height of the elbows.
        wrist: Height of the wrists.
    """

    height: float
    neck: float
    shoulder: float
    waist: float
    hip: float
    knee: float
    ankle: float
    shoulder_y: float
    hip_y: float
    elbow: float
    wrist: float

    def at(self, share: float) -> float:
        """Height of a point of the trunk or head given as a share of an average body (hip 0.52, crown 1)."""
        return self.hip + (share - 0.52) * (self.height - self.hip) / 0.48

    def share(self, z: float) -> float:
        """The inverse of `at`: where a height in metres lies on the trunk of an average body."""
        return 0.52 + (z - self.hip) * 0.48 / (self.height - self.hip)


def measure(body: Body) -> Measures:
    """Average segment lengths (Winter, Biomechanics and Motor Control) times the body's factors."""
    height = body.height_m
    hip = 0.52 * height * body.legs
    scale = (height - hip) / 0.48
    shoulder = hip + 0.297 * scale
    return Measures(
        height=height,
        neck=hip + 0.32 * scale,
        shoulder=shoulder,
        waist=hip + 0.095 * scale,
        hip=hip,
        knee=0.525 * hip,
        ankle=0.043 * height,
        shoulder_y=0.098 * height * body.shoulders * body.girth**0.4,
        hip_y=0.05 * height * body.hips,
        elbow=shoulder - 0.172 * height,
        wrist=shoulder - 0.322 * height,
    )


def rest_joints(m: Measures) -> Floats:
    """Joint positions of the standing body, arms hanging: float32 [B, 3]."""
    sides = []
    for y in (m.shoulder_y, -m.shoulder_y):
        sides += [(0, y, m.shoulder), (0, y, m.elbow), (0, y, m.wrist)]
    for y in (m.hip_y, -m.hip_y):
        sides += [(0, y, m.hip), (0, y, m.knee), (0, y, m.ankle)]
    return np.array([(0, 0, m.hip), (0, 0, m.waist), (0, 0, m.neck), *sides], np.float32)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A walk on the spot: rotations float32 [F, B, 3, 3] from rest, joint positions float32 [F, B, 3]."""

    rotations: Floats
    joints: Floats


def walk_cycle(m: Measures, gait: Gait, *, phase: Floats, habit: bool, loads: tuple[bool, bool]) -> Motion:
    """Pose the skeleton.

    Args:
        m: Measures of the body.
        gait: How it moves.
        phase: float [F], gait phase in radians; the left leg is foremost at pi / 2.
        habit: Whether the person shows the arm habit on this walk.
        loads: Whether the (left, right) hand carries something.
    """
    frames = len(phase)
    local = np.tile(np.eye(3, dtype=np.float32), (frames, len(BONES), 1, 1))
    sway, twist = gait.sway * np.cos(phase), 0.09 * gait.stride * np.sin(phase)
    local[:, BONE["pelvis"]] = _about_z(-twist) @ _about_x(sway)
    lean = gait.lean + 0.02 * np.cos(2 * phase)
    local[:, BONE["chest"]] = _about_z(2.2 * twist) @ _about_y(lean) @ _about_x(-1.3 * sway)
    local[:, BONE["head"]] = _about_z(-1.2 * twist) @ _about_y(gait.stoop - 0.5 * lean)
    for sign, name in ((1.0, "l"), (-1.0, "r")):
        own = phase if sign > 0 else phase + np.pi
        _pose_leg(local, name, gait, own, sign)
        shows = habit and gait.habit_side == sign
        _pose_arm(local, name, gait, own, sign, shows, loads[0 if sign > 0 else 1])
    return _forward_kinematics(local, rest_joints(m))


def _pose_leg(local: Floats, name: str, gait: Gait, phase: Floats, sign: float) -> None:
    hip = 0.1 + 0.4 * gait.stride * np.sin(phase) - 0.05 * np.cos(2 * phase)
    swing = np.clip(np.cos(phase + 0.55), 0, None) ** 1.4  # the leg comes forward bent
    knee = 0.09 + 0.95 * gait.stride * swing + 0.14 * np.clip(np.sin(phase - 0.6), 0, None) ** 2
    ankle = 0.9 * knee - 0.62 * hip - 0.16  # keeps the sole near the ground; toes up at heel strike
    toe_out = np.full_like(phase, sign * gait.toe_out)
    local[:, BONE[f"thigh_{name}"]] = (
        _about_z(0.5 * toe_out) @ _about_y(-hip) @ _about_x(np.full_like(phase, -0.02 * sign))
    )
    local[:, BONE[f"shin_{name}"]] = _about_y(knee)
    local[:, BONE[f"foot_{name}"]] = _about_z(0.5 * toe_out) @ _about_y(-np.clip(ankle, -0.25, 0.55) + 0.0)


def _pose_arm(
    local: Floats, name: str, gait: Gait, phase: Floats, sign: float, shows: bool, loaded: bool
) -> None:
    swing = -0.42 * gait.arm_swing * np.sin(phase)  # opposite to the leg of its side
    elbow = 0.28 + 0.2 * gait.arm_swing * (1 - np.sin(phase)) / 2
    out = np.full_like(phase, 0.13)
    if loaded:
        swing, elbow = 0.35 * swing, np.full_like(phase, 0.12)
    elif shows and gait.habit == "pocket":
        swing, elbow, out = 0.15 * swing - 0.32, np.full_like(phase, 0.95), out + 0.14
    elif shows and gait.habit == "strap":
        swing, elbow, out = 0.1 * swing + 0.35, np.full_like(phase, 2.25), out + 0.12
    elif shows and gait.habit == "phone":
        swing, elbow = 0.1 * swing + 0.45, np.full_like(phase, 1.65)
    elif shows and gait.habit == "still":
        swing, elbow = 0.15 * swing, np.full_like(phase, 0.1)
    inward = np.where(elbow > 1.0, 0.5, 0.12) * -sign
    local[:, BONE[f"upper_arm_{name}"]] = _about_y(-swing) @ _about_x(sign * out)
    local[:, BONE[f"forearm_{name}"]] = _about_z(inward) @ _about_y(-elbow)
    trailing = 0.12 + 0.16 * gait.arm_swing * np.cos(phase)  # a loose wrist lags behind the forearm
    local[:, BONE[f"hand_{name}"]] = _about_y(-trailing) @ _about_x(np.full_like(phase, 0.1 * sign))


def _forward_kinematics(local: Floats, rest: Floats) -> Motion:
    rotations, joints = np.empty_like(local), np.empty((*local.shape[:2], 3), np.float32)
    for bone, parent in enumerate(PARENTS):
        if parent < 0:
            rotations[:, bone], joints[:, bone] = local[:, bone], rest[bone]
            continue
        rotations[:, bone] = rotations[:, parent] @ local[:, bone]
        joints[:, bone] = joints[:, parent] + rotations[:, parent] @ (rest[bone] - rest[parent])
    return Motion(rotations=rotations, joints=joints)


def _about(angle: Floats, first: int, second: int) -> Floats:
    matrix = np.tile(np.eye(3, dtype=np.float32), (len(angle), 1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix[:, first, first] = matrix[:, second, second] = cos
    matrix[:, first, second], matrix[:, second, first] = -sin, sin
    return matrix


def _about_x(angle: Floats) -> Floats:
    return _about(angle, 1, 2)


def _about_y(angle: Floats) -> Floats:
    return _about(angle, 2, 0)


def _about_z(angle: Floats) -> Floats:
    return _about(angle, 0, 1)
