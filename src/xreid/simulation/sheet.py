"""A contact sheet: some simulated people, several cameras, both spectra."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from xreid.core.errors import ConfigError, XReidError
from xreid.core.files import atomic_file
from xreid.core.tracklets import Modality
from xreid.simulation.arrays import Bytes
from xreid.simulation.config import SimulationConfig
from xreid.simulation.plan import PlannedWalk, plan_walks
from xreid.simulation.studio import shoot

CELL = (96, 192)  # width, height
GAP, BAND, MARGIN = 3, 26, 40
INK, PAPER = (40, 40, 40), (250, 250, 250)


def contact_sheet(config: SimulationConfig, *, people: int = 8, cameras: int = 2, frames: int = 3) -> Bytes:
    """Draw a contact sheet: a row per person, `cameras` visible and as many infrared walks, `frames` each.

    Returns:
        uint8 [H, W, 3], blue, green, red.
    """
    walks = plan_walks(replace(config, cameras_per_identity=max(config.cameras_per_identity, cameras)))
    names = list(dict.fromkeys(walk.identity for walk in walks))[:people]
    rows = []
    for name in names:
        own = [walk for walk in walks if walk.identity == name]
        visible = _strip(config, own, Modality.VISIBLE, cameras, frames)
        infrared = _strip(config, own, Modality.INFRARED, cameras, frames)
        label = np.full((CELL[1], MARGIN, 3), PAPER, np.uint8)
        _write(label, name, (3, CELL[1] // 2), 0.38)
        rows.append(np.hstack([label, visible, _blank(CELL[1], 4 * GAP), infrared]))
    width = rows[0].shape[1]
    head = _blank(BAND, width)
    _write(head, "visible", (MARGIN + 4, 18), 0.5)
    _write(head, "infrared (active near-infrared)", (MARGIN + (width - MARGIN) // 2 + 8, 18), 0.5)
    foot = _blank(BAND, width)
    _write(foot, f"synthetic: xreid simulate, seed {config.seed}", (MARGIN + 4, 17), 0.42)
    return np.vstack([head, *(np.vstack([row, _blank(GAP, width)]) for row in rows), foot])


def write_contact_sheet(config: SimulationConfig, path: Path) -> None:
    """Draw a contact sheet and write it as .jpg or .png.

    Raises:
        ConfigError: The file name ends otherwise.
    """
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(f"cannot write a contact sheet as {path.name}", expected="a name in .jpg or .png")
    options = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 80]
    done, data = cv2.imencode(path.suffix, contact_sheet(config), options)
    if not done:
        raise XReidError(f"cannot encode {path}")
    with atomic_file(path) as temporary:
        temporary.write_bytes(bytes(data))


def _strip(
    config: SimulationConfig, walks: list[PlannedWalk], modality: Modality, cameras: int, frames: int
) -> Bytes:
    cells = []
    chosen = [walk for walk in walks if modality in walk.modalities]
    for i in range(cameras):
        images = shoot(config, chosen[i % len(chosen)]).images[modality]
        for at in np.linspace(0.1, 0.9, frames):
            image = images[int(at * (len(images) - 1))]
            cells += [cv2.resize(image, CELL, interpolation=cv2.INTER_AREA), _blank(CELL[1], GAP)]
    return np.hstack(cells)


def _blank(height: int, width: int) -> Bytes:
    return np.full((height, width, 3), PAPER, np.uint8)


def _write(image: Bytes, text: str, place: tuple[int, int], scale: float) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
