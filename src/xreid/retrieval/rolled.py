"""The rolling files of a folder, known without reading it anew: a look costs the names that came or went.

One listing of names stays; what a name means, and how long a file is, is found out once.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from xreid.retrieval.recorder import SUFFIX, camera_of, length_s, start_of

_SHARE = 20  # a listing is made again after so many times its own time

Row = tuple[float, Path]  # Unix time of the first frame, the file


class RolledFiles:
    """Closed and growing files, by camera.

    Args:
        folder: OUT/video.
        done: Names of the recordings that are ingested.
    """

    def __init__(self, folder: Path, *, done: Collection[str]) -> None:
        self.folder, self._done = folder, done
        self._waiting: dict[str, list[Row]] = defaultdict(list)
        self._next_look = 0.0
        self._names: set[str] = set()
        self._closed: dict[str, list[Row]] = defaultdict(list)
        self._growing: dict[str, list[Row]] = defaultdict(list)
        self._lengths: dict[Path, float] = {}

    def look(self, *, surely: bool = True) -> None:
        """Take note of what came and went; without `surely` only where that takes little of the time."""
        start = time.monotonic()
        if not surely and start < self._next_look:
            return
        names = self._list()
        if names - self._names:  # whoever sees a closed file shall see the one that was begun before that
            names |= self._list()
        for name in self._names - names:
            self._change(name, gone=True)
        for name in names - self._names:
            self._change(name, gone=False)
        self._names = names
        self._next_look = start + _SHARE * (time.monotonic() - start)

    def _list(self) -> set[str]:
        return {name for name in os.listdir(self.folder) if name.endswith(SUFFIX)}

    def _change(self, name: str, *, gone: bool) -> None:
        path = self.folder / name
        camera = camera_of(path)
        if camera is None:
            return
        rows = (self._growing if name.startswith(".") else self._closed)[camera]
        row = (start_of(path), path)
        if not gone:
            insort(rows, row)
            if rows is self._closed[camera] and path.stem not in self._done:
                insort(self._waiting[camera], row)
        elif row in rows:
            rows.remove(row)
            self._lengths.pop(path, None)
            self.ingested(camera, path)

    def waiting(self, camera: str) -> list[Path]:
        """The closed files of a camera that are not ingested, in order of time."""
        return [path for _, path in self._waiting[camera]]

    def ingested(self, camera: str, path: Path) -> None:
        """This one does not wait any more."""
        rows = self._waiting[camera]
        self._waiting[camera] = [row for row in rows if row[1] != path]

    def closed(self, camera: str) -> list[Path]:
        """The closed files of a camera, in order of time."""
        return [path for _, path in self._closed[camera]]

    def last(self, camera: str) -> Path | None:
        """The last closed file of a camera."""
        rows = self._closed[camera]
        return rows[-1][1] if rows else None

    def before(self, camera: str, path: Path) -> Path | None:
        """The closed file of the camera before this one."""
        rows = self._closed[camera]
        place = bisect_left(rows, (start_of(path), path))
        return rows[place - 1][1] if place > 0 else None

    def after(self, camera: str, path: Path) -> Path | None:
        """The file of the camera after this one, closed or growing."""
        end = (start_of(path), path.with_name("\uffff"))
        rows = [rows[bisect_right(rows, end) :][:1] for rows in (self._closed[camera], self._growing[camera])]
        return min((row for found in rows for row in found), default=(0.0, None))[1]

    def end_of(self, path: Path) -> float:
        """Unix time of a closed file's last frame."""
        if path not in self._lengths:
            self._lengths[path] = length_s(path)
        return start_of(path) + self._lengths[path]
