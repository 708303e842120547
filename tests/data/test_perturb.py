"""Each kind of damage against a naive version or its defining property; level 0 changes nothing."""

from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.damage import Donors, window
from xreid.data.decode import _resize as resize_like_the_decoder
from xreid.data.perturb import KINDS, Perturbation, sweep

VIS, IR = Modality.VISIBLE, Modality.INFRARED
PIXEL_KINDS = [name for name, kind in KINDS.items() if kind.pixels]


def row(
    name: str, identity: str | None, camera: str | None, modality: Modality = IR, count: int = 13
) -> Tracklet:
    frames = tuple(f"{name}/{i}.jpg" for i in range(count))
    return Tracklet(name=name, frames=frames, modality=modality, identity=identity, camera=camera)


def table_of(*rows: Tracklet) -> TrackletTable:
    return TrackletTable(root=Path("/nowhere"), rows=rows)


PEOPLE = table_of(
    *(
        row(f"{person}-{camera}-{modality}", person, camera, modality, count=10 + int(person))
        for person in ("1", "2", "3", "4")
        for camera in ("D1", "D2")
        for modality in (VIS, IR)
    )
)


def noise_clip(*, count: int = 4, size: tuple[int, int] = (48, 24), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, *size), dtype=np.uint8)


def damaged(kind: str, level: float, clip: np.ndarray, *, name: str = "a", seed: int = 0) -> np.ndarray:
    found = Perturbation(kind=kind, level=level, seed=seed)(
        clip.copy(), row(name, "1", "D1"), np.arange(len(clip))
    )
    assert found.dtype == np.uint8
    assert found.shape == clip.shape
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_level_0_changes_nothing_and_every_default_level_something(kind: str) -> None:
    clip = noise_clip()
    untouched = Perturbation(kind=kind, level=0.0)
    assert np.array_equal(damaged(kind, 0.0, clip), clip)
    assert untouched.table(PEOPLE) == PEOPLE
    assert untouched.changed(PEOPLE) == []
    for level in KINDS[kind].levels:
        change = Perturbation(kind=kind, level=level)
        assert (not np.array_equal(damaged(kind, level, clip), clip)) == bool(KINDS[kind].pixels)
        assert (change.table(PEOPLE) != PEOPLE) == bool(KINDS[kind].frames)
        infrared = [i for i, r in enumerate(PEOPLE) if r.modality is IR]
        assert change.changed(PEOPLE) == (infrared if kind.startswith("ir-") else list(range(len(PEOPLE))))


@pytest.mark.parametrize("kind", PIXEL_KINDS)
def test_draws_belong_to_seed_and_tracklet_and_nothing_else(kind: str) -> None:
    clip, level = noise_clip(), KINDS[kind].levels[-1]
    first = damaged(kind, level, clip)
    np.random.default_rng(1).random()
    assert np.array_equal(damaged(kind, level, clip), first)
    change = pickle.loads(pickle.dumps(Perturbation(kind=kind, level=level)))
    parts = [change(clip[i : i + 1].copy(), row("a", "9", "D7"), np.array([i])) for i in range(len(clip))]
    assert np.array_equal(np.concatenate(parts), first), "frames are changed one by one"
    random = kind in ("occlusion", "ir-noise")
    assert np.array_equal(damaged(kind, level, clip, name="b"), first) != random
    assert np.array_equal(damaged(kind, level, clip, seed=1), first) != random


@pytest.mark.parametrize("kind", [name for name in PIXEL_KINDS if name.startswith("ir-")])
def test_infrared_kinds_leave_visible_frames(kind: str) -> None:
    clip = noise_clip()
    change = Perturbation(kind=kind, level=KINDS[kind].levels[-1])
    assert change(clip, row("a", "1", "D1", VIS), np.arange(len(clip))) is clip


@given(st.integers(1, 40), st.data())
def test_windows_lie_inside_and_within_each_other(length: int, data: st.DataObject) -> None:
    place = data.draw(st.floats(0, 1, exclude_max=True))
    positions = [set(range(length)[window(length, count, place)]) for count in range(length + 1)]
    assert [len(p) for p in positions] == list(range(length + 1))
    assert all(fewer <= more for fewer, more in itertools.pairwise(positions))


def test_windows_reach_both_ends() -> None:
    starts = [window(10, 3, place).start for place in np.arange(0, 1, 1 / 8)]
    assert starts == list(range(8)), "each of the eight places has its eighth"


