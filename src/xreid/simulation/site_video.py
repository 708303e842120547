"""H.264 video files as surveillance recorders write them: MP4, no B-frames, the time of creation inside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from xreid.core.errors import XReidError
from xreid.simulation.arrays import Bytes
from xreid.simulation.camera import FRAME_SIZE

if TYPE_CHECKING:
    import av

ENCODER: Final = "libx264"
_SECONDS_BETWEEN_KEYS = 2
_NO_COLOUR = 128


@cache
def encoder_versions() -> dict[str, str]:
    """What writes the videos: their bytes depend on it, what is in them does not.

    Raises:
        XReidError: There is no H.264 encoder.
    """
    import av

    try:
        av.codec.Codec(ENCODER, "w")
    except av.error.FFmpegError as error:
        raise XReidError(
            f"this PyAV has no encoder {ENCODER}", todo="Install PyAV from PyPI: pip install --force av."
        ) from error
    version = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return {"encoder": ENCODER, "pyav": av.__version__, "libavcodec": version}


def write_video(path: Path, images: Iterable[Bytes], *, fps: int, start_s: float, crf: int) -> None:
    """Encode pictures.

    Args:
        path: File to write, in .mp4.
        images: uint8 [360, 640, 3] (blue, green, red) or [360, 640].
        fps: Frames a second.
        start_s: Unix time of the first frame: the file's creation time.
        crf: Quality, 18 (nearly lossless) to 35.
    """
    import av

    encoder_versions()
    moment = datetime.fromtimestamp(start_s, tz=UTC)
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["creation_time"] = f"{moment:%Y-%m-%dT%H:%M:%S}.000000Z"
        stream = container.add_stream(ENCODER, rate=fps)
        stream.width, stream.height = FRAME_SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        stream.codec_context.thread_count = 1  # the same file for any number of cores
        stream.options = {
            "preset": "veryfast",
            "crf": str(crf),
            "bf": "0",
            "g": str(_SECONDS_BETWEEN_KEYS * fps),
        }
        for number, image in enumerate(images):
            frame = _frame(image)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _frame(image: Bytes) -> av.VideoFrame:
    import av

    if image.ndim == 3:
        return av.VideoFrame.from_ndarray(image, format="bgr24")
    frame = av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, axis=2), format="bgr24")
    frame = frame.reformat(format="yuv420p")
    for plane in frame.planes[1:]:  # the conversion rounds grey to a faint tint
        plane.update(bytes([_NO_COLOUR]) * plane.buffer_size)
    return frame
