"""Clip reading: cache, replacement of unreadable frames, errors."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.tiny_archives import truncate, write_frames_csv, write_hitsz
from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.data import clips as clips_module
from xreid.data import open_archive
from xreid.data.clips import ClipReader, _spread
from xreid.data.decode import decode_frame

SIZE = (16, 8)
FRAME = 3 * SIZE[0] * SIZE[1]


@pytest.fixture
def table(hitsz: Path) -> TrackletTable:
    return open_archive(hitsz)


def _naive(table: TrackletTable, row: int, frames: list[int]) -> np.ndarray:
    paths = [table.frame_path(table[row].frames[frame]) for frame in frames]
    return np.stack([decode_frame(path, size=SIZE) for path in paths])


@pytest.mark.parametrize("slots", [0, 5, 10_000])
def test_frames_are_the_same_with_any_cache(table: TrackletTable, slots: int) -> None:
    reader = ClipReader(table, size=SIZE, cache_bytes=slots * FRAME)
    for _ in range(2):  # the second round comes from the cache
        for row in (0, 3, len(table) - 1):
            clip = reader.read(row, np.array([0, 2, 2, 13]))
            assert clip.dtype == torch.uint8
            assert np.array_equal(clip.numpy(), _naive(table, row, [0, 2, 2, 13]))
    assert reader.cached <= min(slots, 9)


def test_cached_frames_are_not_decoded_again(table: TrackletTable, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def counting(path: Path, **options: object) -> np.ndarray:
        calls.append(path)
        return decode_frame(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(clips_module, "decode_frame", counting)
    reader = ClipReader(table, size=SIZE, cache_bytes=10**7)
    for _ in range(3):
        reader.read(1, np.array([4, 4, 5]))
    assert len(calls) == 2
    assert reader.cached == 2


def test_a_forked_process_fills_the_same_cache(table: TrackletTable) -> None:
    reader = ClipReader(table, size=SIZE, cache_bytes=10**7)
    process = multiprocessing.get_context("fork").Process(target=reader.read_array, args=(0, np.arange(6)))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert reader.cached == 6
    assert np.array_equal(reader.read_array(0, np.arange(6)), _naive(table, 0, list(range(6))))


def test_a_pickled_reader_reads_the_same(table: TrackletTable) -> None:
    reader = ClipReader(table, size=SIZE, cache_bytes=10**6)
    expected = reader.read_array(2, np.arange(3))
    again = pickle.loads(pickle.dumps(reader))
    assert again.cached == 0
    assert np.array_equal(again.read_array(2, np.arange(3)), expected)


def test_cache_slots_are_spread_over_the_table() -> None:
    for total, slots in ((10, 0), (10, 3), (10, 10), (7, 5), (1, 1)):
        table = _spread(total, slots)
        used = np.flatnonzero(table >= 0)
        assert table[used].tolist() == list(range(slots))
        assert len(used) < 2 or np.diff(used).max() <= -(-total // slots)


@pytest.fixture
def damaged(tmp_path: Path) -> TrackletTable:
    table = open_archive(write_frames_csv(tmp_path))
    truncate(table.frame_path(table[0].frames[0]))
    table.frame_path(table[0].frames[1]).unlink()
    return table


def test_unreadable_frames_are_errors_that_name_the_file(damaged: TrackletTable) -> None:
    reader = ClipReader(damaged, size=SIZE)
    with pytest.raises(DataError, match=r"anna-rgb-0\.jpg: the file is truncated"):
        reader.read(0, np.array([0]))
    with pytest.raises(DataError, match=r"anna-rgb-1\.jpg: No such file"):
        reader.read(0, np.array([2, 1]))


@pytest.mark.parametrize("cache", [0, 10**6])
def test_replacement_takes_the_nearest_readable_frame_and_counts(damaged: TrackletTable, cache: int) -> None:
    reader = ClipReader(damaged, size=SIZE, on_unreadable="replace", cache_bytes=cache)
    for _ in range(2):
        clip = reader.read_array(0, np.array([0, 1, 2]))
        expected = _naive(damaged, 0, [2])[0]
        assert all(np.array_equal(frame, expected) for frame in clip)
    assert reader.replaced == 2  # files, not events
    reader.read(1, np.arange(3))
    assert reader.replaced == 2


def test_the_nearest_frame_is_the_earlier_of_two(tmp_path: Path) -> None:
    table = open_archive(write_hitsz(tmp_path, train_ids=(1,), cameras=(1,)))
    for frame in (5, 6, 7):
        truncate(table.frame_path(table[0].frames[frame]))
    reader = ClipReader(table, size=SIZE, on_unreadable="replace")
    assert np.array_equal(reader.read_array(0, np.array([5, 6, 7])), _naive(table, 0, [4, 4, 8]))


def test_a_tracklet_without_any_readable_frame_is_an_error(damaged: TrackletTable) -> None:
    damaged.frame_path(damaged[0].frames[2]).unlink()
    reader = ClipReader(damaged, size=SIZE, on_unreadable="replace")
    with pytest.raises(DataError, match="no frame of tracklet anna-rgb can be read"):
        reader.read(0, np.array([0]))


def test_bad_requests(table: TrackletTable) -> None:
    with pytest.raises(DataError, match=r"has no such frames; expected positions 0\.\.13; got 0\.\.14"):
        ClipReader(table, size=SIZE).read(0, np.array([0, 14]))
    with pytest.raises(DataError, match="no such frames"):
        ClipReader(table, size=SIZE).read(0, np.array([-1]))
    for wrong in ({"size": (0, 8)}, {"cache_bytes": -1}, {"std": (1, 1, 0)}, {"mean": (0.5,)}):
        with pytest.raises(ConfigError, match="frame size, mean, std or cache is wrong"):
            ClipReader(table, **{"size": SIZE, **wrong})  # type: ignore[arg-type]


def test_a_transform_changes_what_is_given_out_and_not_the_cache(table: TrackletTable) -> None:
    seen: list[tuple[str, list[int]]] = []

    def invert(clip: np.ndarray, row: Tracklet, frames: np.ndarray) -> np.ndarray:
        seen.append((row.name, frames.tolist()))
        return np.subtract(255, clip, out=clip)  # in place, which must not reach the cache

    reader = ClipReader(table, size=SIZE, cache_bytes=10**7, transform=invert)
    for _ in range(3):
        assert np.array_equal(reader.read_array(1, np.array([4, 4, 5])), 255 - _naive(table, 1, [4, 4, 5]))
    assert seen == [(table[1].name, [4, 4, 5])] * 3
    assert np.array_equal(reader.read(1, np.array([5])).numpy(), 255 - _naive(table, 1, [5]))
