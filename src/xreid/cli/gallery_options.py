"""Options that the verbs about galleries share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class GalleryOptions:
    """A gallery.

    Attributes:
        gallery: Folder of the gallery, or http(s)://HOST:PORT/NAME of a Milvus server.
    """

    gallery: str


@dataclass(frozen=True, kw_only=True)
class AnswersOptions(GalleryOptions):
    """A gallery with what is kept about people: cases, watch list and alerts.

    Attributes:
        state: Folder for cases, watch list and alerts; default inside the gallery's folder; needed for a
            server.
    """

    state: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RemovalOptions(GalleryOptions):
    """What is to be erased from a gallery.

    Attributes:
        by: On whose word; default the name you are logged in with.
        reason: Why; stands in the receipt.
        dry_run: Only say what would be erased.
        receipt: Write a copy of the receipt to this file.
    """

    by: str | None = None
    reason: str = ""
    dry_run: bool = False
    receipt: Path | None = None
