"""Which pieces of tracks may be one walk: hand-worked walks, naive loops; no two at once are ever joined."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval.crops import Crop
from xreid.retrieval.fragments import Joins, at_once, best, first_of, fits, fitting
from xreid.retrieval.split import put_together

VIS, IR = "vis", "ir"


def _crop(frame: int, *, x: float = 0, y: float = 100, width: float = 40, height: float = 100) -> Crop:
    return Crop(frame=frame, x=x, y=y, width=width, height=height, score=1, time_s=frame / 10, chroma=5.0)


def _walk(first: int, last: int, *, at: float = 0, step: float = 10, **box: float) -> list[Crop]:
    """Somebody whose left edge is `at` in frame 0 and moves `step` pixels a frame."""
    return [_crop(frame, x=at + step * frame, **box) for frame in range(first, last + 1)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (_walk(1, 20), _walk(30, 50), True),  # walks on behind a post
        (_walk(1, 20), _walk(40, 60, at=-200), True),  # stood there, then walked on: where he was
        (_walk(1, 20), _walk(30, 50, at=200), False),  # two heights before him
        (_walk(1, 20), _walk(30, 50, at=49), True),  # half a height before where he was heading
        (_walk(1, 20), _walk(30, 50, at=700, step=-10), False),  # somebody who comes towards him
        (_walk(1, 20), _walk(30, 50, height=40), True),  # a bench hides the legs: the head goes on
        (_walk(1, 20), _walk(30, 50, y=160, height=40), True),  # a branch hides the head: the feet go on
        (_walk(1, 20), _walk(30, 50, y=190, height=160), False),  # both edges are elsewhere
        (_walk(1, 20), _walk(30, 50, y=-20), False),  # far above him
        (_walk(1, 20), _walk(30, 50, at=45, height=60), True),  # half of the greater height
        (_walk(20, 20), _walk(30, 50), True),  # one box says not where he is heading, the other piece does
        (_walk(1, 20), _walk(30, 30), True),
        (_walk(20, 20, step=0), _walk(23, 23, at=51, step=0), False),  # neither does: he is taken to stand
    ],
)
def test_where_a_walk_may_go_on(before: list[Crop], after: list[Crop], expected: bool) -> None:
    assert fits(before, after) is expected


def test_what_may_go_on_from_what() -> None:
    pieces = {"a": _walk(1, 20), "b": _walk(30, 50)}
    both = {"a": VIS, "b": VIS}
    assert fitting(pieces, kinds=both) == [("a", "b")]
    assert fitting({**pieces, "a": _walk(1, 10)}, kinds=both) == [("a", "b")], "2 seconds without a box"
    assert fitting({**pieces, "a": _walk(1, 9)}, kinds=both) == [], "longer"
    assert fitting({**pieces, "a": _walk(1, 30)}, kinds=both) == [], "both in frame 30"
    assert fitting({**pieces, "a": _walk(1, 29)}, kinds=both) == [("a", "b")]
    assert fitting(pieces, kinds={"a": VIS, "b": IR}) == []
    assert fitting(pieces, kinds=both, changes=[20, 51]) == [("a", "b")]
    for change in (21, 25, 30):
        assert fitting(pieces, kinds=both, changes=[change]) == [], "the camera switched in between"
    assert fitting(pieces, kinds=both, origin={"b": "a"}) == [], "cut apart as two people"
    assert fitting(pieces, kinds=both, origin={"a": "c", "b": "c"}) == []
    assert fitting(pieces, kinds=both, origin={"a": "c", "b": "d"}) == [("a", "b")]
    assert fitting(pieces, kinds=both, begun=["b"]) == [], "it goes on from the file before"
    assert fitting(pieces, kinds=both, begun=["a"]) == [("a", "b")]


_spans = st.tuples(st.integers(1, 60), st.integers(0, 15), st.integers(-60, 60), st.sampled_from([VIS, IR]))


def _pieces(spans: list[tuple[int, int, int, str]]) -> tuple[dict[str, list[Crop]], dict[str, str]]:
    pieces = {
        f"t-{i}": _walk(first, first + more, at=at, step=at % 3)
        for i, (first, more, at, _) in enumerate(spans)
    }
    return pieces, {f"t-{i}": kind for i, (*_, kind) in enumerate(spans)}


@settings(deadline=None)
@given(st.lists(_spans, max_size=8), st.lists(st.integers(1, 70), max_size=2), st.sets(st.integers(0, 7)))
def test_pairs_are_those_of_a_naive_loop(
    spans: list[tuple[int, int, int, str]], changes: list[int], begun: set[int]
) -> None:
    pieces, kinds = _pieces(spans)
    naive = []
    for one, other in permutations(pieces, 2):
        end, start = pieces[one][-1], pieces[other][0]
        soon = end.frame < start.frame <= end.frame + 20
        switched = any(change in range(end.frame + 1, start.frame + 1) for change in changes)
        fresh = other not in {f"t-{i}" for i in begun}
        fit = kinds[one] == kinds[other] and fits(pieces[one], pieces[other])
        if soon and fresh and not switched and fit:
            naive.append((one, other))
    found = fitting(pieces, kinds=kinds, changes=sorted(changes), begun=[f"t-{i}" for i in begun])
    assert found == sorted(naive)


@settings(deadline=None)
@given(st.lists(_spans, max_size=8))
def test_strangers_are_at_once_in_five_pictures(spans: list[tuple[int, int, int, str]]) -> None:
    pieces, kinds = _pieces(spans)
    frames = {name: {crop.frame for crop in rows} for name, rows in pieces.items()}
    naive = {
        frozenset((one, other))
        for one, other in permutations(pieces, 2)
        if kinds[one] == kinds[other] and len(frames[one] & frames[other]) >= 5
    }
    found = [frozenset(pair) for pair in at_once(pieces, kinds=kinds)]
    assert set(found) == naive
    assert len(found) == len(naive), "each once"


def test_the_most_alike_are_joined_first_and_each_goes_on_once() -> None:
    scores = {("a", "b"): 0.9, ("a", "c"): 0.95, ("d", "b"): 0.8, ("d", "c"): 0.94}
    assert best(scores) == {"c": "a", "b": "d"}
    assert best({("a", "b"): 0.9, ("a", "c"): 0.95, ("d", "c"): 0.94}) == {"c": "a"}, "not the most pairs"
    assert best({("a", "b"): 0.9, ("a", "c"): 0.9}) == {"b": "a"}, "of equal ones the first by name"
    assert best({("a", "b"): 0.9, ("b", "c"): 0.8}) == {"b": "a", "c": "b"}, "a walk may break twice"
    assert first_of("c", {"b": "a", "c": "b"}) == "a"
    assert best({}) == {}


@settings(deadline=None)
@given(st.lists(_spans, max_size=9), st.randoms(use_true_random=False))
def test_no_tracklet_ever_holds_two_who_are_at_once(spans: list[tuple[int, int, int, str]], random) -> None:  # type: ignore[no-untyped-def]
    pieces, kinds = _pieces(spans)
    joins: Joins = best({pair: random.random() for pair in fitting(pieces, kinds=kinds)})
    whole = put_together(pieces, joins)
    assert sorted(id(crop) for rows in whole.values() for crop in rows) == sorted(
        id(crop) for rows in pieces.values() for crop in rows
    ), "nothing lost, nothing twice"
    for name, rows in whole.items():
        frames = [crop.frame for crop in rows]
        assert all(frame < later for frame, later in pairwise(frames)), "never two at once"
        assert rows[: len(pieces[name])] == pieces[name], "named after its beginning"
        parts = [other for other in pieces if first_of(other, joins) == name]
        assert len({kinds[part] for part in parts}) == 1, "of one modality"
