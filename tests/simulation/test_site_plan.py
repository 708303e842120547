"""The plan of a site: paths in view, travel times, light. Nothing is drawn here."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality
from xreid.retrieval.camera_graph_file import camera_graph_from
from xreid.simulation.camera import FRAME_SIZE
from xreid.simulation.site_config import SITE_PRESETS, SiteConfig, default, site_preset_options, tiny
from xreid.simulation.site_light import look_at, switches
from xreid.simulation.site_map import DETOUR, SLOWEST, graph, optics, site_cameras, site_links
from xreid.simulation.site_path import GATES, beside, draw_path
from xreid.simulation.site_plan import person_names, plan_passages, recordings

CONFIG = default()


@pytest.mark.parametrize("enter", GATES)
@pytest.mark.parametrize("leave", GATES)
def test_a_path_begins_and_ends_out_of_sight_and_is_seen_between(enter: str, leave: str) -> None:
    if enter == leave:
        return
    for seed in range(20):
        camera = optics(CONFIG, f"cam{seed % 6 + 1}", Modality.VISIBLE, sunny=True)
        path = draw_path(np.random.default_rng(seed), camera, enter=enter, leave=leave)
        for high in (0.0, 1.0, 1.8):  # from the feet to the head
            up = np.full((len(path.points), 1), high)
            x, y = camera.project(np.concatenate([path.points, up], 1).astype(np.float32))[0].T
            inside = (x > 0) & (x < FRAME_SIZE[0]) & (y > 0) & (y < FRAME_SIZE[1])
            assert not inside[0]
            assert not inside[-1]
            assert inside.sum() > 12


def test_metres_along_a_path_are_metres() -> None:
    camera = optics(CONFIG, "cam1", Modality.VISIBLE, sunny=True)
    path = draw_path(np.random.default_rng(1), camera, enter="left", leave="right")
    steps = np.linspace(0, path.length_m, 200)
    position, heading = path.at(steps)
    moved = np.linalg.norm(np.diff(position, axis=0), axis=1)
    assert moved == pytest.approx(np.full(199, path.length_m / 199), rel=0.05)
    ahead = np.diff(position, axis=0)
    off = np.arctan2(ahead[:, 1], ahead[:, 0]) - heading[:-1]
    assert np.abs(np.angle(np.exp(1j * off))).max() < 0.1
    apart = np.linalg.norm(beside(path, 0.6).points - path.points, axis=1)
    assert apart == pytest.approx(np.full(len(apart), 0.6), rel=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_go_along_links_in_times_that_the_graph_allows(seed: int) -> None:
    config = replace(CONFIG, seed=seed)
    links = {frozenset((link.first, link.second)): link.metres for link in site_links(config)}
    known = camera_graph_from(graph(config))
    trips: dict[tuple[str, str], list] = {}
    for passage in plan_passages(config):
        trips.setdefault((passage.person, passage.session), []).append(passage)
    assert {person for person, _ in trips} == set(person_names(config))
    ways = 0
    for trip in trips.values():
        for one, other in pairwise(trip):
            gone, metres = other.start_s - one.end_s, links[frozenset((one.camera, other.camera))]
            way = known.way(one.camera, other.camera)
            assert way is not None
            assert way.least_s - 0.06 <= gone <= DETOUR[1] * metres / SLOWEST
            ways += 1
    assert ways > 100


def test_everybody_walks_in_two_sessions_and_is_in_one_place_at_a_time() -> None:
    sessions: dict[str, set[str]] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    for passage in plan_passages(CONFIG):
        sessions.setdefault(passage.person, set()).add(passage.session)
        spans.setdefault(passage.person, []).append((passage.start_s, passage.end_s))
    assert {len(found) for found in sessions.values()} == {2}
    for found in spans.values():
        assert all(a[1] < b[0] for a, b in pairwise(sorted(found)))


def test_track_numbers_are_unique_and_some_people_walk_abreast() -> None:
    passages = plan_passages(CONFIG)
    assert sorted(passage.number for passage in passages) == list(range(1, len(passages) + 1))
    together = [(a, b) for a, b in pairwise(passages) if (a.camera, a.start_s) == (b.camera, b.start_s)]
    assert together
    assert all(a.person != b.person for a, b in together)


def test_recordings_cover_every_session_without_gap_or_overlap() -> None:
    config = replace(tiny(), day_s=10, file_s=7)
    found = recordings(config)
    assert len({recording.name for recording in found}) == len(found)
    for camera in site_cameras(config):
        for session, length in config.sessions().items():
            own = [r for r in found if (r.camera, r.session) == (camera.name, session)]
            ends = [r.first_s + r.frames / config.fps for r in own]
            assert [r.first_s for r in own] == [0.0, *ends[:-1]]
            assert ends[-1] == length
    assert found[0].name == "cam1_20261120T143000Z"


def test_light_by_kind_and_session() -> None:
    cameras = {camera.kind: camera for camera in site_cameras(CONFIG)}
    for second in range(0, 150, 10):
        assert look_at(CONFIG, cameras["visible"], "night", second).modality is Modality.VISIBLE
        assert look_at(CONFIG, cameras["infrared"], "day", second).modality is Modality.INFRARED
        assert look_at(CONFIG, cameras["switching"], "day", second).modality is Modality.VISIBLE
        assert look_at(CONFIG, cameras["switching"], "night", second).modality is Modality.INFRARED


def test_a_switching_camera_changes_at_its_times_and_is_dazzled_by_it() -> None:
    kinds = set()
    for camera in site_cameras(replace(CONFIG, cameras=12)):
        if camera.kind != "switching":
            continue
        config = replace(CONFIG, cameras=12)
        times = switches(config, camera, "dusk")
        kinds.add(len(times))
        for i, time in enumerate(times):
            before, after = (look_at(config, camera, "dusk", time + step) for step in (-0.05, 0.05))
            assert (before.modality is Modality.VISIBLE) == (i % 2 == 0)
            assert after.modality is before.modality.other
            assert after.gain > 1.5
            assert before.gain == 1
        dark = look_at(config, camera, "dusk", times[0] - 0.1)
        assert dark.level < look_at(config, camera, "dusk", 0).level
    assert kinds == {1, 3}


def test_bad_values_are_named() -> None:
    for name, value in (("cameras", 0), ("fps", 1), ("crf", 60), ("always_visible", 7), ("pairs", 1.5)):
        with pytest.raises(ConfigError, match=name):
            replace(CONFIG, **{name: value})
    with pytest.raises(ConfigError, match="records nothing"):
        SiteConfig(day_s=0, dusk_s=0, night_s=0)
    with pytest.raises(ConfigError, match="date"):
        SiteConfig(date="20.11.2026")
    with pytest.raises(ConfigError, match="default, small, tiny"):
        site_preset_options("large")


@pytest.mark.parametrize("name", SITE_PRESETS)
def test_preset_options_say_the_preset(name: str) -> None:
    given = dict(word.removeprefix("--").split("=") for word in site_preset_options(name))
    changed = {field: type(getattr(CONFIG, field))(value) for field, value in given.items()}
    assert replace(CONFIG, **changed) == SITE_PRESETS[name]()
