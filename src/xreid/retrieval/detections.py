"""What every detector is: a callable from a frame to person boxes. One adapter file per detector."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError
from xreid.retrieval.frames import FrameSource, Image

Boxes = npt.NDArray[np.float32]
DETECTORS = "motion, hog, torchvision:MODEL (e.g. torchvision:fasterrcnn_resnet50_fpn_v2)"


class Detector(Protocol):
    """Finds persons in one frame."""

    def __call__(self, image: Image) -> Boxes:
        """float32 [N, 5]: left, top, right, bottom in pixels, and a score in 0..1.

        Args:
            image: uint8 [H, W, 3], BGR.
        """
        ...


def no_boxes() -> Boxes:
    """float32 [0, 5]."""
    return np.zeros((0, 5), dtype=np.float32)


def build_detector(
    name: str, *, source: FrameSource, every: int, stills: bool, weights: Path | None, device: str
) -> Detector:
    """The detector of that name, fresh.

    Args:
        name: One of DETECTORS.
        source: What it will see; the background of stills is taken from it beforehand.
        every: It sees every n-th frame.
        stills: Frames are far apart in time, from one fixed camera.
        weights: State of a torchvision model; none downloads torchvision's own.
        device: Where a torchvision model runs.

    Raises:
        ConfigError: There is no such detector, or no such model in torchvision.
        CheckpointError: The weights do not fit.
    """
    if name == "motion":
        from xreid.retrieval.motion import MotionDetector

        if stills:
            return MotionDetector.for_stills(source)
        return MotionDetector(fps=source.fps / every)
    if name == "hog":
        from xreid.retrieval.detect_hog import HogDetector

        return HogDetector()
    kind, _, model = name.partition(":")
    if kind == "torchvision" and model:
        from xreid.retrieval.detect_torchvision import TorchvisionDetector

        return TorchvisionDetector(model, weights=weights, device=device)
    raise ConfigError(f"there is no detector {name!r}", expected=DETECTORS)


def check_detector_name(name: str) -> None:
    """Refuse a detector name of no known form.

    Raises:
        ConfigError: There is no such detector.
    """
    if name not in ("motion", "hog") and not (name.startswith("torchvision:") and name[12:]):
        raise ConfigError(f"there is no detector {name!r}", expected=DETECTORS)
