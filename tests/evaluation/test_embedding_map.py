import re
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.problems import IR, VIS, embedding_set, people, row
from xreid.core.errors import DataError
from xreid.evaluation.embedding_map import embedding_map, neighbour_shares
from xreid.evaluation.map_chart import MOST_COLOURS, map_panels


def test_the_map_is_the_same_each_time_and_people_stay_together() -> None:
    embeddings = people(8, noise=0.05)
    first, again = embedding_map(embeddings), embedding_map(embeddings, seed=1)
    assert np.array_equal(first.points, again.points)
    assert first.points.min() >= 0
    assert first.points.max() == pytest.approx(1)
    assert np.ptp(first.points[:, 0]) == pytest.approx(1), "the larger extent is horizontal"
    distances = np.linalg.norm(first.points[:, None] - first.points[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    who = np.array([t.identity for t in embeddings.table])
    assert (who[distances.argmin(axis=1)] == who).mean() > 0.9
    assert 0.9 < first.trustworthiness <= 1
    assert first.left_out == 0


def test_of_too_many_tracklets_whole_people_are_drawn() -> None:
    embeddings = people(10)
    drawn = embedding_map(embeddings, most=20)
    who = [embeddings.table[int(i)].identity for i in drawn.rows]
    assert len(drawn.rows) == 18, "three people of six tracklets"
    assert len(set(who)) == 3
    assert drawn.left_out == 42
    assert list(drawn.rows) == sorted(drawn.rows)
    assert not np.array_equal(drawn.rows, embedding_map(embeddings, most=20, seed=1).rows)


def test_too_few_tracklets_are_refused() -> None:
    with pytest.raises(DataError, match="too few tracklets"):
        embedding_map(people(1, cameras=2))


def test_shares_of_nearest_neighbours_against_a_loop() -> None:
    embeddings = people(7, noise=1.5)
    found = {s.name: s for s in neighbour_shares(embeddings, block=5)}
    rows, vectors = list(embeddings.table), embeddings.vectors
    for name, value in (("person", "identity"), ("camera", "camera"), ("modality", "modality")):
        agree, chance = [], []
        for i, a in enumerate(rows):
            others = [j for j in range(len(rows)) if j != i]
            nearest = max(others, key=lambda j: float(vectors[i] @ vectors[j]))
            agree.append(getattr(a, value) == getattr(rows[nearest], value))
            chance.append(np.mean([getattr(rows[j], value) == getattr(a, value) for j in others]))
        assert found[name].share == pytest.approx(np.mean(agree))
        assert found[name].chance == pytest.approx(np.mean(chance))
        assert found[name].num_tracklets == len(rows)


def test_what_is_unknown_is_in_no_share() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    rows = [
        row("a", "1", None, VIS),
        row("b", "1", None, IR),
        row("c", None, None, VIS),
        row("d", "2", None, IR),
    ]
    found = {s.name: s for s in neighbour_shares(embedding_set(rows, vectors))}
    assert set(found) == {"person", "modality"}, "no camera is known"
    assert found["person"].num_tracklets == 2
    assert found["person"].share == 1
    assert found["modality"].share == 0


def test_panels_show_every_point_once_with_its_own_mark() -> None:
    embeddings = people(14, cameras=2)
    drawn = embedding_map(embeddings)
    person, camera, modality = map_panels(drawn, embeddings)
    for panel in (person, camera, modality):
        assert panel.svg.count("<circle") == panel.svg.count("<path") == 28
        assert sum(count for _, _, count in panel.legend) == 56
    coloured = [name for colour, name, _ in person.legend if colour]
    assert len(coloured) == MOST_COLOURS
    assert person.legend[-1] == ("", "all others", 16)
    assert person.svg.count("<line") == 4 * MOST_COLOURS
    assert [name for _, name, _ in camera.legend] == ["D1", "D2"]
    assert modality.legend == (("kvis", "visible", 28), ("kir", "infrared", 28))
    first = re.search(r'<circle class="kvis" cx="([\d.]+)" cy="([\d.]+)"', modality.svg)
    assert first is not None
    visible = next(i for i, t in enumerate(embeddings.table) if t.modality is VIS)
    assert [float(v) for v in first.groups()] == pytest.approx(14 + 292 * drawn.points[visible], abs=0.06)


def test_names_on_the_map_are_escaped() -> None:
    embeddings = people(3)
    evil = tuple(replace(t, identity=f"<b>{t.identity}", camera="<i>") for t in embeddings.table)
    embeddings = replace(embeddings, table=replace(embeddings.table, rows=evil))
    for panel in map_panels(embedding_map(embeddings), embeddings):
        assert "<b>" not in panel.svg
        assert "<i>" not in panel.svg
