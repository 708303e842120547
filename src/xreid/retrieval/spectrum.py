"""Visible or infrared, told from pixels: infrared cameras store grey, or one tint; visible ones colours.

A frame's chroma is how far the colours of a 32 x 32 thumbnail lie from the best grey or tint: the two colour
channels are fitted by a parabola in brightness, and what is left over is averaged, in grey levels. Averaging
over the thumbnail's cells keeps the coloured noise of dark scenes out, the fit keeps out the green or purple
of night vision. Measured (docs/ingest.md): 0.0 for all 32 infrared night images and at most 0.4 with tint or
strong coloured noise; from 5 up for the visible images of the same moments, 1.5 at three tenths of their
brightness, 9 and more by day.

The rule fails where colours do not mean visible light, or grey infrared: false-colour thermal footage is
called visible, a black-and-white camera for visible light infrared. Then the modality must be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from xreid.core.tracklets import Modality
from xreid.retrieval.frames import Image

CHROMA_LIMIT = 0.75
_THUMBNAIL = (32, 32)
_STEEPNESS = 3.0  # confidence is logistic in this many times the log ratio of chroma and limit
_NOTHING = 1e-12  # keeps the powers of a flat picture out: they explain no colour
_FLOOR = 0.05  # grey levels; keeps the logarithm of 0 out


def chroma(image: Image) -> float:
    """Mean distance of a thumbnail's colours from one tint, in grey levels: 0 (grey or tinted) to about 100.

    Args:
        image: uint8 [H, W, 3], BGR.
    """
    small = cv2.resize(_whole_cells(image), _THUMBNAIL, interpolation=cv2.INTER_AREA)
    planes = np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_BGR2YCrCb)).reshape(-1, 3)
    bright, colours = planes[:, 0].astype(np.float64), planes[:, 1:].astype(np.float64)
    left = colours - colours.mean(axis=0)
    line = bright - bright.mean()
    for power in (line, _without(line**2 - (line**2).mean(), line)):
        left = left - np.outer(power, power @ left / max(float(power @ power), _NOTHING))
    return float(np.hypot(left[:, 0], left[:, 1]).mean() * 255)


def _whole_cells(image: Image) -> Image:
    """The middle of a picture that cells of whole pixels cover: OpenCV averages these three times as fast."""
    height, width = image.shape[:2]
    down, across = height % _THUMBNAIL[1], width % _THUMBNAIL[0]
    if height < _THUMBNAIL[1] or width < _THUMBNAIL[0]:
        return image
    return image[down // 2 : height - (down + 1) // 2, across // 2 : width - (across + 1) // 2]


def _without(values: npt.NDArray[np.float64], line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What of the values does not follow the line; both of mean 0."""
    return values - line * float(values @ line / max(float(line @ line), _NOTHING))


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """A modality, and how sure it is.

    Attributes:
        modality: Visible or infrared.
        confidence: 0.5 (a guess) to 1.
    """

    modality: Modality
    confidence: float


def spectrum_from(chromas: Sequence[float]) -> Spectrum:
    """The modality of a stretch of one camera, from the chroma of its frames.

    The mean over the frames of log(chroma / limit) decides; the further it is from 0, the surer.
    """
    values = np.asarray(chromas, dtype=np.float64)
    evidence = float(np.mean(np.log((values + _FLOOR) / (CHROMA_LIMIT + _FLOOR))))
    confidence = 1 / (1 + np.exp(-_STEEPNESS * abs(evidence)))
    return Spectrum(
        modality=Modality.VISIBLE if evidence > 0 else Modality.INFRARED,
        confidence=round(float(confidence), 4),
    )


def modality_of(chromas: Sequence[float], *, stated: str) -> Modality:
    """The modality that was stated of a camera; where that is "auto", as its frames say."""
    return spectrum_from(chromas).modality if stated == "auto" else Modality(stated)


def switches(chromas: npt.ArrayLike, *, window: int) -> list[int]:
    """Where a recording changes its modality: the places of the first frames of a new one.

    A frame votes by its chroma; the majority of the `window` frames around it counts, which leaves a lasting
    change where it is and takes out what lasts less than half a window. Runs shorter than a window (a lamp
    that passes, the moment of the switch itself) then join the run before them, the first one the run after.

    Args:
        chromas: [F], of consecutive frames.
        window: Frames; one second's worth.
    """
    visible = np.asarray(chromas, dtype=np.float64) > CHROMA_LIMIT
    if not len(visible):
        return []
    window = max(3, window) | 1
    padded = np.pad(visible.astype(np.int64), window // 2, mode="edge")
    sums = np.convolve(padded, np.ones(window, dtype=np.int64), mode="valid")
    smooth = sums * 2 > window
    edges = [0, *(np.flatnonzero(smooth[1:] != smooth[:-1]) + 1).tolist(), len(smooth)]
    runs = [(start, bool(smooth[start])) for start, end in pairwise(edges) if end - start >= window]
    return [start for (_, before), (start, now) in pairwise(runs) if now != before]
