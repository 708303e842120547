"""Paints the texture atlas of a person: skin, face, hair, clothes with their seams, straps and folds."""

from __future__ import annotations

import numpy as np

from xreid.core.seeding import numpy_generator
from xreid.simulation.arrays import Floats
from xreid.simulation.atlas import Atlas, Tile, assemble, lower_mask, upper_mask
from xreid.simulation.identity import Person
from xreid.simulation.skeleton import Measures, measure
from xreid.simulation.wardrobe import Garment, Material

EYE = Material(colour=(0.08, 0.07, 0.07), nir=0.06)
TORSO_TOP, TORSO_BOTTOM = 0.872, 0.455  # shares of an average body; see Measures.at
HEAD_TOP, HEAD_BOTTOM = 1.0, 0.815


def paint_person(person: Person, *, seed: int, name: str) -> Atlas:
    """The atlas of a person; the folds come from the stream of its name."""
    rng = numpy_generator(seed, "folds", name)
    m = measure(person.body)
    tiles = [_torso(person, m, rng), _skirt(person, m, rng), _head(person), *_small(person, rng)]
    for side in ("l", "r"):
        tiles += [_arm(person, m, side, rng), _leg(person, m, side, rng)]
    return assemble(tiles)


def skirt_span(person: Person, m: Measures) -> tuple[float, float] | None:
    """Top and bottom height of the hanging part of a coat or skirt, or None."""
    upper, lower = person.outfit.upper, person.outfit.lower
    if upper.kind == "coat":
        return m.at(0.615), m.waist - upper.length
    if lower.kind == "skirt":
        return min(m.at(0.6), m.waist - upper.length + 0.012), m.hip * (1 - 0.93 * lower.length)
    return None


def _upper_share(garment: Garment, m: Measures, height: Floats) -> Floats:
    return (m.at(0.835) - height) / (m.at(0.835) - (m.waist - garment.length))


def _torso(person: Person, m: Measures, rng: np.random.Generator) -> Tile:
    outfit, upper = person.outfit, person.outfit.upper
    tile = Tile("torso", upper.base)
    height = m.at(TORSO_TOP) + (m.at(TORSO_BOTTOM) - m.at(TORSO_TOP)) * tile.v
    share, angle = _upper_share(upper, m, height), tile.angle
    tile.paint(upper_mask(upper, share, angle), upper.second)
    if upper.opening:
        tile.paint(np.abs(angle) < np.pi * upper.opening * (0.75 + 0.5 * np.clip(share, 0, 1)), upper.inner)
    elif upper.kind in ("shirt", "jacket", "coat"):
        tile.shade(np.where(np.abs(angle) < 0.04, 0.6, 1.0))
    tile.fold(rng, upper.folds, cells=(7, 9))
    tile.shade(np.where(np.abs(np.abs(angle) - np.pi / 2) < 0.03, 0.85, 1.0))  # side seams
    tile.shade(np.where(np.abs(share - 0.975) < 0.008, 0.82, 1.0))  # stitching of the hem
    if upper.kind in ("jacket", "coat"):  # pockets
        slit = np.abs(height - m.at(0.6) - 0.03 * np.abs(angle)) < 0.005
        tile.shade(np.where(slit & (np.abs(np.abs(angle) - 0.75) < 0.28), 0.6, 1.0))
    _neckline(tile, person, m, height)
    _straps(tile, person, m, height)
    hem = m.waist - upper.length
    below = height < hem
    tile.paint(below, outfit.lower.base)
    if outfit.lower.pattern.kind == "bars":
        tile.paint(below & lower_mask(outfit.lower, 1 - height / m.hip, np.abs(angle)), outfit.lower.second)
    tile.shade(np.where(below & (height > hem - 0.03), 0.72, 1.0))
    if outfit.lower.kind != "skirt":  # slanted pockets in front, straight ones behind
        slit = np.abs(np.abs(angle) - 0.95 - 5 * (m.at(0.57) - height)) < 0.05
        seat = (np.abs(height - m.at(0.54)) < 0.006) & (np.abs(np.abs(angle) - 2.55) < 0.25)
        tile.shade(np.where(below & ((slit & (np.abs(angle) < 1.5)) | seat), 0.68, 1.0))
    return tile


