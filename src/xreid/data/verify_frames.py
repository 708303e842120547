"""Opens every frame of an archive in parallel processes and says which cannot be read."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from xreid.core.errors import DataError
from xreid.data.decode import inspect_frame

Progress = Callable[[int, int], None]

_CHUNK = 128
_INLINE = 512  # fewer frames than this are not worth starting processes for


@dataclass(kw_only=True)
class FrameFindings:
    """What was found in the files.

    Attributes:
        checked: Number of files looked at.
        missing: Paths that do not exist.
        unreadable: (path, reason) of files that cannot be decoded.
        sizes: How often each (width, height) occurs; empty where files were not decoded.
    """

    checked: int = 0
    missing: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)


def check_frames(
    root: Path,
    frames: Sequence[str],
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> FrameFindings:
    """Look at every file once.

    Args:
        root: Folder the paths start from.
        frames: Relative paths.
        decode: Decode the whole image; else only see whether the file is there and not empty.
        workers: Processes; None for one per core, 1 for none but this one.
        progress: Called with (done, total) after each chunk.

    Raises:
        DataError: A worker process died (out of memory).
    """
    findings = FrameFindings()
    for chunk, results in _results(root, frames, decode=decode, workers=workers):
        for frame, (reason, size) in zip(chunk, results, strict=True):
            if size is not None:
                findings.sizes[size] += 1
            if reason == _MISSING:
                findings.missing.append(frame)
            elif reason:
                findings.unreadable.append((frame, reason))
        findings.checked += len(chunk)
        if progress is not None:
            progress(findings.checked, len(frames))
    return findings


_MISSING = "missing"
_Result = tuple[str, tuple[int, int] | None]


def _results(
    root: Path, frames: Sequence[str], *, decode: bool, workers: int | None
) -> Iterator[tuple[tuple[str, ...], list[_Result]]]:
    chunks = [tuple(frames[i : i + _CHUNK]) for i in range(0, len(frames), _CHUNK)]
    look = partial(_look, str(root), decode)
    count = min(workers or _cores(), len(chunks))
    if count <= 1 or (workers is None and len(frames) < _INLINE):
        yield from zip(chunks, map(look, chunks), strict=True)
        return
    # Not "fork": the progress bar of the command line runs a thread.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context(method)) as pool:
        try:
            yield from zip(chunks, pool.map(look, chunks), strict=True)
        except BrokenProcessPool as error:
            raise DataError(
                "a checking process died", todo="Try again with fewer workers; memory may have run out."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _look(root: str, decode: bool, chunk: Sequence[str]) -> list[_Result]:
    return [_look_at(Path(root) / frame, decode=decode) for frame in chunk]


def _look_at(path: Path, *, decode: bool) -> _Result:
    try:
        empty = path.stat().st_size == 0
    except OSError:
        return _MISSING, None
    if empty:
        return "the file is empty", None
    return inspect_frame(path) if decode else ("", None)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
