"""Batches of clips: contents, resume, workers, processes, evaluation of tracklets of any length."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.tiny_archives import truncate, write_bupt, write_hitsz
from xreid.core.errors import ConfigError, DataError
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality, TrackletTable
from xreid.data import loader as loader_module
from xreid.data import open_archive
from xreid.data.augment import AugmentConfig, ClipAugment, Normalise
from xreid.data.batches import CrossModalitySampler
from xreid.data.clips import ClipReader
from xreid.data.loader import ClipBatch, evaluation_clips, training_batches
from xreid.data.sampling import FrameSampling, chunk_first, dense

SIZE, T = (16, 8), 5


@pytest.fixture
def table(hitsz: Path) -> TrackletTable:
    return open_archive(hitsz).subset("train")


def _sampler(table: TrackletTable, **options: object) -> CrossModalitySampler:
    return CrossModalitySampler(
        table,
        **{
            "identities_per_batch": 2,
            "clips_per_modality": 2,
            "batches_per_epoch": 4,
            "seed": 3,
            **options,
        },  # type: ignore[arg-type]
    )


def _train(table: TrackletTable, **options: object) -> list[ClipBatch]:
    sampler_options = {k: options.pop(k) for k in ("rank", "world_size", "paired") if k in options}
    reader = ClipReader(table, size=SIZE, cache_bytes=10**6)
    sampler = _sampler(table, **sampler_options)
    return list(training_batches(reader, sampler, **{"frames_per_clip": T, "epoch": 1, **options}))  # type: ignore[arg-type]


def _equal(first: ClipBatch, second: ClipBatch) -> bool:
    names = ("clips", "labels", "modalities", "cameras", "rows")
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)


def test_contents_of_a_batch(table: TrackletTable) -> None:
    identities, cameras = table.identities(), table.cameras()
    for batch in _train(table):
        assert len(batch) == 8
        assert batch.clips.shape == (8, T, 3, *SIZE)
        assert batch.clips.dtype == torch.float32
        assert all(
            getattr(batch, n).dtype == torch.int64 for n in ("labels", "modalities", "cameras", "rows")
        )
        assert batch.modalities.tolist() == [0, 0, 1, 1] * 2
        for i, row in enumerate(batch.rows.tolist()):
            assert identities[batch.labels[i]] == table[row].identity
            assert cameras[batch.cameras[i]] == table[row].camera
            assert bool(batch.modalities[i]) == (table[row].modality is Modality.INFRARED)


def test_clips_are_what_a_loop_gives(table: TrackletTable) -> None:
    reader, sampler, augment = ClipReader(table, size=SIZE), _sampler(table), ClipAugment()
    batch = next(training_batches(reader, sampler, frames_per_clip=T, epoch=1, augment=augment))
    for position, row in enumerate(batch.rows.tolist()):
        names = (1, 0, position)
        draws = numpy_generator(3, "frames", *names)
        frames = np.array([min(i * 3 + draws_i, 13) for i, draws_i in enumerate(draws.integers(3, size=T))])
        expected = augment(reader.read(row, frames), numpy_generator(3, "augment", *names))
        assert torch.equal(batch.clips[position], expected)


def test_resume_in_the_middle_of_an_epoch_is_exact(table: TrackletTable) -> None:
    whole, rest = _train(table), _train(table, start_batch=2)
    assert len(rest) == 2
    assert all(_equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_epochs_differ(table: TrackletTable) -> None:
    assert not torch.equal(_train(table)[0].clips, _train(table, epoch=2)[0].clips)


def test_workers_change_nothing(table: TrackletTable) -> None:
    whole = _train(table)
    for workers in (1, 2):
        batches = _train(table, workers=workers)
        assert all(_equal(a, b) for a, b in zip(whole, batches, strict=True))


def test_global_random_state_is_neither_read_nor_changed(table: TrackletTable) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = _train(table, workers=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert all(_equal(a, b) for a, b in zip(first, _train(table), strict=True))


def test_two_processes_equal_one(table: TrackletTable) -> None:
    shares = [_train(table, rank=rank, world_size=2) for rank in range(2)]
    for batch, first, second in zip(_train(table), *shares, strict=True):
        assert torch.equal(batch.clips, torch.cat([first.clips, second.clips]))
        assert torch.equal(batch.labels, torch.cat([first.labels, second.labels]))


def test_paired_clips_show_the_same_moments_in_the_same_way(bupt: Path, tmp_path: Path) -> None:
    root = write_bupt(tmp_path, frames=20)
    table = open_archive(root).subset("train")
    for row in table:  # make the infrared twin a copy of the visible tracklet
        if row.modality is Modality.INFRARED:
            for frame in row.frames:
                source = table.frame_path(frame.replace("/IR/", "/RGB/").replace("_IR_", "_RGB_"))
                table.frame_path(frame).write_bytes(source.read_bytes())
    for batch in _train(table, paired=True):
        grouped = batch.clips.unflatten(0, (2, 2, 2))  # identity, modality, clip
        assert torch.equal(grouped[:, 0], grouped[:, 1])
        assert torch.unique(batch.rows).numel() > 4


def test_labels_and_cameras_of_the_training_set_are_kept(table: TrackletTable) -> None:
    identities = ["0009", *reversed(table.identities())]
    batch = _train(table, identities=identities, cameras=["D12"])[0]
    for i, row in enumerate(batch.rows.tolist()):
        assert identities[batch.labels[i]] == table[row].identity
        assert batch.cameras[i] == (0 if table[row].camera == "D12" else -1)
    with pytest.raises(DataError, match="not among the given identities"):
        _train(table, identities=["0001"])


@pytest.mark.parametrize("sampling", [FrameSampling.DENSE, FrameSampling.CHUNK_FIRST, FrameSampling.LINSPACE])
@pytest.mark.parametrize("clips_per_batch", [1, 4, 100])
def test_evaluation_clips_are_all_clips_in_order(
    table: TrackletTable, sampling: FrameSampling, clips_per_batch: int
) -> None:
    reader, rows = ClipReader(table, size=SIZE), [4, 0, 7]
    batches = list(
        evaluation_clips(reader, rows, frames_per_clip=T, sampling=sampling, clips_per_batch=clips_per_batch)
    )
    assert all(len(batch) <= clips_per_batch for batch in batches)
    got = torch.cat([batch.clips for batch in batches])
    assert [r for batch in batches for r in batch.rows.tolist()] == [
        row for row in rows for _ in range(3 if sampling is FrameSampling.DENSE else 1)
    ]
    rule = {FrameSampling.DENSE: dense, FrameSampling.CHUNK_FIRST: lambda n, t: chunk_first(n, t)[None]}.get(
        sampling, lambda n, t: np.linspace(0, n, t, endpoint=False, dtype=int)[None]
    )
    expected = [Normalise()(reader.read(row, frames)) for row in rows for frames in rule(14, T)]
    assert torch.allclose(got, torch.stack(expected))


def test_evaluation_with_workers_and_unknown_people(table: TrackletTable) -> None:
    reader = ClipReader(table, size=SIZE)
    options = {"frames_per_clip": T, "clips_per_batch": 5, "identities": [], "cameras": []}
    plain = list(evaluation_clips(reader, range(len(table)), **options))  # type: ignore[arg-type]
    forked = list(evaluation_clips(reader, range(len(table)), workers=2, **options))  # type: ignore[arg-type]
    assert all(_equal(a, b) for a, b in zip(plain, forked, strict=True))
    assert {int(x) for batch in plain for x in (*batch.labels, *batch.cameras)} == {-1}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_frame_stops_with_its_name(tmp_path: Path, workers: int) -> None:
    table = open_archive(write_hitsz(tmp_path, train_ids=(1, 2), cameras=(1,))).subset("train")
    for row in table:
        truncate(table.frame_path(row.frames[13]))
    with pytest.raises(DataError, match=r"Train/000\d/\w+/D1/66\.jpg") as caught:
        _train(table, workers=workers)
    assert "Traceback" not in str(caught.value)


def test_a_worker_that_dies_is_one_clear_error(table: TrackletTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClipReader, "read", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(DataError, match="a loader worker died"):
        _train(table, workers=1)


def test_replaced_frames_are_counted_over_workers(tmp_path: Path) -> None:
    table = open_archive(write_hitsz(tmp_path, train_ids=(1, 2), cameras=(1,))).subset("train")
    truncate(table.frame_path(table[0].frames[13]))
    reader = ClipReader(table, size=SIZE, on_unreadable="replace")
    for _ in training_batches(reader, _sampler(table), frames_per_clip=T, epoch=0, workers=2):
        pass
    assert reader.replaced == 1


def test_bad_requests(table: TrackletTable, hitsz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ClipReader(table, size=SIZE)
    with pytest.raises(ConfigError, match="draws at random"):
        next(evaluation_clips(reader, [0], frames_per_clip=T, sampling=FrameSampling.CHUNK_RANDOM))
    other = open_archive(hitsz).subset("train")
    with pytest.raises(ConfigError, match="different tables"):
        next(training_batches(reader, _sampler(other), frames_per_clip=T, epoch=0))
    monkeypatch.setattr(loader_module.shutil, "disk_usage", lambda path: type("U", (), {"free": 1000})())
    with pytest.raises(ConfigError, match="shared memory"):
        next(training_batches(reader, _sampler(table), frames_per_clip=T, epoch=0, workers=1))


def test_batches_move(table: TrackletTable) -> None:
    batch = next(evaluation_clips(ClipReader(table, size=SIZE), [0], frames_per_clip=T)).to("cpu")
    assert batch.clips.device.type == "cpu"


def test_training_without_augmentation_is_normalisation(table: TrackletTable) -> None:
    plain = ClipAugment(AugmentConfig(flip=0, pad=0, erase=0))
    batch = _train(table, augment=plain)[0]
    means = batch.clips.mean(dim=(1, 3, 4))
    assert torch.isfinite(means).all()
    assert batch.clips.abs().max() < 3
