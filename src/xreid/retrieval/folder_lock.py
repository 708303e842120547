"""One process at a time writes a folder of recordings; a killed one lets go of it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xreid.core.errors import ConfigError, XReidError

_LOCK = ".lock"


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keep other processes from writing the folder, which is made, as long as the block runs.

    Raises:
        ConfigError: Another process writes it.
        XReidError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / _LOCK, "ab")  # noqa: SIM115 - held as long as the lock
    except OSError as error:
        raise XReidError(f"cannot write {folder}: {error.strerror}", todo="Choose another folder.") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process is ingesting into {folder.parent}",
                todo="Wait for it, end it, or choose another.",
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
