"""Where the answers of a gallery keep what people said about people: watch lists, alerts, cases.

    GALLERY/answers/watch.json       who is watched for, why, until when, with example vectors
    GALLERY/answers/alerts.jsonl     one line per alert and per acknowledgement, only ever appended
    GALLERY/answers/cases/*.json     whom a case searches for, what was confirmed and rejected, by whom
    GALLERY/answers/strangers*.json  what people who cannot be one say of the calibration; of nobody
    GALLERY/answers/queries/*        pictures cut from uploads that are searched for, with their vectors

The rest is about people, so all of it is erased with them: see `forgetting`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xreid.core.errors import ConfigError, XReidError

if TYPE_CHECKING:
    from xreid.retrieval.gallery import Gallery

FOLDER = "answers"


def answers_folder(gallery: Gallery, folder: Path | None = None) -> Path:
    """Where a gallery's answers are kept: in its folder, or in one that is named.

    Raises:
        ConfigError: The gallery is on a server, and no folder was named.
    """
    found = answers_folder_if_any(gallery, folder)
    if found is None:
        raise ConfigError(
            f"{gallery.address} is a server, which keeps no answers",
            todo="Name a folder for them (--state FOLDER).",
        )
    return found


def answers_folder_if_any(gallery: Gallery, folder: Path | None = None) -> Path | None:
    """The same; None where the gallery is on a server, and no folder was named."""
    if folder is None and ("://" in gallery.address or gallery.address.endswith(".db")):
        return None
    return folder or Path(gallery.address) / FOLDER


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of answers; the folder is made where missing.

    Raises:
        XReidError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise XReidError(f"cannot write {folder}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
