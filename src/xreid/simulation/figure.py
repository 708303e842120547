"""Builds the mesh of a person: trunk, limbs, head, hair, hat, skirt or coat, shoes, bags."""

from __future__ import annotations

import numpy as np

from xreid.simulation.headgear import add_hair, add_hat, add_scarf
from xreid.simulation.identity import Person
from xreid.simulation.mesh import Mesh, MeshBuilder, Ring
from xreid.simulation.paint import HEAD_BOTTOM, HEAD_TOP, TORSO_BOTTOM, TORSO_TOP, skirt_span
from xreid.simulation.skeleton import Measures, measure


def build_figure(person: Person) -> Mesh:
    """The standing figure of a person, about 1,300 points."""
    m = measure(person.body)
    builder = MeshBuilder()
    _add_torso(builder, person, m)
    _add_head(builder, person, m)
    for side, sign in (("l", 1), ("r", -1)):
        _add_arm(builder, person, m, side=side, sign=sign)
        _add_leg(builder, person, m, side=side, sign=sign)
        _add_shoe(builder, person, m, side=side, sign=sign)
    _add_skirt(builder, person, m)
    add_hair(builder, person, m)
    add_hat(builder, person, m)
    add_scarf(builder, person, m)
    _add_bag(builder, person, m)
    return builder.build()


#: Share of an average body's height, half width, half depth (shares of the height), how much of it is chest.
_TRUNK = np.array(
    (
        (0.872, 0.031, 0.035, 1.0),
        (0.858, 0.04, 0.039, 1.0),
        (0.846, 0.062, 0.045, 1.0),
        (0.832, 0.085, 0.052, 1.0),
        (0.815, 0.098, 0.058, 1.0),
        (0.79, 0.101, 0.064, 1.0),
        (0.75, 0.097, 0.068, 1.0),
        (0.7, 0.09, 0.066, 0.9),
        (0.65, 0.083, 0.06, 0.65),
        (0.61, 0.081, 0.058, 0.4),
        (0.57, 0.088, 0.063, 0.1),
        (0.53, 0.096, 0.068, 0.0),
        (0.495, 0.093, 0.066, 0.0),
        (0.472, 0.075, 0.055, 0.0),
        (0.455, 0.02, 0.02, 0.0),
    )
)
_HEM_STEP = 0.004  # half the height over which a hem steps back to what lies below, as a share


def _drape(share: float, fit: float) -> float:
    """Factor on the girth under a garment: it hangs from the shoulders and stands off at the waist."""
    off = np.interp(share, (0.5, 0.57, 0.63, 0.72, 0.8, 0.84), (0.95, 1.15, 1.3, 0.85, 0.45, 0.25))
    return 1 + (fit - 1) * float(off)


def _trunk_rows(hem: float) -> list[tuple[float, float, float, float]]:
    """The rows of the trunk with two more around the hem of the upper garment, `hem` as a share."""
    shares = list(_TRUNK[:, 0])
    if 0.5 < hem < 0.7:
        shares = [s for s in shares if abs(s - hem) > 3 * _HEM_STEP] + [hem + _HEM_STEP, hem - _HEM_STEP]
    rising = _TRUNK[::-1]
    rows = []
    for share in sorted(shares, reverse=True):
        side, front, chest = (float(np.interp(share, rising[:, 0], rising[:, k])) for k in (1, 2, 3))
        rows.append((float(share), side, front, chest))
    return rows


def _add_torso(builder: MeshBuilder, person: Person, m: Measures) -> None:
    body, upper, lower = person.body, person.outfit.upper, person.outfit.lower
    hem = m.waist - upper.length
    hanging = skirt_span(person, m)
    rings = []
    for share, side, front, chest in _trunk_rows(m.share(hem)):
        z = m.at(share)
        wide = body.shoulders if share > 0.7 else body.hips
        belly = body.belly * max(0.0, 1 - abs(share - 0.61) / 0.15)
        loose = _drape(share, upper.fit) if z > hem else _drape(share, min(lower.fit, 1.06))
        if hanging is not None and z < hanging[0] - 0.02:
            loose = 0.8  # hidden by the skirt or coat, and must not show through it
        stout = body.girth if share < 0.85 else body.girth**0.6
        rings.append(
            Ring(
                centre=(0.012 * belly * m.height, 0.0, z),
                side=m.height * side * wide * stout**0.85 * loose,
                front=m.height * front * stout * loose * (1 + belly),
                v=(TORSO_TOP - share) / (TORSO_TOP - TORSO_BOTTOM),
                bones=(("chest", chest), ("pelvis", 1 - chest)),
                shade=0.8 if share < 0.5 or hem - 0.012 < z < hem else 1.0,
            )
        )
    builder.tube("torso", rings, around=18, square=2.2)