def test_kept_frames_are_consecutive_and_nested() -> None:
    lists = {
        level: [r.frames for r in Perturbation(kind="frames", level=level).table(PEOPLE)]
        for level in (1.0, 2.0, 5.0, 13.0, 100.0)
    }
    for number, tracklet in enumerate(PEOPLE):
        whole = tracklet.frames
        for level, kept in lists.items():
            count = min(int(level), len(whole))
            assert kept[number] in [whole[i : i + count] for i in range(len(whole) - count + 1)]
        assert set(lists[1.0][number]) <= set(lists[2.0][number]) <= set(lists[5.0][number])
    starts = {r.frames.index(kept[0]) for r, kept in zip(PEOPLE, lists[1.0], strict=True)}
    assert len(starts) > 4, "drawn for each tracklet"
    longer = [i for i, r in enumerate(PEOPLE) if len(r.frames) > 12]
    assert Perturbation(kind="frames", level=12.0).changed(PEOPLE) == longer


@pytest.mark.parametrize("level", [3.0, 10.0, 30.0, 50.0, 100.0])
def test_switched_frames_are_a_run_of_somebody_else(level: float) -> None:
    owner = {frame: r for r in PEOPLE for frame in r.frames}
    changed = []
    for number, (before, after) in enumerate(
        zip(PEOPLE, Perturbation(kind="switch", level=level).table(PEOPLE), strict=True)
    ):
        count = math.floor(level / 100 * len(before.frames) + 0.5)
        places = [i for i, frame in enumerate(after.frames) if frame != before.frames[i]]
        assert len(places) == count
        assert places == list(range(places[0], places[0] + count)) if places else count == 0
        donors = {owner[after.frames[i]].name for i in places}
        assert len(donors) == (count > 0)
        for name in donors:
            (donor,) = [r for r in PEOPLE if r.name == name]
            assert donor.identity != before.identity
            assert (donor.camera, donor.modality) == (before.camera, before.modality)
            assert all(after.frames[i] == donor.frames[i % len(donor.frames)] for i in places)
            changed.append(number)
    assert Perturbation(kind="switch", level=level).changed(PEOPLE) == changed


def test_switches_of_more_frames_contain_those_of_fewer() -> None:
    def places(level: float) -> list[set[int]]:
        after = Perturbation(kind="switch", level=level).table(PEOPLE)
        return [
            {i for i in range(len(b.frames)) if a.frames[i] != b.frames[i]}
            for a, b in zip(after, PEOPLE, strict=True)
        ]

    for fewer, more in zip(places(20.0), places(60.0), strict=True):
        assert fewer < more


def test_donors_come_from_another_camera_only_where_the_own_has_nobody() -> None:
    table = table_of(
        row("a1", "a", "D1"),
        row("b1", "b", "D1"),
        row("a2", "a", "D2"),
        row("c", "c", None),
        row("x", None, "D2"),
    )
    donors = Donors(table)
    assert donors.candidates(0) == [1]
    assert donors.candidates(2) == [1, 3], "nobody else is known in D2; those without identity are no donors"
    assert donors.candidates(3) == [0, 1, 2]
    assert donors.same_camera([0, 1, 2, 3]) == 2
    after = Perturbation(kind="switch", level=50.0).table(table)
    assert after[4] == table[4], "of somebody unknown nobody is known to be another"


def test_a_modality_of_one_person_has_no_donors() -> None:
    table = table_of(row("a", "a", "D1"), row("b", "a", "D2"), row("c", "c", "D1", VIS))
    with pytest.raises(DataError, match="Leave `switch` out"):
        Perturbation(kind="switch", level=50.0).table(table)


