"""BUPTCampus: paired visible and infrared tracklets, an auxiliary set, and synthetic infrared (FakeIR).

Source: github.com/dyhBUPT/BUPTCampus (README, dataloader.py, utils.py).
Tree: ROOT/DATA/<pid>/{RGB,IR,FakeIR}/<CAM>/*.jpg, and in ROOT data_paths.json, train.txt,
train_auxiliary.txt, query.txt, gallery.txt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.names import licence_of, malformed, read_lines

LICENCE = "BUPTCampus terms (academic use, no redistribution)"
CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")
LISTS = {
    "train": "train.txt",
    "auxiliary": "train_auxiliary.txt",
    "query": "query.txt",
    "gallery": "gallery.txt",
}
FakeIr = Literal["off", "replace", "add"]

_MODALITIES = {"RGB": Modality.VISIBLE, "IR": Modality.INFRARED}


class ListLine(NamedTuple):
    """One line of a list: `1746 RGB/IR TSG2 1` or `1911 IR LS3 1`."""

    identity: str
    modalities: tuple[str, ...]
    camera: str
    tracklet: str


@dataclass(frozen=True, kw_only=True)
class BuptLists:
    """The parsed lists of one archive; not yet compared with data_paths.json.

    Attributes:
        root: The folder that holds DATA and the lists.
        paths: {identity: {"RGB" | "IR": {camera: {tracklet: [paths relative to DATA]}}}}.
        lines: Lines by subset, in file order (the paper64 protocol depends on it).
    """

    root: Path
    paths: dict[str, Any]
    lines: dict[str, list[ListLine]]

    def frames_of(self, line: ListLine, modality: str) -> list[str]:
        """Frame paths relative to DATA of one tracklet, empty where data_paths.json has none.

        Raises:
            DataError: It has something else than a list of paths there.
        """
        found: Any = self.paths
        for key in (line.identity, modality, line.camera, line.tracklet):
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if not isinstance(found, list):
            return []
        if not all(isinstance(path, str) for path in found):
            tracklet = " ".join((line.identity, line.camera, line.tracklet))
            raise DataError(
                f"{self.root / 'data_paths.json'}: tracklet {tracklet} is malformed",
                expected="a list of paths",
                got=repr(found)[:80],
                todo="Download it again.",
            )
        return found


def archive_root(root: Path) -> Path | None:
    """The folder that holds data_paths.json and the lists: `root`, or its parent where root is DATA."""
    here = root.absolute()  # "." has no name of its own
    for folder in (root, here.parent) if here.name == "DATA" else (root,):
        if (folder / "data_paths.json").is_file() and (folder / "DATA").is_dir():
            return folder
    return None


def parse_list(path: Path, *, paired: bool) -> list[ListLine]:
    """Read one list: `paired` for train and auxiliary (RGB/IR), else one modality a line.

    Raises:
        DataError: The file is missing or a line has another form (the message names the line).
    """
    allowed = ("RGB/IR",) if paired else ("RGB", "IR")
    lines = []
    for number, line in enumerate(read_lines(path, what="list"), 1):
        fields = line.split()
        if len(fields) != 4 or fields[1] not in allowed:
            expected = f"identity, {' or '.join(allowed)}, camera, tracklet"
            raise malformed(path, number, line, expected=expected)
        lines.append(ListLine(fields[0], tuple(fields[1].split("/")), fields[2], fields[3]))
    return lines


def read_lists(root: Path) -> BuptLists:
    """Parse data_paths.json and the four lists.

    Raises:
        DataError: Something is missing or malformed.
    """
    folder = archive_root(root)
    if folder is None:
        raise DataError(
            f"{root} is no BUPTCampus archive",
            expected=f"a folder with DATA, data_paths.json, {', '.join(LISTS.values())}",
            todo="Give the folder that holds DATA.",
        )
    paths = read_json(folder / "data_paths.json", what="path index")
    if not isinstance(paths, dict):
        raise DataError(
            f"{folder / 'data_paths.json'} has another form", expected="an object keyed by identity"
        )
    lines = {
        subset: parse_list(folder / name, paired=subset in ("train", "auxiliary"))
        for subset, name in LISTS.items()
    }
    return BuptLists(root=folder, paths=paths, lines=lines)


def fake_ir_path(path: str) -> str:
    """The FakeIR twin of a visible frame; its file name keeps `_RGB_`."""
    return path.replace("/RGB/", "/FakeIR/", 1)


def agrees(path: str, line: ListLine, modality: str) -> bool:
    """Whether a frame path (relative to DATA) lies in the folders of its tracklet."""
    return path.split("/")[:3] == [line.identity, modality, line.camera]


def read_bupt_campus(
    root: Path, *, min_frames: int = 1, strict: bool = False, fake_ir: FakeIr = "off"
) -> TrackletTable:
    """The tracklet table of a BUPTCampus archive, rows of each subset in file order.

    Visible and infrared tracklets recorded at once share `pair`.

    Args:
        root: The folder that holds DATA, or DATA itself.
        min_frames: Shorter tracklets are left out (published code keeps all).
        strict: Drop frames that do not lie in the folders of their tracklet.
        fake_ir: "replace" reads visible tracklets from FakeIR (the FakeIR model of the data set's paper);
            "add" adds FakeIR twins of the visible training and auxiliary tracklets as infrared ones.

    Raises:
        DataError: Something is missing or malformed; a listed tracklet is not in data_paths.json.
    """
    lists = read_lists(root)
    tracklets: list[Tracklet] = []
    for subset, lines in lists.lines.items():
        for number, line in enumerate(lines, 1):
            for modality in line.modalities:
                frames = lists.frames_of(line, modality)
                if not frames:
                    raise DataError(
                        f"{lists.root / LISTS[subset]}, line {number}: tracklet {' '.join(line[::2])} "
                        f"{line.tracklet} has no {modality} frames in data_paths.json",
                        todo="Run `xreid verify` for the whole list; download the lists again.",
                    )
                if strict:
                    frames = [path for path in frames if agrees(path, line, modality)]
                if len(frames) >= max(min_frames, 1):
                    tracklets += _tracklets(subset, line, modality, frames, fake_ir)
    if not tracklets:
        raise DataError(f"{root} has no tracklet of {min_frames} frames or more", todo="Lower min_frames.")
    return TrackletTable(
        root=lists.root,
        rows=tuple(tracklets),
        source="bupt-campus",
        licence=licence_of(lists.root, terms=LICENCE),
    )


def _tracklets(
    subset: str, line: ListLine, modality: str, frames: list[str], fake_ir: FakeIr
) -> list[Tracklet]:
    key = f"{line.identity}/{line.camera}/{line.tracklet}"
    visible = modality == "RGB"
    fakes = [fake_ir_path(path) for path in frames] if visible and fake_ir != "off" else []

    def tracklet(folder: str, kind: Modality, paths: list[str], pair: str | None) -> Tracklet:
        return Tracklet(
            name=f"{subset}/{line.identity}/{folder}/{line.camera}/{line.tracklet}",
            frames=tuple(f"DATA/{path}" for path in paths),
            modality=kind,
            identity=line.identity,
            camera=line.camera,
            subset=subset,
            pair=pair,
        )

    if fakes and fake_ir == "replace":
        return [tracklet("FakeIR", Modality.VISIBLE, fakes, key)]
    rows = [tracklet(modality, _MODALITIES[modality], frames, key)]
    if fakes and subset in ("train", "auxiliary"):
        rows.append(tracklet("FakeIR", Modality.INFRARED, fakes, None))
    return rows
