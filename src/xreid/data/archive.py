"""Open any supported archive as a tracklet table, finding out its layout by its structure."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from xreid.core.errors import ConfigError, DataError
from xreid.core.tracklets import TrackletTable
from xreid.data import bupt_campus, hitsz_vcm
from xreid.data.bupt_campus import FakeIr, read_bupt_campus
from xreid.data.folders import LAYOUT, looks_like_folders, read_folders
from xreid.data.hitsz_vcm import read_hitsz_vcm
from xreid.data.names import entries_of
from xreid.data.tables import TABLE_NAMES, find_table, read_own_table

Layout = Literal["auto", "hitsz-vcm", "bupt-campus", "table", "folder"]
KnownLayout = Literal["hitsz-vcm", "bupt-campus", "table", "folder"]


def open_archive(
    root: Path,
    *,
    layout: Layout = "auto",
    min_frames: int | None = None,
    strict: bool = False,
    fake_ir: FakeIr = "off",
) -> TrackletTable:
    """Read the tracklets of an archive; frames are not opened (see `xreid verify`).

    Args:
        root: HITSZ-VCM or BUPTCampus archive, real or simulated; own table (file or folder); folder tree.
        layout: Its layout; "auto" decides by structure.
        min_frames: Shorter tracklets are left out; None for the layout's own rule (12 for HITSZ-VCM,
            which all published numbers use; 1 elsewhere).
        strict: Drop frames that contradict their tracklet's person, modality or camera.
        fake_ir: Use of BUPTCampus' synthetic infrared frames: "off", "replace" or "add".

    Returns:
        The table with all subsets; `source` is the layout's name.

    Raises:
        DataError: Nothing is there, the layout is unknown, or its files are wrong.
        ConfigError: An option does not fit the layout.
    """
    if min_frames is not None and min_frames < 1:
        raise ConfigError("min_frames is out of range", expected="1 or more", got=str(min_frames))
    known = detect_layout(root) if layout == "auto" else _existing(root, layout)
    if fake_ir != "off" and known != "bupt-campus":
        raise ConfigError(f"fake_ir={fake_ir} fits BUPTCampus only", got=f"layout {known}")
    if known == "hitsz-vcm":
        default = hitsz_vcm.DEFAULT_MIN_FRAMES
        return read_hitsz_vcm(root, min_frames=default if min_frames is None else min_frames, strict=strict)
    if known == "bupt-campus":
        return read_bupt_campus(root, min_frames=min_frames or 1, strict=strict, fake_ir=fake_ir)
    if known == "table":
        return read_own_table(root, min_frames=min_frames or 1, strict=strict)
    return read_folders(root, min_frames=min_frames or 1)


def detect_layout(root: Path) -> KnownLayout:
    """The layout of what lies at `root`, judged by structure and content, never by file names alone.

    Raises:
        DataError: Nothing is there, or it is none of the known layouts (the message lists what was found).
    """
    if not root.exists():
        raise DataError(f"{root} does not exist", todo="Check the path; `xreid simulate` writes an archive.")
    if root.is_file():
        if find_table(root):
            return "table"
        raise DataError(f"{root} is no table", expected="a .csv or .parquet file, or a folder")
    if not any(root.iterdir()):
        raise DataError(f"{root} is empty", todo="Check the path; unpack the archive there.")
    if bupt_campus.archive_root(root):
        return "bupt-campus"
    if hitsz_vcm.find_info(root):
        return "hitsz-vcm"
    if find_table(root):
        return "table"
    if looks_like_folders(root):
        return "folder"
    raise DataError(
        f"{root} is no layout that xreid knows{_hint(root)}",
        expected="HITSZ-VCM (Train, Test, info/*.txt), BUPTCampus (DATA, data_paths.json, *.txt), "
        f"own data ({', '.join(TABLE_NAMES[:2])}) or folders ({LAYOUT})",
        got=entries_of(root),
        todo="Give the archive's top folder, or name its layout to see what is missing.",
    )


def _existing(root: Path, layout: KnownLayout) -> KnownLayout:
    if not root.exists():
        raise DataError(f"{root} does not exist", todo="Check the path; `xreid simulate` writes an archive.")
    if layout != "table" and not root.is_dir():
        raise DataError(f"{root} is a file", expected=f"the top folder of a {layout} archive")
    return layout


def _hint(root: Path) -> str:
    """What a near miss probably is."""
    info = root / "info" if (root / "info").is_dir() else root
    if (info / "test_name.txt").is_file() or (info / "tracks_test_info.mat").is_file():
        if (
            all((info / name).is_file() for name in hitsz_vcm.LIST_NAMES)
            or (info / "tracks_test_info.mat").is_file()
        ):
            return " (lists named like those of HITSZ-VCM, but with other frame names: MARS or MEVID?)"
        return " (some of HITSZ-VCM's lists are missing)"
    if any(root.glob("*.lmdb")):
        return " (X-ReID's private LMDB form; the original BUPTCampus archive is needed)"
    if (root / "data_paths.json").is_file() or (root / "DATA").is_dir():
        return " (BUPTCampus needs both DATA and data_paths.json)"
    return ""
