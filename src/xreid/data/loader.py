"""Batches of clips for training and evaluation, in this process or by workers, always in the same order."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from xreid.core.errors import ConfigError, DataError, XReidError
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality, TrackletTable, index_of
from xreid.data.augment import ClipAugment, Normalise
from xreid.data.batches import BatchPlan, CrossModalitySampler
from xreid.data.clips import ClipReader
from xreid.data.sampling import FrameSampling, num_clips, sample

_PREFETCH = 2  # batches a worker prepares ahead


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """Clips with what is known about them; B clips, T frames.

    Attributes:
        clips: float32 [B, T, 3, H, W], normalised.
        labels: int64 [B], position of the identity in the list of identities, -1 where unknown.
        modalities: int64 [B], 0 visible, 1 infrared.
        cameras: int64 [B], position of the camera in the list of cameras, -1 where unknown.
        rows: int64 [B], row of the table each clip was cut from.
    """

    clips: Tensor
    labels: Tensor
    modalities: Tensor
    cameras: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> ClipBatch:
        """The batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> ClipBatch:
        """The batch in page-locked memory (called by the DataLoader)."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> ClipBatch:
        return ClipBatch(**{field.name: change(getattr(self, field.name)) for field in fields(self)})


class RowColumns:
    """Numbers of each row of a table: label, modality and camera.

    Args:
        table: The tracklets.
        identities: Label i is entry i; default the table's own, sorted.
        cameras: Camera i is entry i; default the table's own, sorted.
    """

    def __init__(
        self,
        table: TrackletTable,
        *,
        identities: Sequence[str] | None = None,
        cameras: Sequence[str] | None = None,
    ) -> None:
        label_of = index_of(table.identities() if identities is None else identities)
        camera_of = index_of(table.cameras() if cameras is None else cameras)
        self.labels = torch.tensor([label_of.get(row.identity or "", -1) for row in table])
        self.cameras = torch.tensor([camera_of.get(row.camera or "", -1) for row in table])
        self.modalities = torch.tensor([int(row.modality is Modality.INFRARED) for row in table])

    def batch(self, clips: Tensor, rows: Sequence[int]) -> ClipBatch:
        """A batch of these clips, cut from these rows."""
        index = torch.tensor(rows, dtype=torch.int64)
        return ClipBatch(
            clips=clips,
            labels=self.labels[index],
            modalities=self.modalities[index],
            cameras=self.cameras[index],
            rows=index,
        )


def training_batches(
    reader: ClipReader,
    sampler: CrossModalitySampler,
    *,
    frames_per_clip: int,
    epoch: int,
    start_batch: int = 0,
    augment: ClipAugment | None = None,
    sampling: FrameSampling = FrameSampling.CHUNK_RANDOM,
    identities: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[ClipBatch]:
    """The batches of one epoch from `start_batch` on; equal for any number of workers and of processes.

    Args:
        reader: Over the table the sampler was built on.
        sampler: Decides the rows and the process's share of them; its seed is the root of all draws.
        frames_per_clip: T.
        epoch: Counted from 0.
        start_batch: Batches to leave out, to go on in the middle of an epoch.
        augment: Default: the defaults of AugmentConfig with the reader's mean and std.
        sampling: Which frames make a clip.
        identities: Order of the labels; default the table's identities, sorted.
        cameras: Order of the camera numbers; default the table's cameras, sorted.
        workers: Loader processes; 0 loads in this one.
        pin_memory: Give batches in page-locked memory, for copies to a GPU in the background.

    Yields:
        Batches, identity-major: for each identity K visible, then K infrared clips.

    Raises:
        DataError: An identity is not in `identities`; a frame cannot be read.
        ConfigError: Reader and sampler disagree; too little shared memory for the workers.
    """
    if reader.table is not sampler.table:
        raise ConfigError("reader and sampler are over different tables", todo="Build both from one table.")
    columns = RowColumns(reader.table, identities=identities, cameras=cameras)
    unlabelled = [i for i in sampler.used_rows() if columns.labels[i] < 0]
    if unlabelled:
        raise DataError(f"identity {reader.table[unlabelled[0]].identity} is not among the given identities")
    dataset = _TrainingSet(
        reader,
        columns,
        plans=sampler.batches(epoch)[start_batch:],
        sampler=sampler,
        frames_per_clip=frames_per_clip,
        sampling=sampling,
        augment=augment or ClipAugment(mean=reader.mean, std=reader.std),
    )
    clips = sampler.batch_size * frames_per_clip
    yield from _load(dataset, frames=clips, size=reader.size, workers=workers, pin_memory=pin_memory)


def evaluation_clips(
    reader: ClipReader,
    rows: Sequence[int],
    *,
    frames_per_clip: int,
    sampling: FrameSampling = FrameSampling.CHUNK_FIRST,
    clips_per_batch: int = 32,
    identities: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[ClipBatch]:
    """The clips of tracklets of any length, in the order of `rows`, in batches of bounded size.

    A tracklet of many clips (dense) may run over several batches: gather by `ClipBatch.rows`.

    Args:
        reader: Over the table.
        rows: Rows of the table.
        frames_per_clip: T.
        sampling: A rule without chance; "dense" gives several clips a tracklet.
        clips_per_batch: Most clips of a batch, whatever their tracklets.
        identities: Order of the labels; default the table's identities, sorted.
        cameras: Order of the camera numbers (those of the training set); default the table's, sorted.
        workers: Loader processes; 0 loads in this one.
        pin_memory: Give batches in page-locked memory.

    Yields:
        Normalised clips without augmentation; labels and cameras outside the given lists are -1.

    Raises:
        ConfigError: The sampling draws at random; too little shared memory for the workers.
        DataError: A frame cannot be read.
    """
    if sampling.is_random:
        raise ConfigError(
            f"frame sampling {sampling} draws at random", todo="Use chunk-first, linspace or dense."
        )
    columns = RowColumns(reader.table, identities=identities, cameras=cameras)
    pieces = [
        (row, clip)
        for row in rows
        for clip in range(num_clips(sampling, len(reader.table[row].frames), frames_per_clip))
    ]
    batches = [pieces[i : i + clips_per_batch] for i in range(0, len(pieces), clips_per_batch)]
    dataset = _EvaluationSet(
        reader, columns, batches=batches, frames_per_clip=frames_per_clip, sampling=sampling
    )
    frames = min(clips_per_batch, len(pieces)) * frames_per_clip
    yield from _load(dataset, frames=frames, size=reader.size, workers=workers, pin_memory=pin_memory)


class _TrainingSet(Dataset[ClipBatch]):
    """Item i is a whole batch."""

    def __init__(
        self,
        reader: ClipReader,
        columns: RowColumns,
        *,
        plans: list[BatchPlan],
        sampler: CrossModalitySampler,
        frames_per_clip: int,
        sampling: FrameSampling,
        augment: ClipAugment,
    ) -> None:
        self.reader, self.columns, self.plans, self.sampler = reader, columns, plans, sampler
        self.frames_per_clip, self.sampling, self.augment = frames_per_clip, sampling, augment

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, index: int) -> ClipBatch:
        plan = self.plans[index]
        shape = (len(plan.rows), self.frames_per_clip, 3, *self.reader.size)
        clips = torch.empty(shape, dtype=torch.float32)
        for i, (row, position) in enumerate(zip(plan.rows, plan.positions, strict=True)):
            names = (plan.epoch, plan.number, self.sampler.stream(position))
            count = self.sampler.num_frames(row)
            generator = numpy_generator(self.sampler.seed, "frames", *names)
            frames = sample(self.sampling, count, self.frames_per_clip, generator=generator)[0]
            generator = numpy_generator(self.sampler.seed, "augment", *names)
            self.augment(self.reader.read(row, frames), generator, out=clips[i])
        return self.columns.batch(clips, plan.rows)


class _EvaluationSet(Dataset[ClipBatch]):
    """Item i is a batch of (row, clip number) pieces."""

    def __init__(
        self,
        reader: ClipReader,
        columns: RowColumns,
        *,
        batches: list[list[tuple[int, int]]],
        frames_per_clip: int,
        sampling: FrameSampling,
    ) -> None:
        self.reader, self.columns, self.batches = reader, columns, batches
        self.frames_per_clip, self.sampling = frames_per_clip, sampling
        self.normalise = Normalise(mean=reader.mean, std=reader.std)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> ClipBatch:
        pieces = self.batches[index]
        shape = (len(pieces), self.frames_per_clip, 3, *self.reader.size)
        clips = torch.empty(shape, dtype=torch.float32)
        for i, (row, number) in enumerate(pieces):
            count = len(self.reader.table[row].frames)
            frames = sample(self.sampling, count, self.frames_per_clip)[number]
            self.normalise.into(self.reader.read_array(row, frames), clips[i].numpy())
        return self.columns.batch(clips, [row for row, _ in pieces])


def _load(
    dataset: Dataset[ClipBatch], *, frames: int, size: tuple[int, int], workers: int, pin_memory: bool
) -> Iterator[ClipBatch]:
    options: dict[str, Any] = {}
    if workers:
        _require_shared_memory(workers * _PREFETCH * frames * 3 * size[0] * size[1] * 4)
        # Forked workers share the reader's cache; they never touch a GPU.
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        options = {"prefetch_factor": _PREFETCH, "multiprocessing_context": method}
    loader = DataLoader(
        _Returning(dataset),
        batch_size=None,
        shuffle=False,
        num_workers=workers,
        pin_memory=pin_memory and torch.cuda.is_available(),
        # Without its own generator the loader would draw a base seed from the global one.
        generator=torch.Generator().manual_seed(0),
        **options,
    )
    try:
        for batch in loader:
            if isinstance(batch, XReidError):
                raise batch
            yield batch
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        todo = "Memory may have run out: lower workers or cache_bytes."
        raise DataError("a loader worker died", got=str(error).split("\n")[0], todo=todo) from error


class _Returning(Dataset[ClipBatch | XReidError]):
    """Hands errors over as items: raised in a worker, they would reach the user as its traceback."""

    def __init__(self, dataset: Dataset[ClipBatch]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> ClipBatch | XReidError:
        try:
            return self.dataset[index]
        except XReidError as error:
            return error


def _require_shared_memory(needed: int) -> None:
    shared = Path("/dev/shm")
    free = shutil.disk_usage(shared).free if shared.is_dir() else None
    if free is not None and needed > free:
        raise ConfigError(
            "loader workers hand batches over in shared memory, and there is too little of it",
            expected=f"{np.ceil(needed / 2**20):.0f} MiB free in {shared}",
            got=f"{free / 2**20:.0f} MiB",
            todo="Lower workers (0 needs none), or enlarge it (docker run --shm-size=8g).",
        )
