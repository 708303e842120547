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
TORSO_TOP, TORSO_BOTTOM = 0.862, 0.455  # shares of an average body; see Measures.at
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
    _neckline(tile, person, m, height)
    _straps(tile, person, m, height)
    hem = m.waist - upper.length
    below = height < hem
    tile.paint(below, outfit.lower.base)
    if outfit.lower.pattern.kind == "bars":
        tile.paint(below & lower_mask(outfit.lower, 1 - height / m.hip, np.abs(angle)), outfit.lower.second)
    tile.shade(np.where(below & (height > hem - 0.03), 0.72, 1.0))
    return tile


def _neckline(tile: Tile, person: Person, m: Measures, height: Floats) -> None:
    upper, front = person.outfit.upper, np.cos(tile.angle)
    edge = m.at(0.84) - max(upper.neck, 0.0) * np.clip(front, 0, 1) ** 2
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
    tile.paint(tile.v > length, person.body.skin)
    tile.shade(np.where((tile.v > length) & (tile.v < length + 0.03), 0.75, 1.0))
    shin = 1 - (m.knee - m.ankle) / (m.hip - m.ankle)
    if lower.kind in ("shorts", "skirt") or length < 0.95:
        sock = 1 - (1 - shin) * outfit.sock_height
        tile.paint((tile.v > sock) & (tile.v > length), outfit.sock)
    if outfit.boot and lower.kind in ("slim", "shorts", "skirt"):
        tile.paint(tile.v > 1 - (1 - shin) * outfit.boot, outfit.shoe)
    return tile


def _head(person: Person) -> Tile:
    outfit, skin = person.outfit, person.body.skin
    tile = Tile("head", skin)
    down = tile.v * (HEAD_TOP - HEAD_BOTTOM) / 0.13  # 0 crown, 1 chin
    angle, face = tile.angle, person.body.face
    jaw = (down > 1.02) | ((down > 0.9) & (np.abs(angle) > 0.9))
    tile.shade(np.where(jaw, 0.8, 1.0))
    for sign in (-1, 1):
        eye = np.hypot((angle - sign * (0.36 + 0.05 * face)) / 0.15, (down - 0.52) / 0.035)
        tile.paint(np.clip(1.6 - eye, 0, 1), EYE)
        brow = np.hypot((angle - sign * 0.38) / 0.22, (down - 0.425 + 0.02 * face) / 0.025)
        tile.paint(0.7 * np.clip(1.5 - brow, 0, 1), outfit.hair_material)
    tile.shade(1 - 0.22 * np.clip(1.3 - np.hypot(angle / 0.13, (down - 0.69) / 0.04), 0, 1))
    mouth = np.clip(1.4 - np.hypot(angle / 0.24, (down - 0.8) / 0.025), 0, 1)
    red = (skin.colour[0] * 0.6, skin.colour[1] * 0.5, skin.colour[2] * 0.75)
    tile.paint(mouth, Material(colour=red, nir=skin.nir * 0.85))
    if outfit.hair != "bald":
        hairline = 0.2 + 0.06 * face + 0.7 * np.clip((np.abs(angle) - 1.0) / 0.5, 0, 1)
        tile.paint(down < np.minimum(hairline, 0.88), outfit.hair_material)
    return tile


def _small(person: Person, rng: np.random.Generator) -> list[Tile]:
    outfit = person.outfit
    hair = Tile("hair", outfit.hair_material)
    strands = np.cos(hair.angle * 23 + 3 * np.cos(hair.v * 5))
    hair.shade(1 + 0.14 * strands + 0.25 * np.exp(-(((hair.v - 0.25) / 0.12) ** 2)))
    hair.fold(rng, 0.15, cells=(4, 8))
    hat = Tile("hat", outfit.hat_material)
    hat.fold(rng, 0.07, cells=(3, 4))
    hat.shade(np.where(hat.v > 0.8, 0.85, 1.0))
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
    return [hair, hat, bag, shoe, scarf, hand]
