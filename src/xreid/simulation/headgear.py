"""Hair and hats: shells around the head."""

from __future__ import annotations

import numpy as np

from xreid.simulation.identity import Person
from xreid.simulation.mesh import MeshBuilder, Ring
from xreid.simulation.skeleton import Measures

#: Rims of hats and lowest points of the hair at the back, as shares of an average body.
_HAT_BOTTOM = {"cap": 0.956, "beanie": 0.948, "brim": 0.955, "hood": 0.955}
_HAIR_END = {"short": 0.905, "medium": 0.865, "long": 0.735, "bun": 0.9, "tail": 0.895, "curly": 0.88}


def add_hair(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Add the volume of the hair: a cap, what hangs at the back and sides, a bun or a tail."""
    style = person.outfit.hair
    if style == "bald" or person.outfit.hat == "hood":
        return
    h, head = m.height, person.body.head
    volume = _volume(person)
    if person.outfit.hat == "none":
        cap = (
            (1.004, 0.008, 0.01, 0.0), (0.998, 0.025, 0.031, 0.0),
            (0.982, 0.039, 0.049, 0.002), (0.963, 0.0435, 0.055, 0.006),
        )  # fmt: skip
        rings = [
            _ring(m, s, a * head * volume, b * head * volume, v=i * 0.12, tilt=t * h)
            for i, (s, a, b, t) in enumerate(cap)
        ]
        builder.tube("hair", rings, around=12)
    end = _HAIR_END[style]
    shares = np.linspace(_HAT_BOTTOM.get(person.outfit.hat, 0.968) - 0.002, end, 6)
    wide = np.interp(shares, [0.73, 0.76, 0.85, 0.9, 0.962], [0.027, 0.038, 0.0415, 0.0445, 0.0435])
    rings = [
        _ring(
            m,
            float(s),
            float(w) * head * volume,
            float(w) * 1.26 * head * volume,
            v=0.4 + 0.12 * i,
            tilt=0.012 * h if i == 5 else 0.0,  # the ends hang lower behind than at the sides
        )
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


#: Crowns from the top to the rim: rise above the rim in shares of the height, factor on the head's width.
_CROWNS = {
    "cap": ((0.058, 0.12), (0.055, 0.5), (0.043, 0.83), (0.022, 1.0), (0.0, 1.03)),
    "beanie": (
        (0.075, 0.12), (0.07, 0.5), (0.055, 0.83), (0.03, 1.0), (0.022, 1.02), (0.021, 1.1), (0.0, 1.1),
        (-0.002, 1.0),
    ),
    "brim": ((0.06, 0.3), (0.064, 0.72), (0.056, 0.88), (0.018, 1.0), (0.0, 1.03)),
    "hood": ((0.066, 0.12), (0.06, 0.52), (0.046, 0.86), (0.022, 1.08), (0.0, 1.16)),
}  # fmt: skip


def add_hat(builder: MeshBuilder, person: Person, m: Measures) -> None:
    """Add a cap, beanie, brimmed hat or hood, sitting higher in front than behind."""
    hat = person.outfit.hat
    if hat == "none":
        return
    bottom = _HAT_BOTTOM[hat]
    over_hair = _volume(person) + 0.01 if person.outfit.hair != "bald" else 1.03
    size = person.body.head * max(over_hair, 1.1 if hat == "hood" else 1.05)
    crown = _CROWNS[hat]
    tilt = {"cap": 0.003, "beanie": 0.006, "brim": 0.004, "hood": 0.008}[hat] * m.height
    rings = [
        _ring(m, bottom + rise, 0.0435 * g * size, 0.0555 * g * size, v=0.8 * i / (len(crown) - 1), tilt=tilt)
        for i, (rise, g) in enumerate(crown)
    ]
    builder.tube("hat", rings, around=14)
    if hat == "hood":
        _drop_hood(builder, m, size)
    elif hat != "beanie":
        _add_brim(builder, m, bottom, size, tilt=tilt, round_=hat == "brim")


def _add_brim(
    builder: MeshBuilder, m: Measures, bottom: float, size: float, *, tilt: float, round_: bool
) -> None:
    """A brim all round, or the peak of a cap: both bend down towards their edge."""
    steps = ((0.0, 1.0, 0.84), (0.003, 1.32, 0.92), (0.01, 1.62, 1.0))
    if not round_:
        steps = ((0.0, 1.0, 0.84), (0.004, 1.4, 0.92), (0.012, 1.78, 1.0))
    rings = [
        _ring(
            m,
            bottom - drop,
            0.0435 * size * (reach if round_ else 1 + 0.12 * (reach - 1)),
            0.0555 * size * (0.88 * reach + 0.12 if round_ else reach),
            v=v,
            tilt=tilt * (1 - drop / 0.02) if round_ else tilt + 0.4 * drop * m.height,
        )
        for drop, reach, v in steps
    ]
    builder.tube("hat", rings, around=12, arc=(-np.pi, np.pi) if round_ else (-1.2, 1.2))


def _drop_hood(builder: MeshBuilder, m: Measures, size: float) -> None:
    """The sides and back of a hood down to the shoulders; its opening narrows under the chin."""
    fall = ((0.956, 1.17), (0.935, 1.24), (0.905, 1.28), (0.875, 1.35), (0.855, 1.55), (0.835, 1.85))
    rings = [
        _ring(m, s, 0.0435 * g * size, 0.0555 * g * size, v=0.4 + 0.1 * i) for i, (s, g) in enumerate(fall)
    ]
    builder.tube("hat", rings, around=14, arc=(0.95, 2 * np.pi - 0.95))
    collar = ((0.862, 0.85), (0.85, 1.2), (0.835, 1.6))
    rings = [
        _ring(m, s, 0.0435 * g * size, 0.05 * g * size, v=0.6 + 0.1 * i) for i, (s, g) in enumerate(collar)
    ]
    builder.tube("hat", rings, around=8, arc=(-0.95, 0.95))


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


def _ring(m: Measures, share: float, side: float, front: float, *, v: float, tilt: float = 0.0) -> Ring:
    on_head = min(1.0, max(0.0, (share - 0.8) / 0.06))
    return Ring(
        centre=(-0.004 * m.height, 0.0, m.at(share)),
        side=side * m.height,
        front=front * m.height,
        v=min(v, 1.0),
        bones=(("head", on_head), ("chest", 1 - on_head)),
        tilt=tilt,
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
