"""One process at a time writes a folder of recordings; a killed one lets go of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from xreid.core.locks import only_process

_LOCK = ".lock"


def sole_writer(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from writing the folder, which is made, as long as the block runs.

    Raises:
        ConfigError: Another process writes it.
        XReidError: It cannot be written.
    """
    return only_process(
        folder,
        file=_LOCK,
        doing=f"ingesting into {folder.parent}",
        todo="Wait for it, end it, or choose another.",
    )
