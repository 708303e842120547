"""The acceptance list of HITSZ-VCM.

Counts: MITML's abstract, M3-ReID's manager.py:91-132, X-ReID's vcm.py, NuanceID's check of the real folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from xreid.data.hitsz_vcm import DEFAULT_MIN_FRAMES, INFRARED_CODE, HitszLists, TrackRow
from xreid.data.report import Check, Status, count_check, none_check

_TODO_LISTS = "Download the info files again."


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """Published counts of one split.

    Attributes:
        identities: People.
        rows: Tracklets before the filter.
        infrared_rows: Infrared tracklets before the filter.
        names: Frames listed.
        kept_infrared: Infrared tracklets of 12 frames or more.
        kept_visible: Visible tracklets of 12 frames or more.
        kept_infrared_frames: Their frames.
        kept_visible_frames: Their frames.
        infrared_folders: (identity, camera) folders under ir.
        visible_folders: (identity, camera) folders under rgb.
    """

    identities: int
    rows: int
    infrared_rows: int
    names: int
    kept_infrared: int
    kept_visible: int
    kept_infrared_frames: int
    kept_visible_frames: int
    infrared_folders: int
    visible_folders: int


OFFICIAL = {
    "train": SplitCounts(
        identities=500,
        rows=11_061,
        infrared_rows=4_919,
        names=232_496,
        kept_infrared=4_291,
        kept_visible=5_460,
        kept_infrared_frames=98_214,
        kept_visible_frames=126_543,
        infrared_folders=1_476,
        visible_folders=1_485,
    ),
    "test": SplitCounts(
        identities=427,
        rows=10_802,
        infrared_rows=5_159,
        names=230_763,
        kept_infrared=4_584,
        kept_visible=5_099,
        kept_infrared_frames=105_979,
        kept_visible_frames=118_137,
        infrared_folders=1_261,
        visible_folders=1_261,
    ),
}
QUERIES = 5_159
CAMERAS = 12
MIXED_TRAIN_ROWS, MIXED_TRAIN_FRAMES = 39, 745  # SALT-VI's audit of the real files


def check_hitsz(lists: HitszLists, *, official: bool) -> list[Check]:
    """Every check of the lists and folders; frames are opened elsewhere."""
    checks: list[Check] = []
    for split in ("train", "test"):
        bad = [
            f"{lists.row_file(split)}, line {number}: {problem}"
            for number in range(1, len(lists.rows[split]) + 1)
            if (problem := lists.range_problem(split, number))
        ]
        checks.append(none_check(f"{split} rows out of range", bad, todo=_TODO_LISTS))
        checks += _counts(lists, split, OFFICIAL[split] if official else None)
        checks.append(_mixed(lists, split, official=official))
        checks.append(_same_file(lists, split))
    checks += _query(lists, official=official)
    checks += _people(lists)
    checks.append(_cameras(lists, official=official))
    return checks


def listed_frames(lists: HitszLists) -> list[str]:
    """Every listed frame once, relative to the root."""
    return list(
        dict.fromkeys(
            lists.images(split) + name.path for split in ("train", "test") for name in lists.names[split]
        )
    )


def _sound(lists: HitszLists, split: str) -> Iterator[TrackRow]:
    for number, row in enumerate(lists.rows[split], 1):
        if not lists.range_problem(split, number):
            yield row


def _counts(lists: HitszLists, split: str, official: SplitCounts | None) -> list[Check]:
    rows = list(_sound(lists, split))
    kept: Counter[bool] = Counter()
    frames: Counter[bool] = Counter()
    for row in rows:
        length, is_infrared = row.end - row.start + 1, row.modality == INFRARED_CODE
        if length >= DEFAULT_MIN_FRAMES:
            kept[is_infrared] += 1
            frames[is_infrared] += length
    folders = _folders(lists, split)
    infrared = sum(row.modality == INFRARED_CODE for row in rows)

    def line(name: str, found: int, field: str, *, inferred: bool = False) -> Check:
        expected = None if official is None else int(getattr(official, field))
        return count_check(f"{split} {name}", found, expected, inferred=inferred)

    long = f"of {DEFAULT_MIN_FRAMES}+ frames"
    return [
        line("identities", len({row.identity for row in rows}), "identities"),
        line("tracklets", len(lists.rows[split]), "rows"),
        line("infrared tracklets", infrared, "infrared_rows", inferred=split == "train"),
        line("frame names", len(lists.names[split]), "names"),
        line(f"infrared tracklets {long}", kept[True], "kept_infrared"),
        line(f"visible tracklets {long}", kept[False], "kept_visible"),
        line("infrared frames of those", frames[True], "kept_infrared_frames"),
        line("visible frames of those", frames[False], "kept_visible_frames"),
        line("infrared camera folders", folders["ir"], "infrared_folders"),
        line("visible camera folders", folders["rgb"], "visible_folders"),
    ]


def _folders(lists: HitszLists, split: str) -> Counter[str]:
    """Camera folders on disk of the people of a split, by modality."""
    top = lists.root / lists.images(split)
    counts: Counter[str] = Counter()
    for identity in {name.identity for name in lists.names[split]}:
        for modality in ("ir", "rgb"):
            folder = top / identity / modality
            counts[modality] += sum(entry.is_dir() for entry in folder.iterdir()) if folder.is_dir() else 0
    return counts


def _mixed(lists: HitszLists, split: str, *, official: bool) -> Check:
    examples, frames = [], 0
    for number, row in enumerate(lists.rows[split], 1):
        if lists.range_problem(split, number):
            continue
        wrong = sum(not row.agrees(name) for name in lists.frames_of(split, row))
        if wrong:
            frames += wrong
            length = row.end - row.start + 1
            examples.append(
                f"{lists.row_file(split).name}, line {number}: {wrong} of {length} frames are not of "
                f"identity {row.identity:04d}, D{row.camera}, modality {row.modality}"
            )
    known = f"{MIXED_TRAIN_ROWS} rows, {MIXED_TRAIN_FRAMES} frames" if official and split == "train" else ""
    return Check(
        name=f"{split} rows that mix people",
        status=Status.WARNING if examples else Status.OK,
        expected=known,
        found=f"{len(examples):,} rows, {frames:,} frames" if examples else "none",
        todo="Loaded as they are, as all published code does; strict drops these frames.",
        examples=tuple(examples),
    )


def _same_file(lists: HitszLists, split: str) -> Check:
    counts = Counter(name.path for name in lists.names[split])
    twice = [f"{path} is named {count} times" for path, count in counts.items() if count > 1]
    return none_check(
        f"{split} names of one and the same file",
        twice,
        warning=True,
        todo="Tracklet numbers do not occur in paths, so frame numbers must be unique in a camera; "
        + _TODO_LISTS,
    )


def _query(lists: HitszLists, *, official: bool) -> list[Check]:
    rows = lists.rows["test"]
    outside = [f"query {number}" for number in lists.query if not 1 <= number <= len(rows)]
    query = {number for number in lists.query if 1 <= number <= len(rows)}
    twice = [f"query {number}" for number, count in Counter(lists.query).items() if count > 1]
    visible = [
        f"row {number} is visible" for number in sorted(query) if rows[number - 1].modality != INFRARED_CODE
    ]
    left = [
        f"row {number} is infrared"
        for number, row in enumerate(rows, 1)
        if number not in query and row.modality == INFRARED_CODE
    ]
    return [
        count_check("query rows", len(lists.query), QUERIES if official else None),
        none_check("query numbers out of range", outside, todo=_TODO_LISTS),
        none_check("query numbers given twice", twice, todo=_TODO_LISTS),
        none_check("query rows that are not infrared", visible, todo=_TODO_LISTS),
        none_check("gallery rows that are not visible", left, todo=_TODO_LISTS),
    ]


def _people(lists: HitszLists) -> list[Check]:
    people = {split: {row.identity for row in _sound(lists, split)} for split in ("train", "test")}
    both = sorted(people["train"] & people["test"])
    seen: dict[int, set[bool]] = {}
    for row in _sound(lists, "train"):
        if row.end - row.start + 1 >= DEFAULT_MIN_FRAMES:
            seen.setdefault(row.identity, set()).add(row.modality == INFRARED_CODE)
    single = [f"identity {pid:04d}" for pid, kinds in sorted(seen.items()) if len(kinds) < 2]
    return [
        none_check(
            "identities in training and test",
            [f"identity {pid:04d}" for pid in both],
            todo="Scores would be meaningless: remove these people from one of the lists.",
        ),
        none_check(
            "training identities in one modality",
            single,
            warning=True,
            todo="They cannot make cross-modality batches: train with single_modality=skip.",
        ),
    ]


def _cameras(lists: HitszLists, *, official: bool) -> Check:
    found = sorted({row.camera for split in ("train", "test") for row in _sound(lists, split)})
    expected = list(range(1, CAMERAS + 1))
    return Check(
        name="cameras",
        status=Status.PROBLEM if official and found != expected else Status.OK,
        expected=f"D1..D{CAMERAS}" if official else "",
        found=", ".join(f"D{number}" for number in found),
        todo=_TODO_LISTS,
    )


def describe(lists: HitszLists) -> str:
    """The layout for the head of a report."""
    where = {"A": "Train, Test and info", "B": "merged folders and info", "C": "merged folders and lists"}
    return f"HITSZ-VCM, tree {lists.tree} ({where[lists.tree]})"
