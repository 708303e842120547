"""The share of the disk that live video may take: beyond it the oldest files go, and it is said.

Files that cannot be read go first, then those that are ingested: their tracklets stay. Then those that wait
for the ingest, oldest first, so that what is seen now goes on being found: an ingest slower than its cameras
would otherwise fall behind without end, and every alert with it. The file being ingested and those that grow
stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from xreid.retrieval.recorder import SUFFIX, Gap, GapLog, length_s, start_of

_SHARE = 0.9  # of what is free at the start, and held already
_GB = 1e9
_RESERVE, _RESERVE_SHARE = 1e9, 0.01  # bytes, or a share of the disk, that stay free for tables and crops
UNREADABLE = ".unreadable"  # what a file ends with whose ingest found nothing to read


class VideoShare:
    """Keeps a folder of rolling files below a size.

    Args:
        folder: OUT/video.
        most_gb: Most that it may hold; None: nine tenths of what it holds and of what is free now.
        gaps: Gets the times that were never looked at.
        note: Called with remarks.
    """

    def __init__(
        self, folder: Path, *, most_gb: float | None, gaps: GapLog, note: Callable[[str], None]
    ) -> None:
        self.folder, self.gaps, self.note = folder, gaps, note
        self.dropped = 0
        free = shutil.disk_usage(folder).free
        self.most = _SHARE * (free + self._held()) if most_gb is None else most_gb * _GB

    def keep(
        self, cameras: Mapping[str, Sequence[Path]], *, waiting: Collection[Path], busy: Collection[Path]
    ) -> None:
        """Remove files until the rest fits.

        Args:
            cameras: The closed files of each camera, in order of time.
            waiting: Those of them that are not ingested.
            busy: Those that are being ingested.
        """
        over = max(self._held() - self.most, self._scarce())
        if over <= 0:
            return
        for path in sorted(self.folder.glob(f"*{UNREADABLE}"), key=start_of):
            if over <= 0:
                return
            over -= _size(path)
            self.note(f"{path.name} is removed: {self._full()}")
            path.unlink(missing_ok=True)
        rows = [(path, name) for name, files in cameras.items() for path in files if path not in busy]
        for path, name in sorted(rows, key=lambda row: (row[0] in waiting, start_of(row[0]))):
            if over <= 0:
                return
            over -= _size(path)
            self._remove(path, name, lost=path in waiting)

    def _remove(self, path: Path, camera: str, *, lost: bool) -> None:
        full = self._full()
        if lost:
            start = start_of(path)
            reason = f"recorded, but removed before it was ingested: {full}"
            self.gaps.add(Gap(camera=camera, from_s=start, to_s=start + length_s(path), reason=reason))
            self.dropped += 1
            self.note(f"{path.name} removed, was NOT ingested: ingest is slower than the cameras, {full}")
        else:
            self.note(f"{path.name} is removed, its tracklets stay: {full}")
        path.unlink(missing_ok=True)

    def _full(self) -> str:
        if self._scarce() > 0:
            return f"the disk of {self.folder} is full"
        return f"{self.folder} is full ({self.most / _GB:.3g} GB, --video_gb)"

    def _scarce(self) -> float:
        """Bytes that the disk lacks for what else is written there, the crops above all."""
        usage = shutil.disk_usage(self.folder)
        return min(_RESERVE, _RESERVE_SHARE * usage.total) - usage.free

    def _held(self) -> float:
        """Bytes, of growing files as well."""
        files = (path for suffix in (SUFFIX, UNREADABLE) for path in self.folder.glob(f"*{suffix}"))
        return float(sum(_size(path) for path in files))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # closed and renamed in between
        return 0
