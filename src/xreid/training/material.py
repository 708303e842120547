"""What a run trains on: the tracklets, those held out, and who draws batches of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import sha256_of_value
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality, TrackletTable
from xreid.data.archive import open_archive
from xreid.data.batches import CrossModalitySampler
from xreid.inference.checkpoint import TestSampling
from xreid.inference.growth import table_hash
from xreid.inference.processes import Processes
from xreid.training.config import BatchConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Material:
    """The data of one run.

    Attributes:
        table: Training tracklets of the identities in `sampler`, maybe more.
        sampler: Draws the batches of this process.
        held_out: Tracklets of identities kept out of training, or None.
        hash: SHA-256 of what both tables list.
    """

    table: TrackletTable
    sampler: CrossModalitySampler
    held_out: TrackletTable | None
    hash: str

    @property
    def identities(self) -> tuple[str, ...]:
        """Training identities in label order."""
        return self.sampler.identities

    @property
    def cameras(self) -> tuple[str, ...]:
        """Training cameras in the order of the camera embedding."""
        return tuple(self.table.take(self.sampler.used_rows()).cameras())


def load_material(root: Path, config: TrainConfig, *, processes: Processes) -> Material:
    """Read the training tracklets and set the held-out identities apart.

    Raises:
        DataError: There is nothing to train on, or too little.
        ConfigError: Options do not fit the archive or the number of processes.
    """
    archive = config.archive
    everything = open_archive(
        root.absolute(),
        layout=archive.layout,
        min_frames=archive.min_frames,
        strict=archive.strict,
        fake_ir=archive.fake_ir,
    )
    table = training_rows(everything, auxiliary=archive.auxiliary)
    held_out = None
    names = held_out_identities(table, share=config.selection.held_out, seed=config.train.seed)
    if names:
        held_out = table.where(lambda row: row.identity in names, what="held-out identities")
        table = table.where(lambda row: row.identity not in names, what="identities left for training")
    sampler = _sampler(table, config, processes=processes)
    tables = [table] if held_out is None else [table, held_out]
    return Material(
        table=table,
        sampler=sampler,
        held_out=held_out,
        hash=sha256_of_value([table_hash(part) for part in tables]),
    )


def sampling_at_test(batch: BatchConfig, *, source: str) -> TestSampling:
    """Which frames stand for a test tracklet, by the archive's source where the setting is "auto"."""
    if batch.test_sampling != "auto":
        return batch.test_sampling
    return "linspace" if source == "bupt-campus" else "chunk-first"


def training_rows(table: TrackletTable, *, auxiliary: bool = False) -> TrackletTable:
    """The rows of known people in the training subset; of a table without subsets, all of known people.

    Raises:
        DataError: There are none.
    """
    wanted = {"train", "auxiliary"} if auxiliary else {"train"}
    if not any(row.subset for row in table):
        wanted = {""}
    rows = [i for i, row in enumerate(table) if row.subset in wanted and row.identity is not None]
    if not rows:
        raise DataError(
            f"there is nothing to train on in {table.root}",
            expected="tracklets of known identity in subset 'train' (or in a table without subsets)",
            got=f"subsets {', '.join(sorted({row.subset or 'none' for row in table}))}",
        )
    return table.take(rows)


def _sampler(table: TrackletTable, config: TrainConfig, *, processes: Processes) -> CrossModalitySampler:
    batch = config.batch
    try:
        return CrossModalitySampler(
            table,
            identities_per_batch=batch.identities,
            clips_per_modality=batch.clips,
            batches_per_epoch=batch.per_epoch,
            seed=config.train.seed,
            paired=batch.paired,
            single_modality=config.archive.single_modality,
            rank=processes.rank,
            world_size=processes.size,
        )
    except (DataError, ConfigError) as error:  # say it in the words of the command line
        words = {"single_modality=skip": "--archive.single_modality skip"}
        words["identities_per_batch"] = "--batch.identities"
        todo = error.todo
        for word, option in words.items():
            todo = todo.replace(word, option)
        raise type(error)(error.what, expected=error.expected, got=error.got, todo=todo) from error


def held_out_identities(table: TrackletTable, *, share: float, seed: int) -> frozenset[str]:
    """Identities drawn to be held out, of those seen in both modalities.

    Raises:
        DataError: The share asks for fewer than two.
    """
    if not share:
        return frozenset()
    seen: dict[str, set[Modality]] = defaultdict(set)
    for row in table:
        if row.identity is not None:
            seen[row.identity].add(row.modality)
    both = sorted(name for name, modalities in seen.items() if len(modalities) == 2)
    count = round(share * len(both))
    if count < 2:
        raise DataError(
            f"holding out {share:g} of {len(both)} identities leaves nothing to evaluate",
            expected="2 held-out identities or more",
            todo="Raise --selection.held_out.",
        )
    order = numpy_generator(seed, "held-out").permutation(len(both))
    return frozenset(both[i] for i in order[:count])