def _add_head(builder: MeshBuilder, person: Person, m: Measures) -> None:
    h, size = m.height, person.body.head
    profile = (  # share, half width, half depth, forward shift
        (1.0, 0.004, 0.006, -0.004),
        (0.995, 0.021, 0.027, -0.004),
        (0.978, 0.036, 0.046, -0.004),
        (0.953, 0.0425, 0.0545, -0.003),
        (0.928, 0.0425, 0.0535, 0.0),
        (0.908, 0.04, 0.051, 0.003),
        (0.89, 0.034, 0.047, 0.007),
        (0.876, 0.026, 0.039, 0.012),
        (0.868, 0.019, 0.029, 0.015),
        (0.864, 0.027, 0.03, -0.002),
        (0.848, 0.029, 0.031, -0.006),
        (0.815, 0.034, 0.034, -0.008),
    )
    rings = []
    for share, side, front, shift in profile:
        rings.append(
            Ring(
                centre=(shift * h, 0.0, m.at(share)),
                side=side * h * size,
                front=front * h * size,
                v=(HEAD_TOP - share) / (HEAD_TOP - HEAD_BOTTOM),
                bones=_head_bones(share),
                shade=0.72 if share < 0.866 else 1.0,
            )
        )
    builder.tube("head", rings, around=14)
    _add_features(builder, person, m)


def _head_bones(share: float) -> tuple[tuple[str, float], ...]:
    on_head = min(1.0, max(0.0, (share - 0.83) / 0.03))
    return (("head", on_head), ("chest", 1 - on_head))


