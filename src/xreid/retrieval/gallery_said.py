"""What the folders of a gallery's sets say of themselves: embedding.json of one set, pack.json of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreid.core.embeddings import FORMAT_VERSION, EmbeddingOrigin
from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.retrieval.gallery_rows import StoredSet
from xreid.retrieval.typed import record

PACK = "pack.json"
PACK_VERSION = 1
PACK_PREFIX = "pack-"


class StaleError(Exception):
    """A file of the snapshot is gone: the gallery has changed since."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What embedding.json says of a set, but for the checksum.

    Attributes:
        root: Folder that its frames are relative to.
        origin: What made its vectors.
        calibration: What the scores mean, as calibration.json says; None without.
    """

    root: str
    origin: EmbeddingOrigin
    calibration: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class _Alone(Said):
    """embedding.json."""

    format: int
    vectors_sha256: str


@dataclass(frozen=True, kw_only=True)
class _Packed:
    """A set in a pack: which, how many rows, which of `about`, SHA-256 of its rows' bytes."""

    key: str
    rows: int
    about: int
    vectors_sha256: str


@dataclass(frozen=True, kw_only=True)
class _Pack:
    """pack.json."""

    format: int
    about: tuple[Said, ...]
    sets: tuple[_Packed, ...]


def said_in(folder: Path, sets: Sequence[StoredSet] | None = None) -> list[tuple[Said, str]]:
    """What the sets of a folder say of themselves, with their checksums.

    Args:
        folder: The folder.
        sets: What the manifest says is in it; None does not compare.

    Raises:
        DataError: The file that says so is damaged.
        StaleError: The folder is not there.
    """
    if not folder.is_dir():
        raise StaleError
    packed = is_pack(folder)
    path = folder / (PACK if packed else "embedding.json")
    try:
        plain = read_json(path, what="embedding set")
        found = record(_Pack, plain) if packed else record(_Alone, plain)
        if found.format != (PACK_VERSION if packed else FORMAT_VERSION):
            raise ValueError(f"format {found.format}")
        return [(found, found.vectors_sha256)] if isinstance(found, _Alone) else _packed(found, sets)
    except (DataError, ValueError) as error:
        if not folder.is_dir():  # rewritten in this moment
            raise StaleError from error
        raise DataError(f"{path} is damaged", got=str(error)[:200], todo=repair(folder)) from error


def _packed(pack: _Pack, sets: Sequence[StoredSet] | None) -> list[tuple[Said, str]]:
    """What a pack says of its sets; ValueError where they are others."""
    if not pack.sets or any(not 0 <= one.about < len(pack.about) for one in pack.sets):
        raise ValueError("its sets are not those it tells about")
    if sets is not None and [(p.key, p.rows) for p in pack.sets] != [(s.key, s.rows) for s in sets]:
        raise ValueError("other sets than gallery.json says")
    return [(pack.about[one.about], one.vectors_sha256) for one in pack.sets]


def is_pack(folder: Path) -> bool:
    """Whether a folder of sets is a pack, by its name."""
    return folder.name.startswith(PACK_PREFIX)


def repair(folder: Path) -> str:
    """What to do about a damaged folder of sets."""
    if not is_pack(folder):
        key = folder.name.rpartition("-")[0]
        return f"Remove that set (`xreid gallery remove GALLERY {key}`) and append it again."
    return (
        f"Restore {folder.name} from a backup, or remove each of its sets (`xreid gallery remove GALLERY"
        " KEY`), whose keys gallery.json names, and append them again."
    )
