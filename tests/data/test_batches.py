"""Cross-modality batches: shape, balance, seeds, processes, and people that cannot be batched."""

from collections import Counter
from pathlib import Path

import pytest

from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.batches import BatchPlan, CrossModalitySampler

VIS, IR = Modality.VISIBLE, Modality.INFRARED


def make_table(counts: dict[str, tuple[int, int]], *, paired: bool = False) -> TrackletTable:
    """Identity -> (visible, infrared) tracklets, interleaved."""
    rows = [
        Tracklet(
            name=f"{identity}-{modality.value}-{i}",
            frames=("x.jpg",) * (3 + i),
            modality=modality,
            identity=identity,
            subset="train",
            pair=f"{identity}/{i}" if paired else None,
        )
        for identity, numbers in counts.items()
        for modality, count in zip((VIS, IR), numbers, strict=True)
        for i in range(count)
    ]
    return TrackletTable(root=Path("nowhere"), rows=tuple(rows[::2] + rows[1::2]))


def make_sampler(table: TrackletTable, **options: object) -> CrossModalitySampler:
    return CrossModalitySampler(
        table,
        **{
            "identities_per_batch": 4,
            "clips_per_modality": 2,
            "batches_per_epoch": 50,
            "seed": 7,
            **options,
        },  # type: ignore[arg-type]
    )


TABLE = make_table({f"{i:04d}": (2 + i % 4, 1 + i % 3) for i in range(10)})


def test_order_and_balance_of_every_batch() -> None:
    for number, plan in enumerate(make_sampler(TABLE).batches(0)):
        assert (plan.epoch, plan.number, len(plan.rows)) == (0, number, 16)
        assert plan.positions == tuple(range(16))
        rows = [TABLE[i] for i in plan.rows]
        people = [row.identity for row in rows]
        assert people == [p for p in people[::4] for _ in range(4)]
        assert len(set(people)) == 4
        assert [row.modality for row in rows] == [VIS, VIS, IR, IR] * 4


def test_identities_come_up_equally_often() -> None:
    plans = make_sampler(TABLE, batches_per_epoch=50).batches(3)
    counts = Counter(TABLE[i].identity for plan in plans for i in plan.rows[::4])
    assert len(counts) == 10
    assert max(counts.values()) - min(counts.values()) <= 1


def test_tracklets_repeat_only_where_there_are_too_few() -> None:
    seen: set[int] = set()
    for plan in make_sampler(TABLE, clips_per_modality=3, batches_per_epoch=100).batches(0):
        for start in range(0, len(plan.rows), 3):
            rows = plan.rows[start : start + 3]
            first = TABLE[rows[0]]
            owned = [r for r in TABLE if (r.identity, r.modality) == (first.identity, first.modality)]
            assert len(set(rows)) == min(3, len(owned))
            seen |= set(rows)
    assert seen == set(range(len(TABLE)))


def test_epochs_differ_and_are_functions_of_the_seed() -> None:
    first, again, other = make_sampler(TABLE), make_sampler(TABLE), make_sampler(TABLE, seed=8)
    assert first.batches(5) == again.batches(5)  # whatever was drawn before
    assert first.batches(0) == again.batches(0)
    rows = [[plan.rows for plan in plans] for plans in (first.batches(0), first.batches(1), other.batches(0))]
    assert rows[0] != rows[1]
    assert rows[0] != rows[2]


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_the_global_batch(world_size: int) -> None:
    whole = make_sampler(TABLE).batches(2)
    parts = [make_sampler(TABLE, rank=r, world_size=world_size) for r in range(world_size)]
    assert {part.batch_size for part in parts} == {16 // world_size}
    for plan, *shares in zip(whole, *(part.batches(2) for part in parts), strict=True):
        assert sum((share.rows for share in shares), ()) == plan.rows
        assert sum((share.positions for share in shares), ()) == plan.positions


def test_default_number_of_batches_is_mitmls() -> None:
    table = make_table({f"{i}": (10, 6) for i in range(8)})
    assert make_sampler(table, batches_per_epoch=None).batches_per_epoch == 48 // 8


def test_pairs_stay_together() -> None:
    table = make_table({f"{i}": (3, 3) for i in range(6)}, paired=True)
    sampler = make_sampler(table, paired=True)
    for plan in sampler.batches(0):
        for start in range(0, 16, 4):
            visible, infrared = plan.rows[start : start + 2], plan.rows[start + 2 : start + 4]
            assert [table[i].pair for i in visible] == [table[i].pair for i in infrared]
            streams = [sampler.stream(p) for p in plan.positions[start : start + 4]]
            assert streams[:2] == streams[2:]
    assert len({sampler.stream(p) for p in range(16)}) == 8
    assert len({make_sampler(TABLE).stream(p) for p in range(16)}) == 16


def test_pairs_of_unequal_length_use_the_shorter() -> None:
    table = TrackletTable(
        root=Path("x"),
        rows=tuple(
            Tracklet(name=f"{p}{m}", frames=("f",) * n, modality=m, identity=p, pair=p)
            for p in "ab"
            for m, n in ((VIS, 9), (IR, 5))
        ),
    )
    sampler = make_sampler(table, paired=True, identities_per_batch=2, clips_per_modality=1)
    assert [sampler.num_frames(i) for i in range(4)] == [5, 5, 5, 5]
    unpaired = make_sampler(table, identities_per_batch=2, clips_per_modality=1)
    assert [unpaired.num_frames(i) for i in range(4)] == [9, 5, 9, 5]


def test_identity_in_one_modality_only() -> None:
    table = make_table({"a": (2, 2), "b": (3, 0), "c": (0, 1), "d": (1, 1), "e": (1, 1), "f": (1, 1)})
    with pytest.raises(DataError, match=r"2 of 6 identities .* got b \(only vis\), c \(only ir\)") as caught:
        make_sampler(table)
    assert "single_modality=skip" in str(caught.value)
    sampler = make_sampler(table, single_modality="skip")
    assert sampler.skipped == ("b", "c")
    assert sampler.identities == ("a", "d", "e", "f")
    used = {table[i].identity for plan in sampler.batches(0) for i in plan.rows}
    assert used == {"a", "d", "e", "f"}


def test_unpaired_identity_in_paired_batches() -> None:
    with pytest.raises(DataError, match="no pair"):
        make_sampler(TABLE, paired=True)


def test_one_identity_only() -> None:
    with pytest.raises(DataError, match=r"a batch takes 4 identities with both modalities; got 1"):
        make_sampler(make_table({"a": (5, 5)}))


def test_unknown_people_are_left_out() -> None:
    rows = (*TABLE.rows, Tracklet(name="nobody", frames=("x",), modality=VIS))
    sampler = make_sampler(TrackletTable(root=Path("x"), rows=rows))
    assert len(TABLE) not in {i for plan in sampler.batches(0) for i in plan.rows}
    assert sorted(sampler.used_rows()) == list(range(len(TABLE)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"identities_per_batch": 0},
        {"clips_per_modality": 0},
        {"batches_per_epoch": 0},
        {"world_size": 3},
        {"rank": 2, "world_size": 2},
    ],
)
def test_shapes_that_do_not_fit(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        make_sampler(TABLE, **wrong)


def test_plans_are_values() -> None:
    plan = BatchPlan(epoch=0, number=0, rows=(1,), positions=(0,))
    assert plan == BatchPlan(epoch=0, number=0, rows=(1,), positions=(0,))
