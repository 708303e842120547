"""Grouping into probable persons: made-up people, what must stay apart, the timeline."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.test_meaning import CALIBRATION
from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.camera_graph_file import camera_graph_from
from xreid.retrieval.page_parts import show_person
from xreid.retrieval.persons import Person, probable_persons
from xreid.retrieval.queries import Query

DAY = 1_763_672_400.0
GRAPH = {"cameras": {"1": {}, "2": {}}, "edges": [{"from": "1", "to": "2", "least_s": 20, "typical_s": 30}]}


def _queries(spots: list[tuple[int, str, float | None]], *, seed: int = 0) -> list[Query]:
    """(person, camera, start): tracklets of 2 s whose vectors lie near their person's."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    found = []
    for number, (person, camera, start) in enumerate(spots):
        vector = centres[person] + 0.05 * rng.normal(size=16)
        row = Tracklet(
            name=f"t{number}",
            frames=("1.jpg",),
            modality=Modality.INFRARED if number % 2 else Modality.VISIBLE,
            camera=camera,
            start_s=None if start is None else DAY + start,
            end_s=None if start is None else DAY + start + 2,
        )
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        found.append(Query(tracklet=row, root=Path("/nowhere"), vector=unit, id=f"id{number}"))
    return found


def _groups(people: list[Person]) -> list[list[str]]:
    return sorted(sorted(s.query.name for s in person.sightings) for person in people)


def test_people_are_found_and_told_in_order_of_time() -> None:
    spots = [(0, "2", 90), (1, "1", 0), (0, "1", 30), (1, "2", 100), (0, "1", None), (2, "1", 500)]
    people = probable_persons(_queries(spots), CALIBRATION, graph=camera_graph_from(GRAPH), prior=0.1)
    assert _groups(people) == [["t0", "t2", "t4"], ["t1", "t3"], ["t5"]]
    first = people[0]
    assert [s.query.name for s in first.sightings] == ["t2", "t0", "t4"], "unknown times last"
    assert first.cameras == ("1", "2")
    assert first.ids == ("id2", "id0", "id4")
    before = first.sightings[1].transition
    assert before is not None
    assert (before.judgement, before.gap_s) == ("possible", 58)
    assert first.sightings[0].transition is None
    assert 0.5 < first.weakest <= first.probability <= 1
    assert (people[2].probability, people[2].weakest) == (1, 1)


def test_nobody_is_in_two_places() -> None:
    spots = [(0, "1", 0), (0, "2", 0.5), (0, "1", 60)]
    queries = _queries(spots)
    assert len(probable_persons(queries, CALIBRATION)) == 2, "cameras are taken not to overlap"
    for person in probable_persons(queries, CALIBRATION):
        assert not {"t0", "t1"} <= {s.query.name for s in person.sightings}
    overlapping = camera_graph_from({**GRAPH, "overlaps": [["1", "2"]]})
    assert len(probable_persons(queries, CALIBRATION, graph=overlapping)) == 1
    too_fast = _queries([(0, "1", 0), (0, "2", 10)])
    assert len(probable_persons(too_fast, CALIBRATION)) == 1
    assert len(probable_persons(too_fast, CALIBRATION, graph=camera_graph_from(GRAPH))) == 2
    assert len(probable_persons(too_fast, CALIBRATION, graph=camera_graph_from(GRAPH), same=[[0, 1]])) == 1


def test_times_without_a_date_are_not_mixed_with_dates() -> None:
    spots = [(0, "1", 30 - DAY), (0, "1", 90), (0, "2", 10 - DAY), (0, "1", 50)]
    queries = [
        replace(query, tracklet=replace(query.tracklet, source=source))
        for query, source in zip(_queries(spots), ("a", "c", "b", "c"), strict=True)
    ]
    (person,) = probable_persons(queries, CALIBRATION, graph=camera_graph_from(GRAPH), prior=0.1)
    assert [s.query.name for s in person.sightings] == ["t3", "t1", "t0", "t2"], "dates, then by recording"
    judged = [s.transition.judgement for s in person.sightings if s.transition is not None]
    assert judged == ["possible", "not judged", "not judged"]
    shown = show_person(person, (), lambda *_: [])
    assert shown["span"] == ("2025-11-20 21:00:50", "2025-11-20 21:01:32")
    assert sum(len(lane["bars"]) for lane in shown["lanes"]) == 2, "the line of time holds the dates only"
    undated = replace(person, sightings=person.sightings[2:])
    assert show_person(undated, (), lambda *_: [])["lanes"] == [], "of two recordings"


def test_pairs_that_the_calibration_does_not_cover_do_not_join() -> None:
    half = replace(CALIBRATION, kinds={"vis-vis": CALIBRATION.kinds["vis-vis"]})
    people = probable_persons(_queries([(0, "1", 0), (0, "1", 30), (0, "1", 60)]), half)
    assert _groups(people) == [["t0", "t2"], ["t1"]]


def test_what_cannot_be_grouped() -> None:
    queries = _queries([(0, "1", 0)])
    assert probable_persons([], CALIBRATION) == []
    with pytest.raises(ConfigError, match="2000 at most"):
        probable_persons(queries * 2001, CALIBRATION)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        probable_persons(queries, CALIBRATION, prior=1.0)
