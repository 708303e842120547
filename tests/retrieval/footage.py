"""Small synthetic footage: upright figures that walk and stand before a textured wall."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
SIZE = (240, 320)  # (H, W)


def wall(*, seed: int = 0, size: tuple[int, int] = SIZE) -> Image:
    """A smooth coloured texture, uint8 [H, W, 3] BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 180, size=(6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def draw_person(
    image: Image, *, x: float, foot: float, colour: tuple[int, int, int], height: int = 100
) -> None:
    """Draw a figure of a coloured body and dark legs; (x, foot) is the point between its feet."""
    width = height // 3
    top, left = round(foot - height), round(x - width / 2)
    cv2.circle(image, (round(x), top + height // 9), height // 9, (150, 180, 220), -1)
    body = (left, top + height // 5), (left + width, top + height * 3 // 5)
    cv2.rectangle(image, *body, colour, -1)
    legs = (left + width // 8, top + height * 3 // 5), (left + width * 7 // 8, round(foot))
    cv2.rectangle(image, *legs, (40, 30, 30), -1)


def walkers(
    count: int, *, noise: float = 2.0, gain: Callable[[int], float] = lambda i: 1.0
) -> Iterable[Image]:
    """A red figure that walks in, stands in the middle and walks out, then a green one that walks through.

    The scene is empty for the first 10 frames. `gain` brightens frame i.
    """
    rng = np.random.default_rng(1)
    background = wall()
    for i in range(count):
        image = background.copy()
        if 10 <= i < 90:  # 4 px a frame, standing from frame 45 to 65
            steps = min(i - 10, 35) + max(0, i - 65)
            draw_person(image, x=20 + 4 * steps, foot=200, colour=(30, 30, 200))
        if i >= 100:
            draw_person(image, x=10 + 5 * (i - 100), foot=210, colour=(40, 170, 40))
        noisy = image * gain(i) + rng.normal(0, noise, image.shape)
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def write_video(
    path: Path, frames: Iterable[Image], *, fps: int = 10, codec: str = "libx264", keyframes: int = 25
) -> Path:
    """Encode frames; B-frames included where the codec has them."""
    with av.open(str(path), "w") as container:
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p" if codec != "ffv1" else "gray16le"
                stream.codec_context.gop_size = keyframes
                if codec == "libx264":
                    stream.options = {"crf": "18", "preset": "veryfast"}
            kind = "bgr24" if image.ndim == 3 else "gray16le"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format=kind)))
        assert stream is not None
        container.mux(stream.encode())
    return path


def write_images(folder: Path, frames: Iterable[Image], *, grey: bool = False) -> Path:
    """Frames as 1.png, 2.png, ...; grey ones with three equal channels."""
    folder.mkdir(parents=True)
    for number, image in enumerate(frames, start=1):
        pixels = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if grey else image
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


def write_mot(path: Path, rows: Iterable[tuple[float, ...]]) -> Path:
    """Rows as comma-separated lines."""
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path
