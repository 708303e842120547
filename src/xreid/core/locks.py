"""One process at a time does something to a folder; a killed one lets go of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xreid.core.errors import ConfigError, XReidError


@contextmanager
def only_process(folder: Path, *, file: str | None = None, doing: str, todo: str) -> Iterator[None]:
    """Keep other processes from a folder, which is made, as long as the block runs.

    On a file system without locks nobody is kept from it.

    Args:
        folder: The folder.
        file: Of the lock, in the folder; None locks the folder itself, whose files may then all go.
        doing: What another process does where this is refused, e.g. "ingesting into tracklets".
        todo: What to do then.

    Raises:
        ConfigError: Another process is at it.
        XReidError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (
            os.open(folder, os.O_RDONLY)
            if file is None
            else os.open(folder / file, os.O_RDWR | os.O_CREAT, 0o666)
        )
    except OSError as error:
        raise XReidError(f"cannot write {folder}: {error.strerror}", todo="Choose another folder.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"another process is {doing}", todo=todo) from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)
