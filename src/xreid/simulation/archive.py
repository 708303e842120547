"""Where frames and lists go in each of the two archives (formats: the archives' own readers)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xreid.core.files import atomic_file, write_json
from xreid.core.seeding import numpy_generator
from xreid.core.tracklets import Modality
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import PlannedWalk

CUT = 24  # HITSZ-VCM cuts long tracks into tracklets of 24 frames
STEP = 5  # and keeps every fifth frame
BUPT_FOLDERS = {"rgb": "RGB", "ir": "IR", "fake": "FakeIR"}


def folders(config: SimulationConfig, walk: PlannedWalk) -> dict[str, str]:
    """Folder of each kind of frame ("rgb", "ir", "fake") of a walk, relative to the archive."""
    if config.layout == "hitsz-vcm":
        split = "Train" if walk.split == "train" else "Test"
        kind = _kind(walk.modalities[0])
        return {kind: f"{split}/{walk.identity}/{kind}/{walk.camera}"}
    return {kind: f"DATA/{walk.identity}/{name}/{walk.camera}" for kind, name in BUPT_FOLDERS.items()}


def frame_names(config: SimulationConfig, walk: PlannedWalk, kind: str) -> list[str]:
    """File names of a walk's frames; FakeIR files keep RGB in theirs, as in BUPTCampus."""
    if config.layout == "hitsz-vcm":
        return [f"{walk.first_frame + STEP * i}.jpg" for i in range(walk.frames)]
    label = "IR" if kind == "ir" else "RGB"
    stem = f"{walk.identity}_{label}_{walk.camera}_1"
    return [f"{stem}_{walk.first_frame + i}.jpg" for i in range(walk.frames)]


def write_lists(config: SimulationConfig, walks: Sequence[PlannedWalk], out: Path) -> None:
    """Write the lists that belong to the frames; called last, so that an archive with lists is whole."""
    if config.layout == "hitsz-vcm":
        for split in ("train", "test"):
            _write_hitsz(split, [walk for walk in walks if walk.split == split], out / "info")
    else:
        _write_bupt(config, walks, out)


def _kind(modality: Modality) -> str:
    return "ir" if modality is Modality.INFRARED else "rgb"


def _write_hitsz(split: str, walks: Sequence[PlannedWalk], info: Path) -> None:
    names: list[str] = []
    rows: list[str] = []
    queries: list[int] = []
    for walk in walks:
        number = 1 if walk.modalities[0] is Modality.INFRARED else 2
        for track, start in enumerate(range(0, walk.frames, CUT), start=1):
            first = len(names) + 1
            for i in range(start, min(start + CUT, walk.frames)):
                frame = walk.first_frame + STEP * i
                names.append(f"{walk.identity}M{number}{walk.camera}T{track}F{frame}.jpg")
            rows.append(f"{number} {first} {len(names)} {int(walk.identity)} {walk.camera[1:]}")
            if number == 1:
                queries.append(len(rows))
    _write_lines(info / f"{split}_name.txt", names)
    _write_lines(info / f"track_{split}_info.txt", rows)
    if split == "test":
        _write_lines(info / "query_IDX.txt", [" ".join(map(str, queries))])


def _write_bupt(config: SimulationConfig, walks: Sequence[PlannedWalk], out: Path) -> None:
    paths: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {}
    lines: dict[str, list[str]] = {"train": [], "train_auxiliary": [], "query": [], "gallery": []}
    queried: dict[str, tuple[str, str]] = {}  # identity -> (camera, modality) of its query
    for walk in walks:
        person = paths.setdefault(walk.identity, {"RGB": {}, "IR": {}})
        for kind in ("rgb", "ir"):
            folder = f"{walk.identity}/{BUPT_FOLDERS[kind]}/{walk.camera}"
            frames = [f"{folder}/{name}" for name in frame_names(config, walk, kind)]
            person[BUPT_FOLDERS[kind]][walk.camera] = {"1": frames}
        if walk.split != "test":
            name = "train" if walk.split == "train" else "train_auxiliary"
            lines[name].append(f"{walk.identity} RGB/IR {walk.camera} 1")
            continue
        if walk.identity not in queried:
            rng = numpy_generator(config.seed, "query", walk.person)
            cameras = [w.camera for w in walks if w.identity == walk.identity]
            queried[walk.identity] = (str(rng.choice(cameras)), ("RGB", "IR")[len(queried) % 2])
        camera, modality = queried[walk.identity]
        if walk.camera == camera:
            lines["query"].append(f"{walk.identity} {modality} {camera} 1")
        else:
            lines["gallery"] += [f"{walk.identity} {name} {walk.camera} 1" for name in ("RGB", "IR")]
    write_json(out / "data_paths.json", paths)
    for name, content in lines.items():
        _write_lines(out / f"{name}.txt", content)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
