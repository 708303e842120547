from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xreid.simulation.site_layers import Layer, Rect, disjoint

SIDE = st.integers(-5, 15)


@st.composite
def rects(draw: st.DrawFn) -> Rect:
    left, top = draw(SIDE), draw(SIDE)
    return Rect(
        left=left, top=top, right=left + draw(st.integers(0, 9)), bottom=top + draw(st.integers(0, 9))
    )


def cells(rect: Rect) -> set[tuple[int, int]]:
    return {(x, y) for x in range(rect.left, rect.right) for y in range(rect.top, rect.bottom)}


@given(rects(), rects())
def test_meet_and_join_are_what_sets_of_pixels_say(a: Rect, b: Rect) -> None:
    meet = a.meet(b)
    assert (set() if meet.empty else cells(meet)) == cells(a) & cells(b)
    assert cells(a.join(b)) >= cells(a) | cells(b)


@given(st.lists(rects().filter(lambda rect: not rect.empty), max_size=6))
def test_disjoint_areas_cover_all_and_do_not_overlap(found: list[Rect]) -> None:
    areas = disjoint(found)
    assert sum(len(cells(area)) for area in areas) == len(set().union(*map(cells, areas)) if areas else set())
    assert set().union(*map(cells, areas)) >= set().union(*map(cells, found))


@given(rects(), st.integers(0, 5), st.sampled_from([1, 4, 8]))
def test_a_widened_rectangle_lies_on_the_grid(rect: Rect, margin: int, grid: int) -> None:
    wide = rect.widened(margin, grid=grid)
    assert all(side % grid == 0 for side in (wide.left, wide.top, wide.right, wide.bottom))
    assert wide.left <= rect.left - margin < wide.left + grid
    assert wide.bottom - grid < rect.bottom + margin <= wide.bottom


def test_around_holds_all_points() -> None:
    points = np.array([[3.2, 4.9], [7.0, 1.1]])
    assert Rect.around(points) == Rect(left=3, top=1, right=8, bottom=6)


@given(rects(), rects(), st.booleans())
def test_a_layer_is_laid_as_pixel_by_pixel(where: Rect, clip: Rect, colour: bool) -> None:
    rng = np.random.default_rng(0)
    channels = (3,) if colour else ()
    height, width = where.size
    layer = Layer(
        rect=where,
        light=rng.uniform(0, 255, (height, width, *channels)).astype(np.float32),
        weight=rng.uniform(0, 1, (height, width)).astype(np.float32),
        mask=rng.random((height, width)) < 0.5,
        shown=7,
    )
    canvas = rng.uniform(0, 255, (12, 12, *channels)).astype(np.float32)
    seen = np.zeros((12, 12), np.int32)
    frame = Rect(left=0, top=0, right=12, bottom=12)
    expected, hidden = canvas.copy(), seen.copy()
    for x, y in cells(where) & cells(clip) & cells(frame):
        i, j = y - where.top, x - where.left
        w = layer.weight[i, j]
        expected[y, x] = expected[y, x] + w * (layer.light[i, j] - expected[y, x])
        if layer.mask[i, j]:
            hidden[y, x] = 7
    layer.lay(canvas, seen, clip.meet(frame))
    np.testing.assert_allclose(canvas, expected, rtol=1e-5)
    np.testing.assert_array_equal(seen, hidden)
