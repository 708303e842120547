"""An archive with the published counts passes the official verification, and one off by one does not.

The lists are made up here, frames are not: the counts alone are checked.
"""

import json
from pathlib import Path

import pytest

from xreid.data import open_archive
from xreid.data.hitsz_vcm import read_lists
from xreid.data.report import Status
from xreid.data.verify import verify_archive
from xreid.data.verify_hitsz import check_hitsz


def spread(total: int, parts: int) -> list[int]:
    """`parts` near-equal integers that add up to `total`."""
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


def write_official_hitsz(root: Path) -> Path:
    """Lists and camera folders of HITSZ-VCM's published size."""
    plan = {
        # ids, {code: (kept rows, their frames, short rows)}, frames of all short rows, camera folders
        "train": (range(1, 501), {1: (4291, 98_214, 628), 2: (5460, 126_543, 682)}, 7_739, (1476, 1485)),
        "test": (range(501, 928), {1: (4584, 105_979, 575), 2: (5099, 118_137, 544)}, 6_647, (1261, 1261)),
    }
    (root / "info").mkdir(parents=True)
    query = []
    for split, (ids, kinds, short_frames, folders) in plan.items():
        names, rows, frame = [], [], 0
        short = iter(spread(short_frames, sum(kind[2] for kind in kinds.values())))
        for code, (kept, frames, extra) in kinds.items():
            lengths = spread(frames, kept) + [next(short) for _ in range(extra)]
            for i, length in enumerate(lengths):
                pid, camera = ids[i % len(ids)], 1 + i % 12
                start = len(names) + 1
                for _ in range(length):
                    frame += 5
                    names.append(f"{pid:04d}M{code}D{camera}T1F{frame}.jpg")
                rows.append(f"{code} {start} {len(names)} {pid} {camera}")
                if split == "test" and code == 1:
                    query.append(len(rows))
        (root / "info" / f"{split}_name.txt").write_text("\n".join(names))
        (root / "info" / f"track_{split}_info.txt").write_text("\n".join(rows))
        for modality, count in zip(("ir", "rgb"), folders, strict=True):
            for i in range(count):
                folder = f"{ids[i % len(ids)]:04d}/{modality}/D{1 + i // len(ids)}"
                (root / split.capitalize() / folder).mkdir(parents=True)
    (root / "info" / "query_IDX.txt").write_text(" ".join(map(str, query)))
    return root


def write_official_bupt(root: Path) -> Path:
    """Lists, path index and camera folders of BUPTCampus' published size."""
    cameras = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")
    people = [str(i + 1) for i in range(3080)]
    sets = {"train": people[:1074], "auxiliary": people[1074:2004], "test": people[2004:]}
    paths: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {}

    def add(pid: str, modality: str, camera: str, tracklet: int, length: int) -> None:
        frames = [f"{pid}/{modality}/{camera}/{i}.jpg" for i in range(length)]
        paths.setdefault(pid, {}).setdefault(modality, {}).setdefault(camera, {})[str(tracklet)] = frames

    lines: dict[str, list[str]] = {"train": [], "auxiliary": [], "query": [], "gallery": []}
    for subset, frames, count in (("train", 398_069, 3574), ("auxiliary", 104_575, 930)):
        for i, length in enumerate(spread(frames, count)):
            pid, tracklet = sets[subset][i % len(sets[subset])], i // len(sets[subset])
            camera = cameras[(i + tracklet) % 6 if subset == "train" else i % 6]
            lines[subset].append(f"{pid} RGB/IR {camera} {tracklet}")
            for modality in ("RGB", "IR"):
                add(pid, modality, camera, tracklet, length)
    lengths = {"IR": iter(spread(53_417, 536)), "RGB": iter(spread(48_521, 540))}
    for i, pid in enumerate(sets["test"]):
        modality = "IR" if i < 536 else "RGB"
        lines["query"].append(f"{pid} {modality} LS3 1")
        add(pid, modality, "LS3", 1, next(lengths[modality]))
    # The 54 visible tail rows dropped by paper64 hold all visible ones of the first 14 infrared queries.
    pairs = spread(298_771, 2422)
    order = [*range(14, 1076), *range(14, 1076), *range(14, 298), *range(14)]
    for i, (place, length) in enumerate(zip(order, pairs, strict=True)):
        pid, camera = sets["test"][place], cameras[1 + i % 5]
        for modality in ("RGB", "IR"):
            lines["gallery"].append(f"{pid} {modality} {camera} {i}")
            add(pid, modality, camera, i, length)
    (root / "DATA").mkdir(parents=True)
    (root / "data_paths.json").write_text(json.dumps(paths))
    names = {"auxiliary": "train_auxiliary"}
    for subset, entries in lines.items():
        (root / f"{names.get(subset, subset)}.txt").write_text("\n".join(entries))
    for i in range(7019):
        (root / "DATA" / people[i % 3080] / "RGB" / cameras[i // 3080]).mkdir(parents=True)
    return root


def test_hitsz_of_official_size(tmp_path: Path) -> None:
    root = write_official_hitsz(tmp_path / "archive")
    lists = read_lists(root)
    assert {check.status for check in check_hitsz(lists, official=True)} == {Status.OK}
    lists.rows["train"].pop()  # a short one
    off_by_one = [check for check in check_hitsz(lists, official=True) if check.status is not Status.OK]
    assert [(check.name, check.status) for check in off_by_one] == [("train tracklets", Status.PROBLEM)]
    table = open_archive(root)
    assert [len(table.subset(s)) for s in ("train", "query", "gallery")] == [9_751, 4_584, 5_099]


@pytest.mark.slow
def test_bupt_of_official_size(tmp_path: Path) -> None:
    root = write_official_bupt(tmp_path / "archive")
    report = verify_archive(root, frames="skip")
    assert report.counts == "official"
    assert not report.problems, report.lines()
    assert not report.warnings, report.lines()
    table = open_archive(root)
    assert [len(table.subset(s)) for s in ("train", "auxiliary", "query", "gallery")] == [
        7_148,
        1_860,
        1_076,
        4_844,
    ]
    with open(root / "query.txt", "a") as handle:
        handle.write("\n2006 IR W4 1")
    problems = {check.name for check in verify_archive(root, frames="skip").problems}
    assert {"query lines", "query infrared tracklets", "listed tracklets not in data_paths.json"} <= problems
