"""Things that are kept under a random id, and named by nothing else."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from xreid.core.errors import ProtocolError, XReidError
from xreid.core.files import read_json, write_json

TRACKLET_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{20}(?![0-9a-f])")  # in the bytes of a damaged file
_ID = re.compile(r"[0-9a-f]{16}")
_STRAY_S = 3600.0  # a temporary file or folder older than that was left by a kill


class NotHereError(ProtocolError):
    """What was asked for by its id or name is not there (any more)."""


def new_id() -> str:
    """64 random bits, as 16 hexadecimal digits."""
    return secrets.token_hex(8)


def is_id(name: str) -> bool:
    """Whether `new_id` may have given it; nothing else ever becomes part of a path."""
    return _ID.fullmatch(name) is not None


def make_folder(folder: Path) -> None:
    """Make a folder where it is missing, and clear it of what a kill left half-written.

    Raises:
        XReidError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stray in folder.glob(".*"):
            if stray.lstat().st_mtime < time.time() - _STRAY_S:
                shutil.rmtree(stray) if stray.is_dir() else stray.unlink()
    except OSError as error:
        raise XReidError(f"cannot write {folder}: {error.strerror}") from error


class KeptFolders:
    """Folders of files, each with a record (JSON), kept for a while.

    Args:
        folder: Where they lie.
        what: What one of them is called.
        todo: What to do where one is not there.
    """

    def __init__(self, folder: Path, *, what: str, todo: str) -> None:
        self.folder, self.what, self.todo = folder, what, todo
        make_folder(folder)

    def room(self) -> Path:
        """A new folder, not kept yet."""
        return Path(tempfile.mkdtemp(prefix=".", dir=self.folder))

    def put(self, room: Path, name: str, record: dict[str, Any]) -> None:
        """Keep a room, under an id of `new_id`."""
        write_json(room / f"{self.what}.json", record)
        room.rename(self.folder / name)

    def record(self, name: str) -> dict[str, Any]:
        """The record of one.

        Raises:
            NotHereError: There is none, or its time is over.
        """
        path = self.at(name) / f"{self.what}.json"
        if not path.is_file():
            raise NotHereError(f"there is no {self.what} {name}", todo=self.todo)
        found: dict[str, Any] = read_json(path, what=self.what)
        return found

    def at(self, name: str) -> Path:
        """Where one lies.

        Raises:
            NotHereError: That is no id.
        """
        if not is_id(name):
            raise NotHereError(f"there is no {self.what} {name[:40]!r}", todo=self.todo)
        return self.folder / name

    def delete(self, name: str) -> None:
        """Delete one, if it is there."""
        shutil.rmtree(self.at(name), ignore_errors=True)

    def sweep(self, *, older_than_s: float, spare: Collection[str] = ()) -> None:
        """Delete those that are older, but for those that are still needed."""
        before = time.time() - older_than_s
        for path in self.folder.glob("[0-9a-f]*"):
            if path.name not in spare and path.stat().st_mtime < before:
                self.delete(path.name)
