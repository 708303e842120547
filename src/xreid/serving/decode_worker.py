"""The process that decodes one uploaded file (`python -m xreid.serving.decode_worker`): JSON in, JSON out."""

from __future__ import annotations

import contextlib
import json
import math
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from xreid.retrieval.spectrum import chroma
from xreid.retrieval.video import times_rise

_LOOKED_AT = 8  # frames of a video whose chroma is measured
_MOST_LOOKED = 200_000  # frames decoded at most
_BACK_S = (0.0, 10.0, 60.0)  # where seeking finds no key frame before a second, it begins earlier


class RefusedError(Exception):
    """The file is not taken: a status, what is wrong, and further parts of the problem."""

    def __init__(self, status: int, what: str, **parts: str) -> None:
        super().__init__(what)
        self.plain = {"status": status, "refused": what, **parts}


def main() -> int:
    """Read a request, decode, answer."""
    request = json.loads(sys.stdin.buffer.read())
    _confine(request)
    try:
        answer = picture(request) if request["what"] == "image" else video(request)
    except RefusedError as refused:
        answer = refused.plain
    json.dump(answer, sys.stdout)
    return 0


def _confine(request: dict[str, Any]) -> None:
    """Give up what decoding does not need, before the file is opened; the kernel ends us beyond it."""
    for what, most in (
        (resource.RLIMIT_AS, request["memory_mib"] * 2**20),
        (resource.RLIMIT_CPU, request["cpu_s"]),
        (resource.RLIMIT_FSIZE, 256 * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def picture(request: dict[str, Any]) -> dict[str, Any]:
    """Decode a still."""
    Image.MAX_IMAGE_PIXELS = None  # ours is checked below, before anything is decoded
    try:
        with Image.open(request["path"], formats=[request["decoder"]]) as image:
            _check_size(image.width, image.height, request)
            # Left in the file's own words until here: a header may promise what the body does not hold.
            upright = ImageOps.exif_transpose(_eight_bits(image)).convert("RGB")
    except RefusedError:
        raise
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError, TypeError, IndexError) as error:
        raise _unreadable(request, error) from error
    files = [_write(upright, request, 0)] if request["out"] else []
    return {
        "width": upright.width,
        "height": upright.height,
        "seconds": 0.0,
        "frames": 1,
        "files": files,
        "times": [0.0] * len(files),
        "chroma": chroma(np.asarray(upright)[:, :, ::-1]),
    }


def video(request: dict[str, Any]) -> dict[str, Any]:
    """Decode a video: its length, and pictures evenly spread over a stretch of it."""
    import av

    av.logging.set_level(None)
    try:
        with _opened(request) as container:
            if not container.streams.video:
                raise RefusedError(422, "the file has no pictures", expected="a video or an image")
            return _watch(container, request)
    except RefusedError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, MemoryError, OverflowError) as error:
        raise _unreadable(request, error) from error


def _watch(container: Any, request: dict[str, Any]) -> dict[str, Any]:
    stream = container.streams.video[0]
    _check_size(stream.width, stream.height, request)
    seconds, count = _length(container, stream)
    start, end = request["from_s"], request["to_s"]
    end = max(seconds, start) if end is None else end
    if request["longest_s"] and end - start > request["longest_s"]:
        raise _too_long(request, end - start)
    wanted = max(1, request["frames"])
    moments = [start + (end - start) * (i + 0.5) / wanted for i in range(wanted)] if end > start else [start]
    files, chromas, times, size = list[str](), list[float](), list[float](), (0, 0)
    for at, image in _pictures(container, stream, moments, request):
        size = image.size
        times.append(round(at, 3))
        if len(chromas) < _LOOKED_AT:
            chromas.append(chroma(np.asarray(image)[:, :, ::-1]))
        if request["out"]:
            files.append(_write(image, request, len(files)))
    if size == (0, 0):
        raise RefusedError(
            422, "no frame of the video can be decoded", expected="a video as its container says"
        )
    return {
        "width": size[0],
        "height": size[1],
        "seconds": seconds,
        "frames": count,
        "files": files,
        "times": times,
        "chroma": float(np.mean(chromas)),
    }


def _pictures(
    container: Any, stream: Any, moments: list[float], request: dict[str, Any]
) -> Iterator[tuple[float, Image.Image]]:
    """The first frame at or after each moment, each once, with its second; the last where none is."""
    import av

    asked, last, found, looked, at = iter(moments), None, False, 0, 0.0
    due = next(asked, math.inf)
    try:
        for looked, (at, frame) in enumerate(_timed(container, stream, due, request), start=1):
            if request["longest_s"] and at - moments[0] > request["longest_s"]:
                raise _too_long(request, at - moments[0])  # longer than its container says
            last = frame
            if at + 1e-6 >= due:
                yield at, _upright(frame)
                found = True
                while at + 1e-6 >= due:
                    due = next(asked, math.inf)
            if math.isinf(due) or looked >= _MOST_LOOKED:
                break
    except av.error.FFmpegError as error:
        if not looked:
            raise _unreadable(request, error) from error
    if last is not None and not found:
        yield at, _upright(last)


