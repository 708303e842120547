"""Identity-balanced cross-modality batches: P identities, K visible and K infrared tracklets of each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xreid.core.errors import ConfigError, DataError
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality, TrackletTable


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What one process loads for one batch.

    Attributes:
        epoch: Counted from 0.
        number: Batch within the epoch, counted from 0.
        rows: Rows of the table, identity-major: for each identity K visible, then K infrared.
        positions: Place of each row in the global batch; names its random streams, so that the draws do not
            depend on the number of processes.
    """

    epoch: int
    number: int
    rows: tuple[int, ...]
    positions: tuple[int, ...]


class CrossModalitySampler:
    """Draws the batches of each epoch as a pure function of (seed, epoch).

    Identities come from shuffled decks of all identities, so that each is seen equally often and never
    twice in a batch. Tracklets are drawn without replacement; where an identity has fewer than K in a
    modality, all of them and then random repeats.

    Args:
        table: Training tracklets; rows without identity are not used.
        identities_per_batch: P, of the global batch.
        clips_per_modality: K.
        batches_per_epoch: Number of batches; None for as many as see each identity's tracklets about once,
            min(visible, infrared) // (P K), as MITML has it.
        seed: Root of all draws.
        paired: Draw visible and infrared tracklets that were recorded at once (BUPTCampus), with the same
            frames and the same augmentation for both.
        single_modality: What to do with identities seen in one modality only: "error" or "skip".
        rank: This process.
        world_size: Number of processes; each takes P / world_size identities of every global batch.

    Raises:
        DataError: Too few identities, or some without one of the modalities.
        ConfigError: P, K or the number of processes do not fit.
    """

    def __init__(
        self,
        table: TrackletTable,
        *,
        identities_per_batch: int,
        clips_per_modality: int,
        seed: int,
        batches_per_epoch: int | None = None,
        paired: bool = False,
        single_modality: Literal["error", "skip"] = "error",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        _require_shape(identities_per_batch, clips_per_modality, batches_per_epoch, rank, world_size)
        self.table, self.seed, self.paired = table, seed, paired
        self.identities_per_batch, self.clips_per_modality = identities_per_batch, clips_per_modality
        self.rank, self.world_size = rank, world_size
        groups = _group(table, paired=paired)
        self.skipped = tuple(name for name, group in groups.items() if not all(group.values()))
        if self.skipped and single_modality == "error":
            raise _one_modality(groups, self.skipped, paired=paired)
        self._groups = [group for name, group in groups.items() if name not in self.skipped]
        self.identities = tuple(name for name in groups if name not in self.skipped)
        self._lengths = _pair_lengths(table, self._groups) if paired else {}
        if len(self.identities) < identities_per_batch:
            raise DataError(
                f"a batch takes {identities_per_batch} identities with both modalities",
                got=f"{len(self.identities)} in {table.root}",
                todo="Lower identities_per_batch, or add identities.",
            )
        if batches_per_epoch is None:
            rarer = min(sum(len(group[m]) for group in self._groups) for m in Modality)
            batches_per_epoch = max(1, rarer // (identities_per_batch * clips_per_modality))
        self.batches_per_epoch = batches_per_epoch

    @property
    def batch_size(self) -> int:
        """Clips this process loads for a batch."""
        return 2 * self.identities_per_batch * self.clips_per_modality // self.world_size

    def batches(self, epoch: int) -> list[BatchPlan]:
        """This process's share of every batch of an epoch."""
        generator = numpy_generator(self.seed, "batches", epoch)
        P, K = self.identities_per_batch, self.clips_per_modality
        mine = P // self.world_size
        share = slice(2 * K * mine * self.rank, 2 * K * mine * (self.rank + 1))
        positions = tuple(range(2 * P * K))[share]
        plans = []
        for number, identities in enumerate(self._decks(generator)):
            rows = [row for identity in identities for row in self._draw(identity, generator)]
            plans.append(BatchPlan(epoch=epoch, number=number, rows=tuple(rows[share]), positions=positions))
        return plans

    def used_rows(self) -> list[int]:
        """Every row that can occur in a batch."""
        return [row for group in self._groups for rows in group.values() for row in rows]

    def stream(self, position: int) -> int:
        """Name of the random stream of a place in the global batch; paired clips share theirs."""
        K = self.clips_per_modality
        return position // (2 * K) * K + position % K if self.paired else position

    def num_frames(self, row: int) -> int:
        """Frames to sample from; of paired tracklets the shorter one counts."""
        return self._lengths.get(row) or len(self.table[row].frames)

    def _decks(self, generator: np.random.Generator) -> list[list[int]]:
        P, deck, batches = self.identities_per_batch, list[int](), list[list[int]]()
        for _ in range(self.batches_per_epoch):
            if len(deck) < P:
                fresh = generator.permutation(len(self.identities)).tolist()
                held = set(deck)
                # The rest of the old deck goes first; its members wait at the end of the new one.
                deck += [i for i in fresh if i not in held] + [i for i in fresh if i in held]
            batches.append(deck[:P])
            deck = deck[P:]
        return batches

    def _draw(self, identity: int, generator: np.random.Generator) -> list[int]:
        group, K = self._groups[identity], self.clips_per_modality
        if self.paired:
            visible, infrared = group[Modality.VISIBLE], group[Modality.INFRARED]
            picks = _pick(len(visible), K, generator)
            return [visible[i] for i in picks] + [infrared[i] for i in picks]
        return [
            group[modality][i]
            for modality in (Modality.VISIBLE, Modality.INFRARED)
            for i in _pick(len(group[modality]), K, generator)
        ]


def _group(table: TrackletTable, *, paired: bool) -> dict[str, dict[Modality, list[int]]]:
    """Rows by identity (sorted) and modality; if paired, complete pairs only, in the same order in both."""
    groups: dict[str, dict[Modality, list[int]]] = {
        name: {modality: [] for modality in Modality} for name in table.identities()
    }
    if not paired:
        for i, row in enumerate(table):
            if row.identity is not None:
                groups[row.identity][row.modality].append(i)
        return groups
    pairs: dict[tuple[str, str, str], dict[Modality, int]] = defaultdict(dict)
    for i, row in enumerate(table):
        if row.identity is not None and row.pair is not None:
            pairs[row.identity, row.subset, row.pair][row.modality] = i
    for (name, _, _), rows in pairs.items():
        if len(rows) == 2:
            for modality, i in rows.items():
                groups[name][modality].append(i)
    return groups


def _pair_lengths(table: TrackletTable, groups: list[dict[Modality, list[int]]]) -> dict[int, int]:
    """Frames of the shorter tracklet of each pair, for both rows."""
    lengths: dict[int, int] = {}
    for group in groups:
        for pair in zip(group[Modality.VISIBLE], group[Modality.INFRARED], strict=True):
            lengths.update(dict.fromkeys(pair, min(len(table[row].frames) for row in pair)))
    return lengths


def _pick(count: int, K: int, generator: np.random.Generator) -> list[int]:
    picks: list[int] = generator.permutation(count)[:K].tolist()
    return picks + generator.integers(count, size=K - len(picks)).tolist()


def _one_modality(
    groups: dict[str, dict[Modality, list[int]]], names: tuple[str, ...], *, paired: bool
) -> DataError:
    some = []
    for name in names[:5]:
        here = [modality.value for modality, rows in groups[name].items() if rows]
        some.append(f"{name} ({'only ' + here[0] if here else 'no pair'})")
    what = "pairs of visible and infrared tracklets" if paired else "visible and infrared tracklets"
    more = ", ..." if len(names) > 5 else ""
    return DataError(
        f"{len(names)} of {len(groups)} identities cannot make cross-modality batches",
        expected=f"{what} of every identity",
        got=", ".join(some) + more,
        todo="Leave these identities out (single_modality=skip), or add the missing tracklets.",
    )


def _require_shape(P: int, K: int, batches: int | None, rank: int, world_size: int) -> None:
    if P < 1 or K < 1 or (batches is not None and batches < 1):
        raise ConfigError(
            "the batch shape is wrong",
            expected="identities, clips and batches >= 1",
            got=f"{P} identities, {K} clips per modality, {batches} batches",
        )
    if world_size < 1 or not 0 <= rank < world_size or P % world_size:
        raise ConfigError(
            f"{P} identities a batch cannot be shared by {world_size} processes (rank {rank})",
            expected="a multiple of the number of processes",
            todo="Change identities_per_batch or the number of processes.",
        )