def _add_features(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Nose and ears: they tell a front from a side view at any resolution."""
    h, size = m.height, person.body.head
    nose = ((0.934, 0.004, 0.006), (0.92, 0.0055, 0.012), (0.91, 0.0085, 0.0165), (0.904, 0.007, 0.009))
    rings = [
        Ring(
            centre=(0.049 * h * size, 0.0, m.at(share)),
            side=side * h,
            front=front * h,
            v=0.1 + 0.05 * i,
            bones=(("head", 1.0),),
            shade=0.8 if share < 0.906 else 1.0,
        )
        for i, (share, side, front) in enumerate(nose)
    ]
    builder.tube("hand", rings, around=4, arc=(-np.pi / 2, np.pi / 2))
    if person.outfit.hair in ("medium", "long", "curly") or person.outfit.hat == "hood":
        return
    ear = ((0.939, 0.002, 0.005), (0.932, 0.005, 0.0115), (0.918, 0.004, 0.009), (0.907, 0.002, 0.004))
    for sign in (1, -1):
        rings = [
            Ring(
                centre=(-0.002 * h, sign * 0.0425 * h * size, m.at(share)),
                side=side * h,
                front=front * h,
                v=0.1 + 0.05 * i,
                bones=(("head", 1.0),),
                shade=0.88,
            )
            for i, (share, side, front) in enumerate(ear)
        ]
        builder.tube("hand", rings, around=5)


def _add_arm(builder: MeshBuilder, person: Person, m: Measures, *, side: str, sign: int) -> None:
    body, upper = person.body, person.outfit.upper
    h, top = m.height, m.shoulder + 0.03
    profile = [  # v along the arm, radius as a share of the height
        (0.0, 0.004), (0.02, 0.015), (0.06, 0.023), (0.12, 0.027), (0.22, 0.0275), (0.4, 0.025),
        (0.48, 0.024), (0.56, 0.024), (0.64, 0.024), (0.76, 0.021), (0.9, 0.016),
        (0.97, 0.0145), (1.0, 0.0145),
    ]  # fmt: skip
    if 0.05 < upper.sleeve < 0.97:
        radius = 0.0285 if upper.sleeve < 0.5 else 0.024
        profile = sorted(
            [*profile, (upper.sleeve - 0.002, radius + 0.002), (upper.sleeve + 0.002, radius - 0.003)]
        )
    rings = []
    for v, radius in profile:
        z = top - (top - m.wrist) * v
        lower_arm = min(1.0, max(0.0, (m.elbow + 0.045 - z) / 0.09))
        loose = 1.02 + (upper.fit - 1) * (0.5 + 0.6 * v) if v < upper.sleeve else 1.0
        thick = h * radius * body.girth**0.8 * loose
        inward = 0.014 * max(0.0, 1 - v / 0.12) * h  # the top leans into the slope of the shoulder
        rings.append(
            Ring(
                centre=(0.0, sign * (m.shoulder_y - inward), z),
                side=thick,
                front=thick * 1.08,
                v=v,
                bones=((f"upper_arm_{side}", 1 - lower_arm), (f"forearm_{side}", lower_arm)),
                shade=0.95,
            )
        )
    builder.tube(f"arm_{side}", rings, around=9)
    _add_hand(builder, m, side=side, sign=sign)


def _add_hand(builder: MeshBuilder, m: Measures, *, side: str, sign: int) -> None:
    """A relaxed hand: the palm to the thigh, fingers curled inward, the thumb in front."""
    h, bones = m.height, ((f"hand_{side}", 1.0),)
    palm = (  # along, half thickness, half width, curl inward; shares of the height
        (0.0, 0.0125, 0.014, 0.0), (0.02, 0.0115, 0.019, 0.001), (0.045, 0.0115, 0.0215, 0.002),
        (0.065, 0.01, 0.019, 0.006), (0.082, 0.008, 0.015, 0.012), (0.091, 0.004, 0.008, 0.017),
    )  # fmt: skip
    thumb = ((0.012, 0.004, 0.012), (0.03, 0.0065, 0.021), (0.05, 0.0055, 0.025), (0.06, 0.002, 0.025))
    fingers = [
        Ring(
            centre=(0.001 * h, sign * (m.shoulder_y - curl * h), m.wrist - along * h),
            side=thin * h,
            front=wide * h,
            v=along / 0.091,
            bones=bones,
        )
        for along, thin, wide, curl in palm
    ]
    builder.tube("hand", fingers, around=8)
    rings = [
        Ring(
            centre=(forward * h, sign * (m.shoulder_y - 0.004 * h), m.wrist - along * h),
            side=thick * h,
            front=thick * h,
            v=0.2,
            bones=bones,
        )
        for along, thick, forward in thumb
    ]
    builder.tube("hand", rings, around=5)


def _add_leg(builder: MeshBuilder, person: Person, m: Measures, *, side: str, sign: int) -> None:
    body, lower = person.body, person.outfit.lower
    profile = [  # v along the leg, radius as a share of the height
        (0.0, 0.05), (0.08, 0.051), (0.18, 0.048), (0.3, 0.042), (0.42, 0.035), (0.48, 0.032), (0.53, 0.031),
        (0.58, 0.0305), (0.66, 0.033), (0.75, 0.03), (0.86, 0.023), (0.95, 0.0195), (1.0, 0.021),
    ]  # fmt: skip
    covered = 0.0 if lower.kind == "skirt" else lower.length
    if 0.1 < covered < 0.97:
        edge = [r for v, r in profile if v <= covered][-1]
        profile = sorted([*profile, (covered - 0.002, edge), (covered + 0.002, edge * 0.97)])
    shin_v = (m.hip - m.knee) / (m.hip - m.ankle)
    rings = []
    for v, radius in profile:
        bent = min(1.0, max(0.0, (v - shin_v + 0.05) / 0.1))
        dressed = v < covered
        loose = 1.03 + (lower.fit - 1) * (0.5 + 0.9 * v) if dressed else 1.0
        booted = person.outfit.boot and not dressed and v > 1 - (1 - shin_v) * person.outfit.boot
        thick = m.height * radius * body.girth**0.7 * loose * (1.12 if booted else 1.0)
        if dressed and lower.kind in ("trousers", "wide"):
            thick = max(thick, m.height * (0.029 if lower.kind == "trousers" else 0.041))
        calf = -0.008 if 0.55 < v < 0.85 else 0.0
        rings.append(
            Ring(
                centre=(calf * m.height, sign * m.hip_y, m.hip - (m.hip - m.ankle) * v),
                side=thick,
                front=thick * 1.1,
                v=v,
                bones=((f"thigh_{side}", 1 - bent), (f"shin_{side}", bent)),
                shade=0.78 + 0.2 * min(1.0, v / 0.5),
            )
        )
    builder.tube(f"leg_{side}", rings, around=11, lift=-0.06)


def _add_shoe(builder: MeshBuilder, person: Person, m: Measures, *, side: str, sign: int) -> None:
    h = m.height
    profile = (  # forward, half width, half height, height of the middle; shares of the body height
        (-0.042, 0.008, 0.01, 0.018), (-0.036, 0.018, 0.022, 0.022), (-0.01, 0.022, 0.026, 0.026),
        (0.03, 0.024, 0.02, 0.02), (0.07, 0.025, 0.014, 0.014),
        (0.098, 0.018, 0.01, 0.011), (0.106, 0.005, 0.004, 0.009),
    )  # fmt: skip
    rings = [
        Ring(
            centre=(forward * h, sign * m.hip_y, middle * h),
            side=side_ * h,
            front=high * h,
            v=i / (len(profile) - 1),
            bones=((f"foot_{side}", 1.0),),
            shade=0.85,
        )
        for i, (forward, side_, high, middle) in enumerate(profile)
    ]
    builder.tube("shoe", rings, around=9, axis="x", square=2.5)


def _add_skirt(builder: MeshBuilder, person: Person, m: Measures) -> None:
    span = skirt_span(person, m)
    if span is None:
        return
    outfit, h, body = person.outfit, m.height, person.body
    coat = outfit.upper.kind == "coat"
    garment = outfit.upper if coat else outfit.lower
    flare = 0.02 if coat else 0.03 + 0.05 * garment.pattern.place
    rings = []
    for i in range(8):
        v = i / 7
        z = span[0] + (span[1] - span[0]) * v
        hips = min(1.0, (m.at(0.6) - z) / (m.at(0.6) - m.at(0.53)) if z < m.at(0.6) else 0.0)
        below = max(0.0, m.hip - z) / h
        rings.append(
            Ring(
                centre=(0.0, 0.0, z),
                side=h
                * ((0.088 + 0.012 * hips) * body.girth * body.hips * garment.fit + flare * below * 3.0),
                front=h * ((0.066 + 0.008 * hips) * body.girth * garment.fit + (flare + 0.02) * below * 3.0),
                v=v,
                bones=(("pelvis", 1.0),),
            )
        )
    builder.tube("skirt", rings, around=20, lift=0.06)
    builder.reweight_skirt(0.62)


def _add_bag(builder: MeshBuilder, person: Person, m: Measures) -> None:
    outfit, h = person.outfit, m.height
    size, sign = outfit.bag_size, outfit.bag_side
    side = "l" if sign > 0 else "r"
    back = -0.066 * h * person.body.girth * outfit.upper.fit
    boxes = {  # centre, half (width, depth, height), bone
        "backpack": ((back - 0.045 * h * size, 0.0, m.at(0.73)), (0.085, 0.05, 0.115), "chest"),
        "crossbody": ((0.0, sign * 0.118 * h, m.at(0.52)), (0.024, 0.065, 0.055), "pelvis"),
        "handbag": (
            (0.02, sign * m.shoulder_y, m.wrist - 0.16 * h),
            (0.025, 0.075, 0.065),
            f"forearm_{side}",
        ),
        "waist": ((0.085 * h * person.body.girth, 0.0, m.at(0.59)), (0.06, 0.022, 0.03), "pelvis"),
    }
    if outfit.bag not in boxes:
        return
    centre, (wide, deep, high), bone = boxes[outfit.bag]
    rings = [
        Ring(
            centre=(centre[0], centre[1], centre[2] + high * h * size * (1 - 2 * v)),
            side=wide * h * size * full,
            front=deep * h * size * full,
            v=v,
            bones=((bone, 1.0),),
        )
        for v, full in ((0.0, 0.35), (0.06, 0.82), (0.3, 1.0), (0.7, 1.03), (0.95, 0.95), (1.0, 0.6))
    ]
    builder.tube("bag", rings, around=12, square=4.0)
