from __future__ import annotations

import cv2
import numpy as np
import pytest

from xreid.simulation.nuisance import Occluder, draw_nuisance, draw_occluder
from xreid.simulation.props import LOW, NARROW, SIDES, paint_prop, shade_ground
from xreid.simulation.wardrobe import Material

CLOTH = Material(colour=(0.5, 0.3, 0.6), nir=0.4)


@pytest.mark.parametrize("kind", [*NARROW, *LOW, *SIDES])
def test_a_thing_has_texture_in_both_spectra_and_covers_something(kind: str) -> None:
    wide = 0.16 if kind in NARROW else 1.6
    prop = paint_prop(np.random.default_rng(0), kind, wide_m=wide, high_m=0.9, material=CLOTH)
    assert prop.image.dtype == prop.cover.dtype == np.float32
    assert 0 <= prop.image.min() <= prop.image.max() <= 1
    assert 0.05 < prop.cover.mean() <= 1
    seen = prop.image[prop.cover > 0.5]
    assert seen[:, :3].mean(1).std() > 0.01  # no plain slabs
    assert seen[:, 3].std() > 0.01


def test_what_is_painted_does_not_move_the_numbers_drawn_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> tuple[bool, float, int]:
        rng = np.random.default_rng(3)
        nuisances = [draw_nuisance(rng, frames=4, strength=1.0, quality=90) for _ in range(6)]
        last = nuisances[-1]
        return any(n.occluder for n in nuisances), last.detail, last.quality

    before = drawn()
    assert before[0]
    original = paint_prop

    def greedy(rng: np.random.Generator, kind: str, **size: object):
        rng.random(1000)
        return original(rng, kind, **size)

    monkeypatch.setattr("xreid.simulation.nuisance.paint_prop", greedy)
    assert drawn() == before


@pytest.mark.parametrize("infrared", [False, True])
def test_an_occluder_covers_its_outline_and_shades_the_ground_before_it(infrared: bool) -> None:
    prop = paint_prop(np.random.default_rng(0), "panels", wide_m=0.6, high_m=0.9, material=CLOTH)
    thing = Occluder(kind="low", offset_m=0.0, width_m=0.3, height_m=0.9, nearer=0.8, prop=prop)
    image = np.full((120, 60) if infrared else (120, 60, 3), 250, np.float32)
    corners = np.array([[20, 100], [40, 100], [40, 60], [20, 60]], np.float32)
    draw_occluder(image, thing, corners, infrared=infrared, light=0.8, grain=np.zeros((120, 60), np.float32))
    inside = np.zeros((120, 60), np.uint8)
    cv2.rectangle(inside, (22, 62), (38, 98), 1, -1)
    assert image[inside > 0].max() < 180
    assert image[102, 30].max() < 225  # the ground at its foot
    assert image[10, 30].min() == pytest.approx(250)
    assert image[80, 5].min() == pytest.approx(250, abs=1)


def test_a_thing_that_stands_below_the_picture_shades_nothing() -> None:
    image = np.ones((50, 20), np.float32)
    shade_ground(image, np.array([[5, 90], [15, 90], [15, 20], [5, 20]], np.float32))
    assert (image == 1).all()
