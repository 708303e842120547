"""Writers of tiny archives in every layout, independent of the simulator and of the readers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (24, 12)  # (H, W) of the JPEGs


def write_jpeg(path: Path, *, grey: int = 100, size: tuple[int, int] = SIZE) -> None:
    """A smooth image whose brightness is `grey`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(-20, 20, size[0])[:, None] + np.linspace(-10, 10, size[1])[None, :]
    pixels = np.clip(ramp + grey % 200 + 28, 0, 255).astype(np.uint8)
    Image.fromarray(np.stack([pixels, pixels // 2, 255 - pixels], axis=-1)).save(path, quality=95)


def truncate(path: Path, *, keep: float = 0.6) -> None:
    """Cut the end off a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def write_hitsz(
    root: Path,
    *,
    tree: str = "A",
    train_ids: tuple[int, ...] = (1, 2, 3),
    test_ids: tuple[int, ...] = (503, 501),
    cameras: tuple[int, ...] = (1, 12),
    frames: int = 14,
    short_frames: int = 5,
    images: bool = True,
) -> Path:
    """A HITSZ-VCM archive: per identity, camera and modality one long and one short tracklet.

    Frame files are numbered 1, 6, 11, ... without padding. The long tracklets survive the
    12-frame filter. Queries are all infrared test rows.
    """
    info = root if tree == "C" else root / "info"
    info.mkdir(parents=True, exist_ok=True)
    query = []
    for split, ids in (("train", train_ids), ("test", test_ids)):
        names, rows = [], []
        for pid in ids:
            for camera in cameras:
                for code, folder in ((1, "ir"), (2, "rgb")):
                    number = 1
                    for tracklet, count in ((1, frames), (2, short_frames)):
                        start = len(names) + 1
                        for _ in range(count):
                            names.append(f"{pid:04d}M{code}D{camera}T{tracklet}F{number}.jpg")
                            top = {"train": "Train", "test": "Test"}[split] if tree == "A" else "."
                            path = root / top / f"{pid:04d}" / folder / f"D{camera}" / f"{number}.jpg"
                            if images:
                                write_jpeg(path, grey=pid * 7 + number)
                            number += 5
                        rows.append(f"{code} {start} {len(names)} {pid} {camera}")
                        if split == "test" and code == 1:
                            query.append(len(rows))
        (info / f"{split}_name.txt").write_text("\r\n".join(names) + "\r\n")
        (info / f"track_{split}_info.txt").write_text("\n".join(rows) + "\n")
    (info / "query_IDX.txt").write_text(" ".join(map(str, query)) + "\n")
    return root


def write_bupt(root: Path, *, frames: int = 4, images: bool = True, fake: bool = True) -> Path:
    """A BUPTCampus archive: 2 training identities in 2 cameras, 1 auxiliary, 3 test identities.

    Test identities 5 (query RGB), 10 and 7 (query IR); the gallery has pairs of each in another
    camera, and the json unlisted tracklets.
    """
    plan = {
        "train": [("2", "LS3", "1"), ("2", "G25", "1"), ("11", "LS3", "1"), ("11", "CQ1", "2")],
        "auxiliary": [("3", "W4", "1")],
        "test": [(pid, camera, "1") for pid in ("5", "10", "7") for camera in ("TSG1", "TSG2", "LS3")],
    }
    paths: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {}
    for entries in plan.values():
        for pid, camera, tracklet in entries:
            for modality in ("RGB", "IR"):
                listed = [
                    f"{pid}/{modality}/{camera}/{pid}_{modality}_{camera}_{tracklet}_{8535 + i}.jpg"
                    for i in range(frames)
                ]
                paths.setdefault(pid, {}).setdefault(modality, {}).setdefault(camera, {})[tracklet] = listed
                for i, path in enumerate(listed if images else []):
                    write_jpeg(root / "DATA" / path, grey=int(pid) * 9 + i)
                    if fake and modality == "RGB":
                        write_jpeg(
                            root / "DATA" / path.replace("/RGB/", "/FakeIR/"), grey=int(pid) * 9 + i + 3
                        )
    (root / "DATA").mkdir(parents=True, exist_ok=True)
    (root / "data_paths.json").write_text(json.dumps(paths))
    for name, subset in (("train.txt", "train"), ("train_auxiliary.txt", "auxiliary")):
        lines = [f"{pid} RGB/IR {camera} {tracklet}" for pid, camera, tracklet in plan[subset]]
        (root / name).write_text("\n".join(lines) + "\n")
    (root / "query.txt").write_text("5 RGB TSG1 1\n10 IR TSG1 1\n7 IR TSG1 1\n")
    gallery = [f"{pid} {m} TSG2 1" for pid in ("10", "5", "7") for m in ("IR", "RGB")]
    (root / "gallery.txt").write_text("\n".join(gallery) + "\n")
    return root


def write_frames_csv(root: Path, *, images: bool = True) -> Path:
    """An own table `frames.csv`: two identities, both modalities, one tracklet of nobody known."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "frames.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["tracklet", "frame", "identity", "camera", "modality", "time"])
        for person in ("anna", "bert", ""):
            for modality in ("rgb", "ir"):
                for i in (2, 1, 0):  # file order is not time order
                    frame = f"crops/{person or 'unknown'}-{modality}-{i}.jpg"
                    writer.writerow([f"{person}-{modality}", frame, person, "gate", modality, 10 + i])
                    if images:
                        write_jpeg(root / frame, grey=10 * i)
    return root


def write_folders(root: Path) -> Path:
    """A folder tree with all levels, and shorter ones."""
    for modality in ("visible", "thermal"):
        for identity in ("0001", "0002"):
            for camera in ("front", "back"):
                for frame in (1, 2, 10):
                    write_jpeg(root / modality / identity / camera / "a" / f"{frame}.jpg", grey=frame * 5)
        write_jpeg(root / modality / "_" / "front" / "x" / "1.jpg")
        write_jpeg(root / modality / "0003" / "1.jpg")
    return root
