"""The camera graph: shortest ways against brute force, judgements by hand, files that do not fit."""

import math
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.camera_graph import CameraGraph, log_factor
from xreid.retrieval.camera_graph_file import camera_graph_from, read_camera_graph

DAY = 1_763_672_400.0
SITE = {
    "cameras": {"1": {"place": "gate"}, "2": {"place": "yard"}, "3": {}, "4": {}, "5": {}},
    "edges": [
        {"from": "1", "to": "2", "least_s": 20, "typical_s": 40},
        {"from": "2", "to": "3", "least_s": 10, "typical_s": 10},
    ],
    "overlaps": [["3", "4"]],
}


def sighting(
    camera: str | None,
    start: float | None,
    end: float | None = None,
    *,
    modality: Modality = Modality.VISIBLE,
    source: str | None = None,
) -> Tracklet:
    name = f"{camera}-{start}-{modality}"
    return Tracklet(
        name=name, frames=("1",), modality=modality, camera=camera, start_s=start, end_s=end, source=source
    )


@pytest.mark.parametrize(
    ("gap", "judgement", "factor"),
    [
        (100, "possible", 1.0),
        (40, "possible", 1.0),
        (30, "fast", 0.55),
        (20, "fast", 0.1),
        (19.5, "fast", 0.1),  # within the second that clocks may be apart
        (18, "impossible", 0.001),
        (-5, "impossible", 0.001),
    ],
)
def test_a_transition_by_its_time(gap: float, judgement: str, factor: float) -> None:
    graph = camera_graph_from(SITE)
    first, second = sighting("1", DAY, DAY + 10), sighting("2", DAY + 10 + gap, DAY + 30 + gap)
    for found in (graph.judge(first, second), graph.judge(second, first)):
        assert (found.judgement, found.gap_s) == (judgement, pytest.approx(gap))
        assert found.factor == pytest.approx(factor)
    assert log_factor(graph.judge(first, second)) == pytest.approx(math.log(factor))


def test_ways_over_several_edges_and_overlaps() -> None:
    graph = camera_graph_from(SITE)
    way = graph.way("1", "4")
    assert way is not None
    assert (way.least_s, way.typical_s, way.cameras) == (30, 50, ("1", "2", "3", "4"))
    assert graph.judge(sighting("1", DAY, DAY + 5), sighting("4", DAY + 20)).impossible
    both = graph.judge(sighting("3", DAY, DAY + 50), sighting("4", DAY + 10, DAY + 60))
    assert (both.judgement, both.gap_s) == ("possible", -40)
    back = graph.way("4", "1")
    assert back is not None, "an edge is walked both ways, unless the graph says otherwise"
    assert (back.least_s, back.cameras) == (30, ("4", "3", "2", "1"))
    oneway = camera_graph_from({**SITE, "directed": True})
    assert oneway.way("2", "1") is None
    assert oneway.way("4", "3") is not None


def test_what_is_not_judged() -> None:
    graph = camera_graph_from(SITE)
    here = sighting("1", DAY)
    others = (
        sighting(None, DAY + 1),
        sighting("2", None),
        sighting("9", DAY + 1),
        sighting("5", DAY + 500),  # no way to it
        sighting("2", 12.0),  # counts from the start of a video
    )
    for other in others:
        found = graph.judge(here, other)
        assert (found.judgement, found.factor) == ("not judged", 1.0), other
        assert found.why
    one, two = sighting("1", 10.0, source="a.mp4"), sighting("2", 12.0, source="a.mp4")
    assert graph.judge(one, two).impossible, "one recording has one clock"


def test_the_same_camera_shows_one_person_once_per_spectrum() -> None:
    graph = CameraGraph()
    first, later = sighting("7", DAY, DAY + 10), sighting("7", DAY + 5, DAY + 20)
    assert graph.judge(first, later).impossible
    twin = sighting("7", DAY, DAY + 10, modality=Modality.INFRARED)
    assert graph.judge(first, twin).judgement == "possible"
    assert graph.judge(first, sighting("7", DAY + 11)).judgement == "possible"
    assert graph.judge(first, sighting("8", DAY + 5)).impossible, "without cameras: nobody is in two places"
    assert graph.judge(first, sighting("8", DAY + 12)).judgement == "not judged"


def test_the_worst_of_several() -> None:
    graph = camera_graph_from(SITE)
    rows = [sighting("1", DAY, DAY + 5), sighting("2", DAY + 300)]
    worst = graph.worst(rows, sighting("2", DAY + 8, DAY + 9))
    assert worst is not None
    assert worst.impossible
    assert graph.worst([], rows[0]) is None


weights = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9)), max_size=10)


@settings(max_examples=60, deadline=None)
@given(weights, st.booleans())
def test_shortest_ways_equal_all_paths(edges: list[tuple[int, int, int]], directed: bool) -> None:
    cameras = [str(i) for i in range(5)]
    graph = camera_graph_from(
        {
            "cameras": dict.fromkeys(cameras),
            "edges": [{"from": a, "to": b, "least_s": s, "typical_s": 2 * s} for a, b, s in edges],
            "directed": directed,
        }
    )
    cost: dict[tuple[str, str], float] = {}
    for a, b, s in edges:
        for pair in ((a, b),) if directed else ((a, b), (b, a)):
            key = str(pair[0]), str(pair[1])
            cost[key] = min(cost.get(key, s), s)
    for end in cameras[1:]:
        middle = [c for c in cameras[1:] if c != end]
        paths = [("0", *some, end) for n in range(len(middle) + 1) for some in permutations(middle, n)]
        sums = [
            sum(cost[step] for step in pairwise(path))
            for path in paths
            if all(step in cost for step in pairwise(path))
        ]
        way = graph.way("0", end)
        assert (None if way is None else way.least_s) == min(sums, default=None)
        assert way is None or way.typical_s == 2 * way.least_s


def test_json_and_yaml_files(tmp_path: Path) -> None:
    text = '{"cameras": {"3": {"place": "yard"}}, "edges": [], "directed": false}'
    (tmp_path / "g.json").write_text(text)
    assert read_camera_graph(tmp_path / "g.json").places == {"3": "yard"}
    (tmp_path / "g.yaml").write_text("cameras: [a, b]\nedges: [{from: a, to: b, least_s: 3}]\nclock_s: 0.5")
    graph = read_camera_graph(tmp_path / "g.yaml")
    assert (graph.edges[0].typical_s, graph.clock_s) == (3, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ([], "got list"),
        ({"cameras": {}}, "one camera or more"),
        ({"camera": {}}, "got camera"),
        ({"edges": [{"from": "1", "to": "9", "least_s": 1}]}, "edge 1 .* got 9"),
        ({"edges": [{"from": "1", "to": "2"}]}, "edge 1 "),
        ({"edges": [{"from": "1", "to": "2", "least_s": 5, "typical_s": 4}]}, "up to typical_s"),
        ({"edges": [{"from": "1", "to": "2", "least_s": -1}]}, "seconds from 0"),
        ({"edges": [{"from": "1", "to": "2", "least_s": float("nan")}]}, "seconds from 0"),
        ({"edges": [{"from": "1", "to": "2", "least_s": "fast"}]}, "seconds from 0"),
        ({"edges": 3}, "a list"),
        ({"overlaps": [["1"]]}, "two cameras"),
        ({"directed": "no"}, "true or false"),
    ],
)
def test_graphs_that_do_not_fit(change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        camera_graph_from(change if isinstance(change, list) else {**SITE, **change})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_camera_graph(tmp_path / "none.json")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(DataError, match="neither JSON nor YAML"):
        read_camera_graph(tmp_path / "bad.yaml")
