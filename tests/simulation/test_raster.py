from __future__ import annotations

import numpy as np
import pytest

from xreid.simulation.raster import crevices, draw

QUADS = np.array([[0, 1, 2, 3]])


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float32)


def test_texture_and_light_are_interpolated_as_on_paper() -> None:
    uv = np.array([[10, 20], [40, 20], [40, 60], [10, 60]], np.float32)
    shade = np.array([0.2, 0.6, 0.8, 0.4], np.float32)
    surface = draw(
        square(4, 6, 20),
        np.ones(4, np.float32),
        np.ones(4, np.float32),
        quads=QUADS,
        lift=np.zeros(1),
        uv=uv,
        shade=shade,
        size=(40, 30),
    )
    assert surface is not None
    y, x = np.divmod(surface.pixels, 30)
    inside = (x > 4) & (x < 24) & (y > 6) & (y < 26)
    assert inside.sum() == 19 * 19
    a, b = (x - 4) / 20, (y - 6) / 20
    count = len(surface.pixels)
    u, v = (m.ravel()[:count] for m in surface.texture)
    assert u[inside] == pytest.approx((10 + 30 * a)[inside], abs=0.1)
    assert v[inside] == pytest.approx((20 + 40 * b)[inside], abs=0.1)
    assert surface.shade[inside] == pytest.approx((0.2 + 0.4 * a + 0.2 * b)[inside], abs=0.01)
    atlas = np.zeros((100, 100, 3), np.uint8)
    atlas[..., 1] = np.arange(100)[None]
    assert surface.look_up(atlas)[inside][:, 1] == pytest.approx((10 + 30 * a)[inside], abs=1)


@pytest.mark.parametrize(("nearer", "lifted", "seen"), [(0, 0.0, 0), (1, 0.0, 1), (1, 0.5, 1), (1, 1.5, 0)])
def test_what_is_nearer_hides_what_is_farther(nearer: int, lifted: float, seen: int) -> None:
    pixels = np.concatenate([square(5, 5, 10), square(10, 5, 10)])
    depth = np.full(8, 3.0, np.float32)
    depth[4 * nearer : 4 * nearer + 4] = 2.0
    shade = np.repeat(np.array([0.3, 0.9], np.float32), 4)
    quads = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    surface = draw(
        pixels,
        depth,
        np.ones(8, np.float32),
        quads=quads,
        lift=np.array([lifted, 0]),
        uv=np.zeros((8, 2), np.float32),
        shade=shade,
        size=(20, 30),
    )
    assert surface is not None
    picture = np.zeros(20 * 30)
    picture[surface.pixels] = surface.shade
    assert picture.reshape(20, 30)[10, 12] == pytest.approx((0.3, 0.9)[seen], abs=1e-4)
    assert picture.reshape(20, 30)[10, 7] == pytest.approx(0.3, abs=1e-4)
    light = crevices(surface, (20, 30))
    assert light.min() >= 0.5
    assert light.max() == pytest.approx(1, abs=1e-5)
    if not lifted:
        assert light.min() < 0.9  # the farther one is darker beside the nearer one


def test_quads_that_look_away_or_lie_outside_are_not_drawn() -> None:
    ones, uv = np.ones(4, np.float32), np.zeros((4, 2), np.float32)
    assert (
        draw(square(5, 5, 9), ones, -ones, quads=QUADS, lift=np.zeros(1), uv=uv, shade=ones, size=(20, 20))
        is None
    )
    assert (
        draw(square(50, 5, 9), ones, ones, quads=QUADS, lift=np.zeros(1), uv=uv, shade=ones, size=(20, 20))
        is None
    )
