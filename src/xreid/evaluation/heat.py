"""Values of patches drawn over a frame, as small data URIs that sit beside the thumbnails of a page.

Cells stay as coarse as the values are: smoothing would show a sharpness that no patch has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.evaluation.pictures import data_uri, small_frame

Floats = npt.NDArray[np.floating]

# Anchors of the two scales (RGB); they differ in lightness, so that they read without colour and in print.
_ATTENTION = ((20, 24, 60), (122, 40, 130), (226, 88, 74), (255, 206, 84), (255, 250, 190))
_AGAINST, _FOR = (35, 110, 245), (255, 120, 10)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values become colours; the same for all pictures that shall be compared.

    Attributes:
        top: Value of the strongest colour, above 0.
        signed: Whether values below 0 mean the opposite (blue against orange) and 0 is bare.
    """

    top: float
    signed: bool = False

    def paint(self, grey: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        """Colour a picture.

        Args:
            grey: [H, W] in 0..255.
            values: [H, W], the value at each pixel.

        Returns:
            uint8 [H, W, 3].
        """
        strength = np.clip(values / self.top, -1 if self.signed else 0, 1)[..., None]
        base = np.repeat(grey[..., None], 3, axis=2)
        if self.signed:
            colour = np.where(strength > 0, np.array(_FOR, dtype=float), np.array(_AGAINST, dtype=float))
            share = 0.75 * np.abs(strength)
        else:
            stops = np.linspace(0, 1, len(_ATTENTION))
            anchors = np.array(_ATTENTION, dtype=float)
            colour = np.stack([np.interp(strength[..., 0], stops, anchors[:, c]) for c in range(3)], axis=-1)
            share = 0.35 + 0.35 * strength  # where little is looked at, the frame stays readable
        painted: npt.NDArray[np.uint8] = np.clip(base * (1 - share) + colour * share, 0, 255).astype(np.uint8)
        return painted


def heat_picture(path: Path, values: Floats, *, scale: Scale) -> str | None:
    """A frame in grey under the colours of its patches, as a JPEG data URI; None where it cannot be read.

    Args:
        path: The frame.
        values: [rows, columns], spread over the whole frame.
        scale: Of the colours.
    """
    from PIL import Image

    small = small_frame(path)
    if small is None:
        return None
    grey = np.asarray(small.convert("L"), dtype=np.float64)
    rows = np.arange(grey.shape[0]) * values.shape[0] // grey.shape[0]
    columns = np.arange(grey.shape[1]) * values.shape[1] // grey.shape[1]
    painted = scale.paint(grey, np.asarray(values, dtype=np.float64)[np.ix_(rows, columns)])
    return data_uri(Image.fromarray(painted), quality=80, subsampling=0)