def _neckline(tile: Tile, person: Person, m: Measures, height: Floats) -> None:
    upper, front = person.outfit.upper, np.cos(tile.angle)
    edge = m.at(0.857) - (0.02 + max(upper.neck, 0.0)) * np.clip(front, 0, 1) ** 2
    if upper.neck >= 0:
        tile.paint(height > edge, person.body.skin)
        tile.shade(np.where(np.abs(height - edge + 0.008) < 0.008, 0.8, 1.0))
    if upper.kind == "vest":
        tile.paint((height > m.at(0.775)) & (np.abs(np.sin(tile.angle)) > 0.86), person.body.skin)


def _straps(tile: Tile, person: Person, m: Measures, height: Floats) -> None:
    outfit = person.outfit
    side, front = np.sin(tile.angle), np.cos(tile.angle) > 0
    if outfit.bag == "backpack":
        tile.paint((np.abs(np.abs(side) - 0.56) < 0.1) & front & (height > m.at(0.67)), outfit.bag_material)
    elif outfit.bag == "crossbody":
        drop = (m.at(0.83) - height) / (m.at(0.83) - m.at(0.54))
        tile.paint(np.abs(side * outfit.bag_side - (1.5 * drop - 0.62)) < 0.13, outfit.bag_material)
    elif outfit.bag == "waist":
        tile.paint(np.abs(height - m.at(0.6)) < 0.02, outfit.bag_material)


def _skirt(person: Person, m: Measures, rng: np.random.Generator) -> Tile:
    outfit, span = person.outfit, skirt_span(person, m)
    garment = outfit.upper if outfit.upper.kind == "coat" else outfit.lower
    tile = Tile("skirt", garment.base)
    if span is None:
        return tile
    height = span[0] + (span[1] - span[0]) * tile.v
    if garment is outfit.upper:
        share = _upper_share(garment, m, height)
        tile.paint(upper_mask(garment, share, tile.angle), garment.second)
        if garment.opening:
            tile.paint(np.abs(tile.angle) < np.pi * garment.opening * 1.25, outfit.lower.base)
        else:
            tile.shade(np.where(np.abs(tile.angle) < 0.04, 0.55, 1.0))
    else:
        outward = np.abs(np.abs(tile.angle) - np.pi / 2)
        tile.paint(lower_mask(garment, tile.v, outward), garment.second)
    pleats = np.cos(tile.angle * (7 + 2 * garment.pattern.count)) * tile.v
    tile.shade(1 + 0.12 * pleats)
    tile.fold(rng, garment.folds * 0.7, cells=(3, 14))
    tile.shade(np.where(tile.v > 0.97, 0.75, 1.0))
    return tile


def _arm(person: Person, m: Measures, side: str, rng: np.random.Generator) -> Tile:
    upper, sign = person.outfit.upper, 1.0 if side == "l" else -1.0
    tile = Tile(f"arm_{side}", upper.base)
    height = m.shoulder + 0.03 - (m.shoulder + 0.03 - m.wrist) * tile.v
    share = _upper_share(upper, m, height)
    lateral = np.full_like(tile.angle, sign * np.pi / 2)
    if upper.pattern.kind not in ("logo", "sides", "sash"):
        tile.paint(
            upper_mask(upper, share, tile.angle if upper.pattern.kind == "pinstripe" else lateral),
            upper.second,
        )
    covered = tile.v / max(upper.sleeve, 0.05)
    if upper.sleeve_style == 1:
        tile.paint(np.ones_like(tile.v, dtype=np.bool_), upper.second)
    elif upper.sleeve_style == 2:
        tile.paint(covered > 0.78, upper.second)
    elif upper.sleeve_style == 3:
        tile.paint(covered < 0.5, upper.second)
    tile.fold(rng, upper.folds * 1.1, cells=(9, 3))
    tile.shade(_bend(tile, at=0.53, depth=0.9 * upper.folds, inner=np.cos(tile.angle)))
    if upper.kind in ("sweater", "jacket", "coat"):  # a knitted or sewn cuff
        tile.shade(np.where(np.abs(tile.v - upper.sleeve + 0.07) < 0.012, 0.7, 1.0))
    tile.paint(tile.v > upper.sleeve, person.body.skin)
    tile.shade(np.where((tile.v > upper.sleeve) & (tile.v < upper.sleeve + 0.035), 0.75, 1.0))
    return tile


