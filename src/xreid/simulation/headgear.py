"""Hair and hats: shells around the head."""

from __future__ import annotations

import numpy as np

from xreid.simulation.identity import Person
from xreid.simulation.mesh import MeshBuilder, Ring
from xreid.simulation.skeleton import Measures

#: Rims of hats and lowest points of the hair at the back, as shares of an average body.
_HAT_BOTTOM = {"cap": 0.956, "beanie": 0.944, "brim": 0.955, "hood": 0.955}
_HAIR_END = {"short": 0.905, "medium": 0.865, "long": 0.735, "bun": 0.9, "tail": 0.895, "curly": 0.88}


def add_hair(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Add the volume of the hair: a cap, what hangs at the back and sides, a bun or a tail."""
    style = person.outfit.hair
    if style == "bald" or person.outfit.hat == "hood":
        return
    h, head = m.height, person.body.head
    volume = _volume(person)
    covered = person.outfit.hat != "none"
    if not covered:
        cap = ((1.004, 0.01, 0.012), (0.996, 0.027, 0.034), (0.978, 0.04, 0.05), (0.962, 0.044, 0.055))
        rings = [
            _ring(m, s, a * head * volume, b * head * volume, v=i * 0.12) for i, (s, a, b) in enumerate(cap)
        ]
        builder.tube("hair", rings, around=12)
    end = _HAIR_END[style]
    shares = np.linspace(_HAT_BOTTOM.get(person.outfit.hat, 0.964) - 0.002, end, 6)
    wide = np.interp(shares, [0.7, 0.85, 0.9, 0.962], [0.038, 0.043, 0.0445, 0.044])
    rings = [
        _ring(m, float(s), float(w) * head * volume, float(w) * 1.26 * head * volume, v=0.4 + 0.12 * i)
        for i, (s, w) in enumerate(zip(shares, wide, strict=True))
    ]
    reach = 0.62 if style in ("long", "medium") else 0.5
    builder.tube("hair", rings, around=10, arc=(np.pi * (1 - reach), np.pi * (1 + reach)))
    if style == "bun":
        ball = [(0.99, 0.008), (0.978, 0.024), (0.96, 0.03), (0.942, 0.024), (0.93, 0.008)]
        _blob(builder, m, ball, back=-0.062 * h * head)
    elif style == "tail":
        tail = [(0.955, 0.008), (0.945, 0.02), (0.91, 0.022), (0.86, 0.02), (0.81, 0.014), (0.78, 0.004)]
        _blob(builder, m, tail, back=-0.07 * h * head)


def add_hat(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Add a cap, beanie, brimmed hat or hood."""
    hat, head = person.outfit.hat, person.body.head
    if hat == "none":
        return
    bottom = _HAT_BOTTOM[hat]
    top = 1.012 if hat != "beanie" else 1.018
    shares = np.linspace(top, bottom, 5)
    over_hair = _volume(person) + 0.03 if person.outfit.hair != "bald" else 1.0
    grow = (
        np.array([0.2, 0.72, 0.95, 1.03, 1.06])
        * head
        * max(over_hair, 1.12 if hat in ("beanie", "hood") else 1.06)
    )
    rings = [
        _ring(m, float(s), 0.044 * float(g), 0.056 * float(g), v=0.2 * i)
        for i, (s, g) in enumerate(zip(shares, grow, strict=True))
    ]
    builder.tube("hat", rings, around=12)
    rim = rings[-1]
    if hat in ("cap", "brim"):
        reach = 1.85 if hat == "brim" else 2.1
        edge = _ring(
            m, bottom - 0.006, 0.046 * head * (reach if hat == "brim" else 1.1), 0.058 * head * reach, v=1.0
        )
        inner = Ring(centre=rim.centre, side=rim.side, front=rim.front, v=0.85, bones=rim.bones)
        arc = (-np.pi, np.pi) if hat == "brim" else (-1.15, 1.15)
        builder.tube("hat", [inner, edge], around=12, arc=arc)
    elif hat == "hood":
        fall = [(0.955, 1.2), (0.93, 1.24), (0.9, 1.22), (0.87, 1.2), (0.845, 1.35), (0.825, 1.6)]
        rings = [
            _ring(m, s, 0.044 * g * head, 0.056 * g * head, v=0.4 + 0.1 * i) for i, (s, g) in enumerate(fall)
        ]
        builder.tube("hat", rings, around=14, arc=(0.75, 2 * np.pi - 0.75))


def add_scarf(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Add a scarf round the neck."""
    if person.outfit.scarf is None:
        return
    profile = ((0.875, 0.036), (0.868, 0.05), (0.852, 0.056), (0.836, 0.058), (0.826, 0.045))
    rings = [
        Ring(
            centre=(0.0, 0.0, m.at(s)),
            side=r * m.height,
            front=r * m.height,
            v=i / 4,
            bones=(("chest", 1.0),),
        )
        for i, (s, r) in enumerate(profile)
    ]
    builder.tube("scarf", rings, around=12)


def _volume(person: Person) -> float:
    return 1 + person.outfit.hair_volume * (2.2 if person.outfit.hair == "curly" else 1.0)


def _ring(m: Measures, share: float, side: float, front: float, *, v: float) -> Ring:
    on_head = min(1.0, max(0.0, (share - 0.8) / 0.06))
    return Ring(
        centre=(-0.004 * m.height, 0.0, m.at(share)),
        side=side * m.height,
        front=front * m.height,
        v=min(v, 1.0),
        bones=(("head", on_head), ("chest", 1 - on_head)),
    )


def _blob(builder: MeshBuilder, m: Measures, profile: list[tuple[float, float]], *, back: float) -> None:
    rings = [
        Ring(
            centre=(back, 0.0, m.at(s)),
            side=r * m.height,
            front=r * m.height,
            v=0.3 + 0.1 * i,
            bones=(("head", 1.0),),
        )
        for i, (s, r) in enumerate(profile)
    ]
    builder.tube("hair", rings, around=8)
