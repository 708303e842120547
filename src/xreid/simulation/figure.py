"""Builds the mesh of a person: trunk, limbs, head, hair, hat, skirt or coat, shoes, bags."""

from __future__ import annotations

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
_TORSO = (
    (0.862, 0.034, 0.036, 1.0),
    (0.842, 0.052, 0.042, 1.0),
    (0.828, 0.088, 0.05, 1.0),
    (0.805, 0.107, 0.058, 1.0),
    (0.76, 0.106, 0.068, 1.0),
    (0.7, 0.096, 0.066, 0.9),
    (0.65, 0.087, 0.06, 0.65),
    (0.61, 0.084, 0.059, 0.4),
    (0.57, 0.09, 0.064, 0.1),
    (0.53, 0.096, 0.068, 0.0),
    (0.495, 0.093, 0.066, 0.0),
    (0.472, 0.075, 0.055, 0.0),
    (0.455, 0.02, 0.02, 0.0),
)


def _add_torso(builder: MeshBuilder, person: Person, m: Measures) -> None:
    body, upper, lower = person.body, person.outfit.upper, person.outfit.lower
    hem = m.waist - upper.length
    hanging = skirt_span(person, m)
    rings = []
    for share, side, front, chest in _TORSO:
        z = m.at(share)
        wide = body.shoulders if share > 0.7 else body.hips
        belly = body.belly * max(0.0, 1 - abs(share - 0.6) / 0.13)
        dressed = share < 0.83
        over = (upper.fit if z > hem else min(lower.fit, 1.08)) if dressed else 1.0
        loose = 1 + (over - 1) * (1.6 if 0.5 < share < 0.68 else 1.0)
        if hanging is not None and z < hanging[0] - 0.02:
            loose = 0.8  # hidden by the skirt or coat, and must not show through it
        v = (TORSO_TOP - share) / (TORSO_TOP - TORSO_BOTTOM)
        rings.append(
            Ring(
                centre=(0.012 * belly * m.height, 0.0, z),
                side=m.height * side * wide * body.girth * loose,
                front=m.height * front * body.girth * loose * (1 + belly),
                v=v,
                bones=(("chest", chest), ("pelvis", 1 - chest)),
                shade=0.8 if share < 0.5 else 1.0,
            )
        )
    builder.tube("torso", rings, around=18, square=2.3)


def _add_head(builder: MeshBuilder, person: Person, m: Measures) -> None:
    h, size = m.height, person.body.head
    profile = (  # share, half width, half depth, forward shift
        (1.0, 0.006, 0.008, 0.0),
        (0.993, 0.024, 0.03, 0.0),
        (0.975, 0.038, 0.048, 0.0),
        (0.945, 0.044, 0.056, 0.0),
        (0.92, 0.043, 0.055, 0.002),
        (0.897, 0.037, 0.05, 0.006),
        (0.878, 0.028, 0.038, 0.012),
        (0.868, 0.026, 0.03, 0.004),
        (0.85, 0.029, 0.031, -0.006),
        (0.815, 0.033, 0.033, -0.008),
    )
    rings = []
    for share, side, front, shift in profile:
        on_head = min(1.0, max(0.0, (share - 0.83) / 0.03))
        rings.append(
            Ring(
                centre=(shift * h, 0.0, m.at(share)),
                side=side * h * size,
                front=front * h * size,
                v=(HEAD_TOP - share) / (HEAD_TOP - HEAD_BOTTOM),
                bones=(("head", on_head), ("chest", 1 - on_head)),
                shade=0.75 if share < 0.87 else 1.0,
            )
        )
    builder.tube("head", rings, around=14)


def _add_arm(builder: MeshBuilder, person: Person, m: Measures, *, side: str, sign: int) -> None:
    body, upper = person.body, person.outfit.upper
    h, top = m.height, m.shoulder + 0.03
    profile = [  # v along the arm, radius as a share of the height
        (0.0, 0.006), (0.03, 0.02), (0.09, 0.0285), (0.2, 0.029), (0.4, 0.026), (0.48, 0.0245),
        (0.56, 0.0245),
        (0.62, 0.0245), (0.75, 0.022), (0.9, 0.0165), (0.97, 0.0145), (1.0, 0.0145),
    ]  # fmt: skip
    if 0.05 < upper.sleeve < 0.97:
        radius = 0.028 if upper.sleeve < 0.5 else 0.024
        profile = sorted(
            [*profile, (upper.sleeve - 0.002, radius + 0.002), (upper.sleeve + 0.002, radius - 0.002)]
        )
    rings = []
    for v, radius in profile:
        z = top - (top - m.wrist) * v
        lower_arm = min(1.0, max(0.0, (m.elbow + 0.045 - z) / 0.09))
        loose = 1 + (upper.fit - 1) * 1.3 + 0.02 if v < upper.sleeve else 1.0
        thick = h * radius * body.girth**0.8 * loose
        rings.append(
            Ring(
                centre=(0.0, sign * m.shoulder_y, z),
                side=thick,
                front=thick * 1.08,
                v=v,
                bones=((f"upper_arm_{side}", 1 - lower_arm), (f"forearm_{side}", lower_arm)),
                shade=0.95,
            )
        )
    builder.tube(f"arm_{side}", rings, around=9)
    hand = ((1.0, 0.013, 0.015), (0.7, 0.012, 0.022), (0.35, 0.011, 0.022), (0.05, 0.006, 0.011))
    builder.tube(
        "hand",
        [
            Ring(
                centre=(0.008 * (1 - share), sign * m.shoulder_y, m.wrist - 0.085 * h * (1 - share)),
                side=a * h,
                front=b * h,
                v=1 - share,
                bones=((f"hand_{side}", 1.0),),
            )
            for share, a, b in hand
        ],
        around=7,
    )


def _add_leg(builder: MeshBuilder, person: Person, m: Measures, *, side: str, sign: int) -> None:
    body, lower = person.body, person.outfit.lower
    profile = [  # v along the leg, radius as a share of the height
        (0.0, 0.05), (0.08, 0.052), (0.18, 0.05), (0.3, 0.044), (0.42, 0.037), (0.48, 0.034), (0.53, 0.033),
        (0.58, 0.032), (0.66, 0.0335), (0.75, 0.031), (0.86, 0.025), (0.95, 0.021), (1.0, 0.022),
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
            thick = max(thick, m.height * (0.03 if lower.kind == "trousers" else 0.042))
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