def naive_blur(frame: np.ndarray, sigma: float) -> np.ndarray:
    """Each pixel as the weighted mean of all, borders mirrored without repeating the edge."""
    reach = math.ceil(4 * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(frame, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        frame = sum(
            w * np.take(padded, range(i, i + frame.shape[axis]), axis=axis) for i, w in enumerate(weights)
        )
    return frame


@pytest.mark.parametrize("level", [1.0, 2.0, 4.0])
def test_blur_is_the_naive_gaussian(level: float) -> None:
    clip = noise_clip(size=(96, 48))
    found = damaged("blur", level, clip)
    expected = np.stack([[naive_blur(c.astype(float), level / 100 * 96) for c in frame] for frame in clip])
    assert np.abs(found - expected).max() < 2.5
    assert np.abs(found - expected).mean() < 0.6


def test_lower_resolution_keeps_flat_parts_and_takes_detail_away() -> None:
    flat = np.full((2, 3, 48, 24), 77, dtype=np.uint8)
    clip, left = noise_clip(), []
    for level in (1.0, 2.0, 3.0):
        assert np.array_equal(damaged("resolution", level, flat), flat)
        found = damaged("resolution", level, clip)
        assert abs(found.mean() - clip.mean()) < 2
        left.append(found.std() / clip.std())
        small = (round(48 * 2.0**-level), round(24 * 2.0**-level))
        for frame, result in zip(clip, found, strict=True):
            shrunk = resize_like_the_decoder(frame.transpose(1, 2, 0), small)
            assert np.array_equal(result, resize_like_the_decoder(shrunk.transpose(1, 2, 0), (48, 24)))
    assert left == sorted(left, reverse=True)
    assert left[0] < 0.7
    assert np.array_equal(damaged("resolution", 0.005, clip), clip), "rounds to the full size"


@given(st.floats(0.5, 100), st.integers(0, 50), st.sampled_from([(48, 24), (64, 32), (30, 50)]))
def test_a_flat_box_of_the_asked_area_at_one_place(level: float, seed: int, size: tuple[int, int]) -> None:
    clip = np.full((3, 3, *size), 50, dtype=np.uint8)
    clip[1] = 200
    found = damaged("occlusion", level, clip, seed=seed)
    hidden = (found != clip).any(axis=(0, 1))
    rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
    if not len(rows):
        assert level / 100 * size[0] * size[1] < max(size)
        return
    box = np.s_[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert hidden[box[2:]].all(), "a rectangle"
    assert len(np.unique(found[box])) == 1, "of one tone in all frames"
    assert np.array_equal(np.delete(found[0, 0], rows, axis=0), np.delete(clip[0, 0], rows, axis=0))
    assert abs(hidden.sum() - level / 100 * size[0] * size[1]) <= (len(rows) + len(columns)) / 2 + 1


def test_larger_boxes_cover_smaller_ones() -> None:
    clip = noise_clip()
    hidden = [damaged("occlusion", level, clip) != clip for level in (10.0, 30.0, 50.0, 100.0)]
    for fewer, more in itertools.pairwise(hidden):
        assert (more | ~fewer).mean() > 0.99  # but for pixels that have the box's tone by chance
    assert hidden[-1].mean() > 0.99


def test_infrared_gain_and_contrast_pixel_by_pixel() -> None:
    clip = noise_clip(count=2, size=(4, 3))
    for level in (-2.0, 1.0, 0.5):
        expected = [min(255, round(int(v) * 2**level)) for v in clip.ravel()]
        assert damaged("ir-gain", level, clip).ravel().tolist() == expected
    found = damaged("ir-contrast", 75.0, clip)
    for frame, result in zip(clip, found, strict=True):
        mean = sum(int(v) for v in frame.ravel()) / frame.size
        assert result.ravel().tolist() == [round(mean + 0.25 * (int(v) - mean)) for v in frame.ravel()]
    grey = damaged("ir-contrast", 100.0, clip)
    assert [len(np.unique(frame)) for frame in grey] == [1, 1]


def test_infrared_noise_has_its_strength_and_is_new_in_each_frame() -> None:
    clip = np.full((6, 3, 64, 32), 128, dtype=np.uint8)
    weak, strong = (damaged("ir-noise", level, clip).astype(float) - 128 for level in (5.0, 20.0))
    assert np.array_equal(weak[:, 0], weak[:, 1])
    assert np.array_equal(weak[:, 0], weak[:, 2])
    assert abs(strong.std() / 20 - 1) < 0.03
    assert abs(strong.mean()) < 0.5
    assert np.abs(strong / 4 - weak).max() <= 1, "the same noise, stronger"
    across = np.corrcoef(strong[:, 0].reshape(6, -1))
    assert np.abs(across - np.eye(6)).max() < 0.1


def test_sweeps_are_read_and_sorted() -> None:
    assert sweep("blur") == ("blur", KINDS["blur"].levels)
    assert sweep("blur=4,1,0,2.5") == ("blur", (1.0, 2.5, 4.0))
    assert sweep("ir-gain=1,-2") == ("ir-gain", (-2.0, 1.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fog", "no such kind of perturbation: 'fog'; expected frames, switch, resolution"),
        ("blur=", "levels of blur are wrong"),
        ("blur=0", "levels of blur are wrong"),
        ("blur=much", "levels of blur are wrong; expected numbers from 0 to 25, such as blur=1,2,4"),
        ("blur=-1", "levels of blur"),
        ("blur=nan", "levels of blur"),
        ("frames=1.5", "whole numbers from 1 to"),
        ("occlusion=101", "levels of occlusion"),
    ],
)
def test_wrong_sweeps_are_one_message(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(text)


def test_rows_keep_everything_but_their_frames() -> None:
    for kind in ("frames", "switch"):
        after = Perturbation(kind=kind, level=KINDS[kind].levels[0]).table(PEOPLE)
        assert [replace(r, frames=("x",)) for r in after] == [replace(r, frames=("x",)) for r in PEOPLE]
