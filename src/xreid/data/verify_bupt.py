"""The acceptance list of BUPTCampus.

Counts: M3-ReID's manager.py:415-460, NuanceID's check of the real folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from xreid.data.bupt_campus import CAMERAS, LISTS, BuptLists, ListLine, agrees, fake_ir_path
from xreid.data.report import Check, Status, count_check, none_check

_TODO_LISTS = "Download data_paths.json and the lists again."


@dataclass(frozen=True, kw_only=True)
class ListCounts:
    """Published counts of one list.

    Attributes:
        identities: People.
        lines: Lines of the file.
        infrared: Infrared tracklets.
        visible: Visible tracklets.
        infrared_frames: Frames of those.
        visible_frames: Frames of those.
    """

    identities: int
    lines: int
    infrared: int
    visible: int
    infrared_frames: int
    visible_frames: int


def _counts(*values: int) -> ListCounts:
    return ListCounts(**dict(zip(ListCounts.__dataclass_fields__, values, strict=True)))


OFFICIAL = {
    "train": _counts(1_074, 3_574, 3_574, 3_574, 398_069, 398_069),
    "auxiliary": _counts(930, 930, 930, 930, 104_575, 104_575),
    "query": _counts(1_076, 1_076, 536, 540, 53_417, 48_521),
    "gallery": _counts(1_076, 4_844, 2_422, 2_422, 298_771, 298_771),
}
IDENTITIES = 3_080
VISIBLE_FOLDERS = 7_019
PAPER64_VALID = {"I2V": 522, "V2I": 512}
_PAPER_BATCH = 64


def check_bupt(lists: BuptLists, *, official: bool) -> list[Check]:
    """Every check of the lists and folders; frames are opened elsewhere."""
    checks = [
        count_check("identities in data_paths.json", len(lists.paths), IDENTITIES if official else None),
        count_check("visible camera folders", _visible_folders(lists), VISIBLE_FOLDERS if official else None),
    ]
    for subset in LISTS:
        checks += _list_counts(lists, subset, OFFICIAL[subset] if official else None)
    checks += [_absent(lists), _unequal(lists), _misplaced(lists), _twice(lists), *_people(lists)]
    unknown = sorted({line.camera for lines in lists.lines.values() for line in lines} - set(CAMERAS))
    checks.append(
        none_check(
            "cameras beyond the published six",
            unknown,
            warning=not official,
            todo="Check the lists.",
            good=f"none ({', '.join(CAMERAS)})",
        )
    )
    for direction, valid in paper64_valid(lists).items():
        expected = PAPER64_VALID[direction] if official else None
        checks.append(count_check(f"paper64 valid queries {direction}", valid, expected))
    return checks


def listed_frames(lists: BuptLists, *, fake_ir: bool = False) -> list[str]:
    """Every listed frame once, relative to the root; with fake_ir also the twins of the visible ones."""
    frames: dict[str, None] = {}
    for _, _, line, modality in _tracklets(lists):
        for path in lists.frames_of(line, modality):
            frames[f"DATA/{path}"] = None
            if fake_ir and modality == "RGB":
                frames[f"DATA/{fake_ir_path(path)}"] = None
    return list(frames)


def paper64_valid(lists: BuptLists) -> dict[str, int]:
    """Queries that keep a positive when the last n_rgb % 64 visible rows of query and gallery are dropped."""
    query, gallery = (_drop_tail(lists.lines[name]) for name in ("query", "gallery"))
    valid = {}
    for direction, probe, target in (("I2V", "IR", "RGB"), ("V2I", "RGB", "IR")):
        people = {line.identity for line in gallery if line.modalities == (target,)}
        valid[direction] = sum(line.modalities == (probe,) and line.identity in people for line in query)
    return valid


def _drop_tail(lines: list[ListLine]) -> list[ListLine]:
    visible = [i for i, line in enumerate(lines) if line.modalities == ("RGB",)]
    keep = len(visible) - len(visible) % _PAPER_BATCH
    dropped = set(visible[keep:])
    return [line for i, line in enumerate(lines) if i not in dropped]


def _tracklets(lists: BuptLists) -> Iterator[tuple[str, int, ListLine, str]]:
    for subset, lines in lists.lines.items():
        for number, line in enumerate(lines, 1):
            for modality in line.modalities:
                yield subset, number, line, modality


def _place(subset: str, number: int, line: ListLine) -> str:
    return f"{LISTS[subset]}, line {number}: {line.identity} {line.camera} {line.tracklet}"


def _list_counts(lists: BuptLists, subset: str, official: ListCounts | None) -> list[Check]:
    lines = lists.lines[subset]
    tracklets: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for line in lines:
        for modality in line.modalities:
            tracklets[modality] += 1
            frames[modality] += len(lists.frames_of(line, modality))
    found = {
        "identities": len({line.identity for line in lines}),
        "lines": len(lines),
        "infrared": tracklets["IR"],
        "visible": tracklets["RGB"],
        "infrared_frames": frames["IR"],
        "visible_frames": frames["RGB"],
    }
    titles = {"infrared": "infrared tracklets", "visible": "visible tracklets"}
    return [
        count_check(
            f"{subset} {titles.get(name, name.replace('_', ' '))}",
            count,
            None if official is None else int(getattr(official, name)),
        )
        for name, count in found.items()
    ]


def _visible_folders(lists: BuptLists) -> int:
    """(identity, camera) folders under RGB on disk."""
    data = lists.root / "DATA"
    folders = (data / identity / "RGB" for identity in lists.paths)
    return sum(entry.is_dir() for folder in folders if folder.is_dir() for entry in folder.iterdir())


def _absent(lists: BuptLists) -> Check:
    absent = [
        f"{_place(subset, number, line)} has no {modality} frames"
        for subset, number, line, modality in _tracklets(lists)
        if not lists.frames_of(line, modality)
    ]
    return none_check("listed tracklets not in data_paths.json", absent, todo=_TODO_LISTS)


def _unequal(lists: BuptLists) -> Check:
    examples = []
    for subset in ("train", "auxiliary", "gallery"):
        for number, line in enumerate(lists.lines[subset], 1):
            lengths = [len(lists.frames_of(line, modality)) for modality in ("RGB", "IR")]
            if line.modalities[0] == "RGB" and all(lengths) and lengths[0] != lengths[1]:
                examples.append(
                    f"{_place(subset, number, line)} has {lengths[0]} visible, {lengths[1]} infrared frames"
                )
    return none_check(
        "pairs of unequal length",
        examples,
        warning=True,
        todo="Paired sampling uses the frames both have.",
    )


def _misplaced(lists: BuptLists) -> Check:
    examples = []
    for subset, number, line, modality in _tracklets(lists):
        wrong = [path for path in lists.frames_of(line, modality) if not agrees(path, line, modality)]
        if wrong:
            examples.append(
                f"{_place(subset, number, line)}: {len(wrong)} frames lie elsewhere, e.g. {wrong[0]}"
            )
    return Check(
        name="tracklets that mix people",
        status=Status.WARNING if examples else Status.OK,
        found=f"{len(examples):,}" if examples else "none",
        todo="Loaded as they are; strict drops these frames.",
        examples=tuple(examples),
    )


def _twice(lists: BuptLists) -> Check:
    counts = Counter((subset, line, modality) for subset, _, line, modality in _tracklets(lists))
    examples = [
        f"{LISTS[subset]}: {line.identity} {modality} {line.camera} {line.tracklet}"
        for (subset, line, modality), count in counts.items()
        if count > 1
    ]
    return none_check("tracklets listed twice", examples, todo=_TODO_LISTS)


def _people(lists: BuptLists) -> list[Check]:
    people = {subset: {line.identity for line in lines} for subset, lines in lists.lines.items()}
    overlap = [
        f"identity {identity} is in {first} and {second}"
        for first, second in (
            ("train", "auxiliary"),
            ("train", "query"),
            ("train", "gallery"),
            ("auxiliary", "query"),
            ("auxiliary", "gallery"),
        )
        for identity in sorted(people[first] & people[second])
    ]
    unmatched = sorted(people["query"] ^ people["gallery"])
    several = [pid for pid, n in Counter(line.identity for line in lists.lines["query"]).items() if n > 1]
    own = {(line.identity, line.camera) for line in lists.lines["query"]}
    shared = [
        _place("gallery", number, line)
        for number, line in enumerate(lists.lines["gallery"], 1)
        if (line.identity, line.camera) in own
    ]
    return [
        none_check(
            "identities in several sets",
            overlap,
            todo="Scores would be meaningless: remove these people from one of the lists.",
        ),
        none_check("identities in query or gallery only", unmatched, todo=_TODO_LISTS),
        none_check("identities with several queries", several, todo=_TODO_LISTS, warning=True),
        none_check(
            "gallery tracklets of a query's own camera",
            shared,
            warning=True,
            todo="The protocol removes none of them; the official lists have none [inferred].",
        ),
    ]