def _timed(container: Any, stream: Any, due: float, request: dict[str, Any]) -> Iterator[tuple[float, Any]]:
    """Frames from before a second on, each with the second that `xreid ingest` gives it.

    Where timestamps do not rise from frame to frame, frames are counted: in an AVI file from the key frame
    that was reached by seeking, whose packet knows its place; elsewhere from the start.
    """
    import av

    base, begin = float(stream.time_base or 0), int(stream.start_time or 0)
    told = bool(base) and _times_rise(request)
    for back_s in _BACK_S if base and (told or request["decoder"] == "avi") else ():
        if due <= back_s:
            break
        reached = False
        with contextlib.suppress(av.error.FFmpegError):  # what cannot seek is decoded from its start
            container.seek(begin + int((due - back_s) / base), stream=stream, backward=True)
            for at, frame in _from_here(container, stream, told, request):
                if not reached and at > due + 1e-6:
                    break  # behind it: the key frame before was not found
                reached = True
                yield at, frame
        if reached:
            return
    with _opened(request) as again:
        yield from _from_here(again, again.streams.video[0], told, request)


def _from_here(
    container: Any, stream: Any, told: bool, request: dict[str, Any]
) -> Iterator[tuple[float, Any]]:
    """Frames from where the container stands, with their seconds: told, or counted from the first packet."""
    stream.thread_type = "SLICE"
    base, begin = float(stream.time_base or 0), int(stream.start_time or 0)
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    first, number = None, 0
    for packet in container.demux(stream):
        if first is None:
            first = 0.0 if packet.dts is None else (packet.dts - begin) * base
        for frame in packet.decode():
            _check_size(frame.width, frame.height, request)
            by_stamp = told and frame.pts is not None
            yield (frame.pts - begin) * base if by_stamp else first + number / rate, frame
            number += 1


def _times_rise(request: dict[str, Any]) -> bool:
    """As ingest finds it, from the first frames."""
    import av

    with _opened(request) as container, contextlib.suppress(av.error.FFmpegError):
        frames = _from_here(container, container.streams.video[0], False, request)
        return times_rise(frame for _, frame in frames) is not False
    return True


def _opened(request: dict[str, Any]) -> Any:
    """The file, as what its first bytes say and nothing else; it names no other file or address."""
    import av

    return av.open(request["path"], format=request["decoder"], options={"protocol_whitelist": "file"})


def _length(container: Any, stream: Any) -> tuple[float, int]:
    """Seconds as the container states them, and frames."""
    import av

    seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
    if not seconds and container.duration:
        seconds = container.duration / av.time_base
    return max(0.0, seconds), int(stream.frames or round(seconds * float(stream.average_rate or 25)))


def _upright(frame: Any) -> Image.Image:
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return Image.fromarray(np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns)))


def _write(image: Image.Image, request: dict[str, Any], number: int) -> str:
    """Write the asked part of a picture; returns its name."""
    if request["box"]:
        left, top, right, bottom = request["box"]
        edges = left * image.width, top * image.height, right * image.width, bottom * image.height
        x0, y0, x1, y1 = (round(edge) for edge in edges)
        if x1 - x0 < 4 or y1 - y0 < 8:
            raise RefusedError(
                422, "the box is too small", expected="4 x 8 pixels or more", got=f"{x1 - x0} x {y1 - y0}"
            )
        image = image.crop((x0, y0, x1, y1))
    if request["height"] and image.height > request["height"]:
        image = image.resize((max(1, image.width * request["height"] // image.height), request["height"]))
    name = f"{number:06d}.jpg"
    image.save(Path(request["out"], name), "JPEG", quality=95)
    return name


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bits, as thermal cameras give them, stretched to 8."""
    if not image.mode.startswith(("I", "F")):
        return image
    grey = np.asarray(image, dtype=np.float32)
    low, high = np.percentile(grey, (0.5, 99.5))
    return Image.fromarray(np.clip((grey - low) * (255.0 / max(high - low, 1.0)), 0, 255).astype(np.uint8))


def _check_size(width: int, height: int, request: dict[str, Any]) -> None:
    if width < 1 or height < 1:
        raise RefusedError(422, "the picture has no size")
    if width * height > request["pixels"]:
        most = request["pixels"] / 1e6
        raise RefusedError(
            413,
            "the picture is too large",
            expected=f"{most:g} megapixels or less",
            got=f"{width} x {height}",
        )


def _too_long(request: dict[str, Any], seconds: float) -> RefusedError:
    return RefusedError(
        413,
        "the stretch of video is too long to search with",
        expected=f"{request['longest_s']:g} s or less",
        got=f"{seconds:.0f} s",
        todo="Choose a shorter stretch, or take it in as footage.",
    )


def _without_path(text: str, path: str) -> str:
    """A decoder's words, of which the client need not learn where the server keeps its files."""
    return text.replace(path, "the file").partition("\n")[0][:120]


def _unreadable(request: dict[str, Any], error: Exception) -> RefusedError:
    return RefusedError(
        422,
        "the file is not what its first bytes say, or it is damaged",
        expected=f"{request['what']} of format {request['decoder']}",
        got=_without_path(str(error), request["path"]) or type(error).__name__,
    )


if __name__ == "__main__":
    sys.exit(main())
