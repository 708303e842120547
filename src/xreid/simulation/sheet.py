"""A contact sheet: some simulated people, several cameras, both spectra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from xreid.core.errors import ConfigError, XReidError
from xreid.core.files import atomic_file
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import plan_walks
from xreid.simulation.studio import shoot

CELL = (88, 192)  # width, height
GAP, BETWEEN, PAD = 4, 14, 10  # between frames, between cameras, around a block
BAND, MARGIN, FOOT = 58, 64, 34  # height of the headings, width of the names, height of the last line
INK, PAPER = (40, 40, 40), (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class _Block:
    """The half of a sheet that one spectrum fills: its heading and its colours (blue, green, red)."""

    modality: Modality
    title: str
    ground: tuple[int, int, int]
    ink: tuple[int, int, int]


_BLOCKS = (
    _Block(modality=Modality.VISIBLE, title="VISIBLE", ground=(248, 232, 214), ink=(120, 60, 10)),
    _Block(modality=Modality.INFRARED, title="NEAR INFRARED", ground=(58, 58, 58), ink=(245, 245, 245)),
)


def contact_sheet(config: SimulationConfig, *, people: int = 8, cameras: int = 2, frames: int = 3) -> Bytes:
    """Draw a contact sheet: a row per person, `cameras` visible and as many infrared walks, `frames` each.

    Where the configuration's frames are lower than a cell, they are drawn as high as one, not enlarged.

    Returns:
        uint8 [H, W, 3], blue, green, red.
    """
    config = replace(config, frame_height=max(config.frame_height, CELL[1]))
    walks = plan_walks(replace(config, cameras_per_identity=max(config.cameras_per_identity, cameras)))
    names = list(dict.fromkeys(walk.identity for walk in walks))[:people]
    group = frames * CELL[0] + (frames - 1) * GAP
    block = cameras * group + (cameras - 1) * BETWEEN + 2 * PAD
    step = CELL[1] + 2 * GAP
    height = BAND + len(names) * step + PAD - 2 * GAP
    sheet = _blank(height + FOOT, MARGIN + 2 * block + PAD)
    for i, look in enumerate(_BLOCKS):
        left = MARGIN + i * (block + PAD)
        sheet[:height, left : left + block] = look.ground
        _write(sheet, look.title, (left + PAD, 27), size=0.8, ink=look.ink, bold=True)
        for camera in range(cameras):
            x = left + PAD + camera * (group + BETWEEN)
            _write(sheet, f"walk {camera + 1}", (x, 50), size=0.5, ink=look.ink)
        for row, name in enumerate(names):
            own = [walk for walk in walks if walk.identity == name and look.modality in walk.modalities]
            for camera in range(cameras):
                images = shoot(config, own[camera % len(own)]).images[look.modality]
                x = left + PAD + camera * (group + BETWEEN)
                _place(sheet, images, (x, BAND + row * step), frames)
    for row, name in enumerate(names):
        y = BAND + row * step + CELL[1] // 2
        _write(sheet, "person", (4, y - 10), size=0.45, ink=INK)
        _write(sheet, name, (4, y + 12), size=0.6, ink=INK, bold=True)
    last = f"Synthetic people, made by xreid simulate, seed {config.seed}. One person a row."
    _write(sheet, last, (MARGIN + PAD, height + 23), size=0.55, ink=INK)
    return sheet


def _place(sheet: Bytes, images: list[Bytes], corner: tuple[int, int], frames: int) -> None:
    """Put frames from the beginning to the end of a walk side by side."""
    x, y = corner
    for i, at in enumerate(np.linspace(0.1, 0.9, frames)):
        left = x + i * (CELL[0] + GAP)
        sheet[y : y + CELL[1], left : left + CELL[0]] = _fit(images[int(at * (len(images) - 1))])


def _fit(image: Bytes) -> Bytes:
    """A frame as high as a cell: wide ones lose their sides, narrow ones are widened by a few percent."""
    width = max(CELL[0], round(image.shape[1] * CELL[1] / image.shape[0]))
    small = cv2.resize(image, (width, CELL[1]), interpolation=cv2.INTER_AREA)
    start = (width - CELL[0]) // 2
    return np.asarray(small[:, start : start + CELL[0]])


def require_picture(path: Path) -> None:
    """Raise ConfigError unless the file name ends in .jpg or .png."""
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(f"cannot write a contact sheet as {path.name}", expected="a name in .jpg or .png")


def write_contact_sheet(config: SimulationConfig, path: Path) -> None:
    """Draw a contact sheet and write it as .jpg or .png.

    Raises:
        ConfigError: The file name ends otherwise.
    """
    require_picture(path)
    write_picture(contact_sheet(config), path)


def write_picture(image: Bytes, path: Path) -> None:
    """Write a picture as .jpg or .png, atomically."""
    options = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 82]
    done, data = cv2.imencode(path.suffix, image, options)
    if not done:
        raise XReidError(f"cannot encode {path}")
    with atomic_file(path) as temporary:
        temporary.write_bytes(bytes(data))


def _blank(height: int, width: int) -> Bytes:
    return np.full((height, width, 3), PAPER, np.uint8)


def _write(
    image: Bytes,
    text: str,
    place: tuple[int, int],
    *,
    size: float,
    ink: tuple[int, int, int],
    bold: bool = False,
) -> None:
    font = cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, text, place, font, size, ink, 1, cv2.LINE_AA)