def _leg(person: Person, m: Measures, side: str, rng: np.random.Generator) -> Tile:
    outfit, lower = person.outfit, person.outfit.lower
    tile = Tile(f"leg_{side}", lower.base)
    outward = np.abs(tile.angle - (np.pi / 2 if side == "l" else -np.pi / 2))
    outward = np.minimum(outward, 2 * np.pi - outward)
    length = 0.0 if lower.kind == "skirt" else lower.length
    if length:
        tile.paint(lower_mask(lower, tile.v / length, outward), lower.second)
    tile.fold(rng, lower.folds, cells=(10, 3))
    shin = 1 - (m.knee - m.ankle) / (m.hip - m.ankle)
    tile.shade(_bend(tile, at=shin, depth=lower.folds, inner=-np.cos(tile.angle)))
    if lower.kind in ("trousers", "wide"):  # cloth piles up over the shoe
        piled = np.clip((tile.v - 0.84) / 0.12, 0, 1)
        tile.shade(1 + 1.1 * lower.folds * piled * np.sin(tile.v * 95 + 2 * np.sin(tile.angle)))
    tile.shade(np.where(outward < 0.05, 0.84, 1.0))  # outer seam
    tile.paint(tile.v > length, person.body.skin)
    tile.shade(np.where((tile.v > length) & (tile.v < length + 0.03), 0.75, 1.0))
    if lower.kind in ("shorts", "skirt") or length < 0.95:
        sock = 1 - (1 - shin) * outfit.sock_height
        tile.paint((tile.v > sock) & (tile.v > length), outfit.sock)
    if outfit.boot and lower.kind in ("slim", "shorts", "skirt"):
        tile.paint(tile.v > 1 - (1 - shin) * outfit.boot, outfit.shoe)
    return tile


def _bend(tile: Tile, *, at: float, depth: float, inner: Floats) -> Floats:
    """Shade of the creases in the crook of an elbow or knee: `inner` is 1 on the inside of the bend."""
    near = np.exp(-(((tile.v - at) / 0.07) ** 2)) * np.clip(inner + 0.3, 0, 1)
    return 1 - depth * near * (1 + 1.2 * np.sin((tile.v - at) * 110 + 1.5 * np.sin(tile.angle)))


def _head(person: Person) -> Tile:
    outfit, skin = person.outfit, person.body.skin
    tile = Tile("head", skin)
    down = tile.v * (HEAD_TOP - HEAD_BOTTOM) / 0.13  # 0 crown, 1 chin
    angle, face = tile.angle, person.body.face
    jaw = np.clip((down - 1.0) / 0.04, 0, 1) + 0.6 * np.clip((np.abs(angle) - 0.8) / 0.5, 0, 1) * (
        down > 0.75
    )
    tile.shade(1 - 0.2 * np.clip(jaw, 0, 1))
    tile.shade(1 + 0.06 * _spot(tile, down, at=(0.0, 0.33), size=(0.7, 0.2)))  # forehead
    tile.shade(1 - 0.13 * _spot(tile, down, at=(0.0, 0.89), size=(0.3, 0.03)))  # below the lip
    tile.shade(1 - 0.22 * _spot(tile, down, at=(0.0, 0.745), size=(0.2, 0.035)))  # below the nose
    for sign in (-1, 1):
        eye, brow = sign * (0.38 + 0.04 * face), 0.44 - 0.02 * face
        tile.shade(1 - 0.2 * _spot(tile, down, at=(eye, 0.5), size=(0.27, 0.085)))
        tile.shade(1 + 0.07 * _spot(tile, down, at=(sign * 0.55, 0.67), size=(0.25, 0.09)))  # cheek
        tile.paint(0.8 * _spot(tile, down, at=(eye, 0.525), size=(0.16, 0.026)), EYE)
        tile.paint(0.6 * _spot(tile, down, at=(1.05 * eye, brow), size=(0.24, 0.024)), outfit.hair_material)
    red = (skin.colour[0] * 0.62, skin.colour[1] * 0.55, skin.colour[2] * 0.78)
    lips = Material(colour=red, nir=skin.nir * 0.86)
    tile.paint(0.85 * _spot(tile, down, at=(0.0, 0.82), size=(0.26, 0.03)), lips)
    if outfit.hair != "bald":
        hairline = 0.2 + 0.06 * face + 0.7 * np.clip((np.abs(angle) - 1.0) / 0.5, 0, 1)
        tile.paint(np.clip((np.minimum(hairline, 0.88) - down) / 0.04 + 0.5, 0, 1), outfit.hair_material)
        tile.shade(1 - 0.18 * np.exp(-((np.clip(down - hairline, 0, 1) / 0.05) ** 2)))
    if outfit.hat != "none":
        rim = 0.36 + 0.06 * (np.abs(angle) / np.pi) ** 2
        reach = 0.2 if outfit.hat in ("cap", "brim", "hood") else 0.07
        tile.shade(1 - 0.4 * np.clip(1 - (down - rim) / reach, 0, 1))  # the shadow of the hat
    return tile


