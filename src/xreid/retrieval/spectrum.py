"""Visible or infrared, told from pixels: infrared cameras store grey, visible ones colour.

A frame's chroma is the mean over a 64 x 64 thumbnail of max(R, G, B) - min(R, G, B), in grey levels;
averaging first keeps the coloured noise of dark scenes out. Measured (docs/footage.md): 0.0 for
all 32 infrared night images, 15 to 23 for the visible images of the same moments, 40 to 55 by day.

The rule fails where grey does not mean infrared: a black-and-white camera for visible light is called
infrared, false-colour thermal footage and tinted night vision visible. Then the modality must be given.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xreid.core.tracklets import Modality
from xreid.retrieval.frames import Image

CHROMA_LIMIT = 6.0
_THUMBNAIL = (64, 64)


def chroma(image: Image) -> float:
    """Mean spread between the channels of a thumbnail, 0 (grey) to 255.

    Args:
        image: uint8 [H, W, 3].
    """
    small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
    return float(np.ptp(small, axis=2).mean())


def modality_from(chromas: Sequence[float]) -> Modality:
    """The modality of a tracklet, from the chroma of the whole frames in which it was seen."""
    return Modality.VISIBLE if float(np.mean(chromas)) > CHROMA_LIMIT else Modality.INFRARED
