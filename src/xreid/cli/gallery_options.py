"""Options that the verbs about galleries share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xreid.core.errors import ConfigError


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


def require_cosine(min_score: float | None) -> None:
    """Refuse a least score that no two vectors can miss or reach.

    Raises:
        ConfigError: It is no cosine.
    """
    if min_score is not None and not -1 <= min_score <= 1:
        raise ConfigError("--min-score is no cosine", expected="-1 to 1 (no percentage)", got=str(min_score))
