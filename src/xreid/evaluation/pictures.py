"""Frames as small JPEG data URIs, so that a page stays one file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from xreid.core.tracklets import Tracklet, TrackletTable

if TYPE_CHECKING:
    from PIL.Image import Image

_BOX = (96, 160)  # pixels; shown at half that, sharp on dense screens


class Thumbnails:
    """Makes and remembers thumbnails of a table's frames, and counts frames that cannot be read."""

    def __init__(self, table: TrackletTable) -> None:
        self._table = table
        self._made: dict[Path, str | None] = {}

    @property
    def missing(self) -> int:
        """Different frames that could not be read."""
        return sum(uri is None for uri in self._made.values())

    def of(self, row: Tracklet, *, count: int) -> list[str | None]:
        """`count` frames of the tracklet, evenly spread (its middle frame for 1); None where unreadable.

        Fewer where the tracklet has fewer frames.
        """
        total = len(row.frames)
        wanted = min(count, total)
        return [self.frame(row.frames[(2 * i + 1) * total // (2 * wanted)]) for i in range(wanted)]

    def frame(self, frame: str) -> str | None:
        """One frame of the table; None where it cannot be read."""
        path = self._table.frame_path(frame)
        if path not in self._made:
            self._made[path] = _encode(path)
        return self._made[path]


def small_frame(path: Path) -> Image | None:
    """A frame as RGB of at most 96 x 160 pixels, in its own proportions; None where it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * _BOX[0], 2 * _BOX[1]))
            small = image.convert("RGB")
            small.thumbnail(_BOX)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # a report is not the place to fail: the page shows a placeholder and the count
    return small


def data_uri(image: Image, *, quality: int = 78, subsampling: int = -1) -> str:
    """A picture as a JPEG data URI; subsampling 0 keeps the edges of colours sharp."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=subsampling, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _encode(path: Path) -> str | None:
    small = small_frame(path)
    return None if small is None else data_uri(small)
