"""HITSZ-VCM: the three trees in circulation, their lists, and the tracklet table.

Sources: data set page github.com/VCM-project233/HITSZ-VCM-data and the readers of MITML and M3-ReID.

Trees (all hold `<pid>/{ir,rgb}/D<n>/<frame>.jpg`, pid of four digits):
    A  ROOT/Train, ROOT/Test, lists in ROOT/info
    B  ROOT/<pid> merged, lists in ROOT/info
    C  ROOT/<pid> merged, lists in ROOT
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.names import licence_of, malformed, read_lines

LICENCE = "non-commercial research only (HITSZ-VCM terms)"
DEFAULT_MIN_FRAMES = 12  # every published number depends on this filter, in training and in testing
LIST_NAMES = (
    "train_name.txt",
    "test_name.txt",
    "track_train_info.txt",
    "track_test_info.txt",
    "query_IDX.txt",
)
INFRARED_CODE = 1  # any other code is visible

_MOST_DIGITS = 18
_NAME = re.compile(r"(\d{1,18})M(\d{1,18})D(\d{1,18})T(\d{1,18})F(\d{1,18})\.(\w+)", re.ASCII)
_PERSON_FOLDER = re.compile(r"\d{4,}", re.ASCII)
_log = logging.getLogger(__name__)


class FrameName(NamedTuple):
    """One line of train_name.txt or test_name.txt, e.g. 0001M2D3T1F6.jpg."""

    identity: str
    modality: int
    camera: int
    tracklet: int
    frame: str
    suffix: str

    @property
    def path(self) -> str:
        """Location below the image folder; the tracklet number does not occur in it."""
        folder = "ir" if self.modality == INFRARED_CODE else "rgb"
        return f"{self.identity}/{folder}/D{self.camera}/{self.frame}.{self.suffix}"


class TrackRow(NamedTuple):
    """One line of track_*_info.txt; `start` and `end` are 1-based lines of the name list, inclusive."""

    modality: int
    start: int
    end: int
    identity: int
    camera: int

    def agrees(self, name: FrameName) -> bool:
        """Whether a frame name carries the row's identity, modality and camera."""
        same_modality = (name.modality == INFRARED_CODE) == (self.modality == INFRARED_CODE)
        return same_modality and int(name.identity) == self.identity and name.camera == self.camera


@dataclass(frozen=True, kw_only=True)
class HitszLists:
    """The parsed lists of one archive; ranges are not checked yet.

    Attributes:
        root: The archive.
        tree: "A", "B" or "C".
        info: Folder of the lists.
        names: Frame names by split ("train", "test").
        rows: Tracklet rows by split.
        query: 1-based row numbers of the test rows that are queries, as listed.
    """

    root: Path
    tree: str
    info: Path
    names: dict[str, list[FrameName]]
    rows: dict[str, list[TrackRow]]
    query: list[int]

    def images(self, split: str) -> str:
        """Image folder of a split relative to the root, "" where the splits are merged."""
        return {"train": "Train/", "test": "Test/"}[split] if self.tree == "A" else ""

    def row_file(self, split: str) -> Path:
        """The file a split's tracklet rows came from."""
        return self.info / f"track_{split}_info.txt"

    def range_problem(self, split: str, number: int) -> str:
        """What is wrong with the range of the row at line `number` (1-based), "" where it is sound."""
        row, count = self.rows[split][number - 1], len(self.names[split])
        if row.start > row.end:
            return f"start {row.start} > end {row.end}: a tracklet without frames"
        if row.start < 1 or row.end > count:
            return f"{row.start}..{row.end} leaves the {count} lines of {split}_name.txt"
        return ""

    def frames_of(self, split: str, row: TrackRow, *, strict: bool = False) -> list[FrameName]:
        """The frame names of a row; with strict only those which agree with it."""
        names = self.names[split][row.start - 1 : row.end]
        return [name for name in names if row.agrees(name)] if strict else names


def parse_frame_name(line: str) -> FrameName | None:
    """Decode `0001M2D3T1F6.jpg`; None where the line is no such name."""
    match = _NAME.fullmatch(line)
    if match is None:
        return None
    pid, modality, camera, tracklet, frame, suffix = match.groups()
    return FrameName(pid, int(modality), int(camera), int(tracklet), frame, suffix)


def parse_names(path: Path) -> list[FrameName]:
    """Read train_name.txt or test_name.txt.

    Raises:
        DataError: The file is missing or a line is no frame name (the message names the line).
    """
    names = []
    for number, line in enumerate(read_lines(path, what="name list"), 1):
        name = parse_frame_name(line)
        if name is None:
            raise malformed(path, number, line, expected="a name such as 0001M2D3T1F6.jpg")
        names.append(name)
    return names


def parse_rows(path: Path) -> list[TrackRow]:
    """Read track_train_info.txt or track_test_info.txt.

    Raises:
        DataError: The file is missing or a line is not five integers (the message names the line).
    """
    rows = []
    for number, line in enumerate(read_lines(path, what="tracklet list"), 1):
        fields = line.split()
        if len(fields) != 5 or not all(map(_is_number, fields)):
            raise malformed(path, number, line, expected="five integers: modality start end identity camera")
        rows.append(TrackRow(*map(int, fields)))
    return rows


def parse_query(path: Path) -> list[int]:
    """Read query_IDX.txt: every integer of the file, 1-based, on one line or several.

    Raises:
        DataError: The file is missing or holds something else (the message names the line).
    """
    numbers: list[int] = []
    for number, line in enumerate(read_lines(path, what="query list"), 1):
        fields = line.split()
        if not all(map(_is_number, fields)):
            raise malformed(path, number, line, expected="row numbers separated by blanks")
        numbers += map(int, fields)
    return numbers


