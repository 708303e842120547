"""Own data as folders: [SUBSET/]MODALITY[/IDENTITY[/CAMERA[/TRACKLET]]]/*.jpg.

Levels are read from the left; each folder that holds images is one tracklet. A level named "_" is unknown:
`ir/_/gate/0007/*.jpg` is an infrared tracklet of camera "gate" and nobody known.
"""

from __future__ import annotations

import os
from pathlib import Path

from xreid.core.errors import DataError
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.data.names import (
    IMAGE_SUFFIXES,
    SUBSETS,
    entries_of,
    licence_of,
    modality_of,
    modality_words,
    natural_key,
)

UNKNOWN = "_"
LAYOUT = "[SUBSET/]MODALITY[/IDENTITY[/CAMERA[/TRACKLET]]]/*.jpg"


def looks_like_folders(root: Path) -> bool:
    """Whether every visible folder below `root` is a modality, or a subset made of modalities."""
    folders = _folders(root)
    return bool(folders) and all(
        modality_of(folder.name) is not None
        or (folder.name in SUBSETS and any(modality_of(inner.name) for inner in _folders(folder)))
        for folder in folders
    )


def read_folders(root: Path, *, min_frames: int = 1) -> TrackletTable:
    """The tracklet table of a folder tree; frames in natural order of their names.

    Raises:
        DataError: A folder is no modality, lies too deep, or no images are there.
    """
    tracklets = []
    for folder, inner, files in os.walk(root):
        inner[:] = sorted((name for name in inner if not name.startswith(".")), key=natural_key)
        images = [name for name in files if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        images = sorted((name for name in images if not name.startswith(".")), key=natural_key)
        if len(images) >= max(min_frames, 1):
            tracklets.append(_tracklet(root, Path(folder).relative_to(root), images))
    if not tracklets:
        raise DataError(
            f"{root} has no folder with {max(min_frames, 1)} images or more",
            expected=LAYOUT,
            got=entries_of(root),
            todo="Check the path.",
        )
    return TrackletTable(
        root=root, rows=tuple(tracklets), source="folder", licence=licence_of(root, terms="own data")
    )


def _tracklet(root: Path, folder: Path, images: list[str]) -> Tracklet:
    levels = list(folder.parts)
    subset = levels.pop(0) if levels and levels[0] in SUBSETS else ""
    modality = modality_of(levels[0]) if levels else None
    if modality is None or len(levels) > 4:
        raise DataError(
            f"images in {root / folder} do not fit the folder layout",
            expected=f"{LAYOUT} with MODALITY one of {modality_words()}",
            todo="Move the folder, or describe the data in a table (docs/data.md).",
        )
    identity, camera = (*(None if level == UNKNOWN else level for level in levels[1:3]), None, None)[:2]
    return Tracklet(
        name=folder.as_posix(),
        frames=tuple((folder / name).as_posix() for name in images),
        modality=modality,
        identity=identity,
        camera=camera,
        subset=subset,
    )


def _folders(root: Path) -> list[Path]:
    return [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