def _spot(tile: Tile, down: Floats, *, at: tuple[float, float], size: tuple[float, float]) -> Floats:
    """A soft ellipse on the face, 1 in its middle: `at` and `size` as (angle, way from crown to chin)."""
    far = ((tile.angle - at[0]) / size[0]) ** 2 + ((down - at[1]) / size[1]) ** 2
    return np.exp(-far).astype(np.float32)


def _small(person: Person, rng: np.random.Generator) -> list[Tile]:
    outfit = person.outfit
    hair = Tile("hair", outfit.hair_material)
    strands = np.cos(hair.angle * 23 + 3 * np.cos(hair.v * 5))
    hair.shade(1 + 0.14 * strands + 0.25 * np.exp(-(((hair.v - 0.25) / 0.12) ** 2)))
    hair.fold(rng, 0.15, cells=(4, 8))
    hat = _hat(person, rng)
    bag = Tile("bag", outfit.bag_material)
    bag.fold(rng, 0.08, cells=(3, 4))
    bag.shade(np.where(np.abs(bag.v - 0.55) < 0.02, 0.6, 1.0))
    shoe = Tile("shoe", outfit.shoe)
    shoe.paint(np.abs(shoe.angle) > 2.3, outfit.sole)
    shoe.shade(np.where(np.abs(np.abs(shoe.angle) - 2.3) < 0.08, 0.7, 1.0))
    scarf = Tile("scarf", outfit.scarf or outfit.upper.base)
    scarf.fold(rng, 0.15, cells=(3, 5))
    hand = Tile("hand", person.body.skin)
    hand.shade(0.95)
    fingers = (hand.v > 0.5) & (np.abs(np.sin(2 * hand.angle)) < 0.3)
    hand.shade(np.where(fingers, 0.8, 1.0))
    return [hair, hat, bag, shoe, scarf, hand]


def _hat(person: Person, rng: np.random.Generator) -> Tile:
    """The crown down to v 0.8, then the brim: a cap has panels, a beanie ribs, a brimmed hat a band."""
    tile, hat = Tile("hat", person.outfit.hat_material), person.outfit.hat
    crown = tile.v < 0.81
    tile.fold(rng, 0.07, cells=(3, 4))
    if hat == "cap":
        seam = np.abs(np.sin(3 * tile.angle + np.pi / 2)) < 0.16
        tile.shade(np.where(crown & seam, 0.76, 1.0))
        tile.shade(np.where(np.abs(tile.v - 0.76) < 0.025, 0.8, 1.0))
        tile.shade(np.where(~crown & (np.abs(tile.v - 0.96) < 0.015), 0.8, 1.0))
    elif hat == "beanie":
        tile.shade(1 + 0.13 * np.cos(20 * tile.angle))
        tile.shade(np.where(np.abs(tile.v - 0.5) < 0.04, 0.65, 1.0))  # above the folded edge
    elif hat == "brim":
        tile.shade(np.where((tile.v > 0.6) & crown, 0.5, 1.0))
        tile.shade(np.where(np.abs(tile.v - 0.83) < 0.02, 0.7, 1.0))
    else:
        tile.shade(np.where(np.abs(tile.angle) < 0.05, 0.8, 1.0))
    tile.shade(np.where(crown, 1.0, 0.92))
    return tile