def _is_number(field: str) -> bool:
    """Whether a field is a number that a list may hold; Python refuses to read some thousand digits."""
    return field.isascii() and field.isdecimal() and len(field) <= _MOST_DIGITS


def find_info(root: Path) -> Path | None:
    """The folder that holds all five lists with HITSZ-VCM frame names in them, or None.

    The names of the files prove nothing (MARS and MEVID ship the same ones), so a line is decoded.
    """
    for folder in (root / "info", root):
        if all((folder / name).is_file() for name in LIST_NAMES):
            lists = [folder / f"{split}_name.txt" for split in ("train", "test")]
            return folder if any(parse_frame_name(line) for path in lists for line in _head(path)) else None
    return None


def _head(path: Path, *, lines: int = 20) -> list[str]:
    with open(path, encoding="utf-8-sig", errors="replace") as handle:
        return [line.strip() for line in itertools.islice(handle, lines)]


def read_lists(root: Path) -> HitszLists:
    """Parse the five lists and find out which tree it is.

    Raises:
        DataError: A list is missing or malformed, or no image folders are there.
    """
    info = root / "info" if (root / "info").is_dir() else root
    for name in LIST_NAMES:
        if not (info / name).is_file():
            raise DataError(
                f"{root} is no complete HITSZ-VCM archive: {info / name} is missing",
                expected=f"{', '.join(LIST_NAMES)} in {root}/info or {root}",
                todo="Give the folder that holds Train, Test and info.",
            )
    splits = ("train", "test")
    return HitszLists(
        root=root,
        tree=_tree(root, info),
        info=info,
        names={split: parse_names(info / f"{split}_name.txt") for split in splits},
        rows={split: parse_rows(info / f"track_{split}_info.txt") for split in splits},
        query=parse_query(info / "query_IDX.txt"),
    )


def _tree(root: Path, info: Path) -> str:
    present = [name for name in ("Train", "Test") if (root / name).is_dir()]
    if len(present) == 2:
        return "A"
    if present:
        missing = "Test" if present == ["Train"] else "Train"
        raise DataError(
            f"{root / missing} is missing", expected="Train and Test", todo="Unpack that download too."
        )
    if any(_PERSON_FOLDER.fullmatch(entry.name) and entry.is_dir() for entry in root.iterdir()):
        return "B" if info != root else "C"
    raise DataError(
        f"{root} holds the lists of HITSZ-VCM but no images",
        expected="folders Train and Test, or 0001, 0002, ...",
        todo="Unpack the image archives beside the lists.",
    )


def read_hitsz_vcm(
    root: Path, *, min_frames: int = DEFAULT_MIN_FRAMES, strict: bool = False
) -> TrackletTable:
    """The tracklet table of a HITSZ-VCM archive: subsets "train", "query" (query_IDX) and "gallery".

    Args:
        root: The archive, any of the three trees.
        min_frames: Shorter tracklets are left out of all subsets (published numbers: 12).
        strict: Drop frames whose name disagrees with their row. The default loads rows as they are, as all
            published code does (39 rows of the real training list mix people or modalities), and warns.

    Raises:
        DataError: Lists are missing or malformed, or a row or query number is out of range.
    """
    lists = read_lists(root)
    query = _query_rows(lists)
    tracklets: list[Tracklet] = []
    for split in ("train", "test"):
        mixed = 0
        for number, row in enumerate(lists.rows[split], 1):
            problem = lists.range_problem(split, number)
            if problem:
                raise DataError(
                    f"{lists.row_file(split)}, line {number}: {problem}",
                    todo="Run `xreid verify` for the whole list; download the lists again.",
                )
            frames = lists.frames_of(split, row, strict=strict)
            mixed += not strict and not all(map(row.agrees, frames))
            if len(frames) >= max(min_frames, 1):
                subset = "train" if split == "train" else ("query" if number in query else "gallery")
                tracklets.append(_tracklet(f"{split}-{number:05d}", row, subset, frames, lists.images(split)))
        if mixed:
            _log.warning(
                "%s: %d rows hold frames of another person, modality or camera; loaded as they are "
                "(strict drops those frames)",
                lists.row_file(split),
                mixed,
            )
    if not tracklets:
        raise DataError(f"{root} has no tracklet of {min_frames} frames or more", todo="Lower min_frames.")
    return TrackletTable(
        root=root, rows=tuple(tracklets), source="hitsz-vcm", licence=licence_of(root, terms=LICENCE)
    )


def _query_rows(lists: HitszLists) -> set[int]:
    count = len(lists.rows["test"])
    for number in lists.query:
        if not 1 <= number <= count:
            raise DataError(
                f"{lists.info / 'query_IDX.txt'}: query {number} is out of range",
                expected=f"1..{count} (rows of track_test_info.txt)",
                todo="Download the lists again.",
            )
    return set(lists.query)


def _tracklet(name: str, row: TrackRow, subset: str, frames: Sequence[FrameName], images: str) -> Tracklet:
    return Tracklet(
        name=name,
        frames=tuple(images + frame.path for frame in frames),
        modality=Modality.INFRARED if row.modality == INFRARED_CODE else Modality.VISIBLE,
        identity=f"{row.identity:04d}",
        camera=f"D{row.camera}",
        subset=subset,
    )
