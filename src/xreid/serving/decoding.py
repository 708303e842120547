"""Uploaded files are decoded in a process of their own, with limits of memory, time and size.

A file made to harm a decoder then harms a process that has nothing but that file, and a decompression bomb
ends at a limit. What comes back are JPEGs that we have encoded ourselves, without the file's other contents.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xreid.serving.config import Limits
from xreid.serving.problems import Refusal
from xreid.serving.sniff import Kind

Box = tuple[float, float, float, float]  # left, top, right, bottom; shares of the picture, 0 to 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the decoding process is asked; it travels as JSON.

    Attributes:
        path: The file.
        what: image or video.
        decoder: The only decoder to try.
        out: Folder for the pictures; none: only look.
        pixels: Largest picture.
        longest_s: Longest stretch of a video; 0 for any.
        frames: Most pictures of a video to write, evenly spread.
        from_s: Begin here.
        to_s: End here; None for the end of the video.
        box: Part of each picture to write; none: all of it.
        height: Largest height to write; 0 as it is.
        memory_mib: Address space that the process gives itself before it opens the file.
        cpu_s: CPU time, likewise.
    """

    path: str
    what: str
    decoder: str
    out: str = ""
    pixels: int
    longest_s: float
    frames: int = 1
    from_s: float = 0.0
    to_s: float | None = None
    box: Box | None = None
    height: int = 0
    memory_mib: int
    cpu_s: int


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What came back.

    Attributes:
        width: Pixels of the picture, upright.
        height: Pixels.
        seconds: Of a video; 0 of a picture.
        frames: Frames of a video, where known; 1 of a picture.
        files: Pictures written, in order of time.
        times: Their seconds since the first frame.
        chroma: Mean spread of the colour channels over the whole pictures looked at (see retrieval.spectrum).
    """

    width: int
    height: int
    seconds: float
    frames: int
    files: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    chroma: float = 0.0


def decode(path: Path, kind: Kind, *, limits: Limits, any_length: bool = False, **asked: Any) -> Decoded:
    """Decode a file in a process of its own.

    Args:
        path: The file.
        kind: What it is by its first bytes.
        limits: The server's limits.
        any_length: Take videos of any length.
        **asked: Further fields of `Request`.

    Raises:
        Refusal: 422 where the file is not what it says, 413 where it is too large.
    """
    request = Request(
        path=str(path),
        what=kind.what,
        decoder=kind.decoder,
        pixels=int(limits.image_megapixels * 1e6),
        longest_s=0.0 if any_length else limits.video_seconds,
        memory_mib=limits.decode_mib,
        cpu_s=limits.decode_seconds,
        **asked,
    )
    return _answer(_run(request, limits), kind)


def _run(request: Request, limits: Limits) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [sys.executable, "-m", "xreid.serving.decode_worker"],
            input=json.dumps(asdict(request)).encode(),
            capture_output=True,
            timeout=2 * limits.decode_seconds,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Refusal(413, "the file takes too long to decode", todo="Send a shorter one.") from None


def _answer(done: subprocess.CompletedProcess[bytes], kind: Kind) -> Decoded:
    try:
        plain = json.loads(done.stdout)
    except ValueError:  # it was ended by a limit, or by the file
        raise Refusal(
            413,
            f"the file cannot be decoded within the server's limits of time and memory (as {kind.name})",
            todo="Send a smaller or shorter one.",
        ) from None
    if "refused" in plain:
        raise Refusal(plain.pop("status"), plain.pop("refused"), **plain)
    return Decoded(**{**plain, "files": tuple(plain["files"]), "times": tuple(plain["times"])})
