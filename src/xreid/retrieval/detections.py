"""What every detector is: a callable from frames to person boxes. One adapter file per detector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError
from xreid.retrieval.frames import FrameSource, Image

Boxes = npt.NDArray[np.float32]
State = Mapping[str, npt.NDArray[Any]]
DETECTORS = (
    "auto, motion, hog, transformers:MODEL (e.g. transformers:ustc-community/dfine-nano-coco), "
    "torchvision:MODEL (e.g. torchvision:fasterrcnn_resnet50_fpn_v2)"
)
_KINDS = ("torchvision", "transformers")


class Detector(Protocol):
    """Finds persons in frames, given in order of time."""

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """For each frame float32 [N, 5]: left, top, right, bottom in pixels, and a score in 0..1.

        Args:
            images: uint8 [H, W, 3], BGR.
        """
        ...


@runtime_checkable
class Learns(Protocol):
    """A detector that learns from the frames it sees, and can be set to where another one stood."""

    def state(self) -> State:
        """What it has learnt; empty before the first frame."""
        ...

    def restore(self, state: State) -> None:
        """Go on from there."""
        ...


@runtime_checkable
class LooksAhead(Protocol):
    """A detector that is better when it has seen some frames of the first seconds before it begins."""

    def look_ahead(self, images: Iterable[Image]) -> None:
        """See some frames of the first seconds, in order of time.

        Args:
            images: uint8 [H, W, 3], BGR.
        """
        ...


def no_boxes() -> Boxes:
    """float32 [0, 5]."""
    return np.zeros((0, 5), dtype=np.float32)


def build_detector(
    name: str,
    *,
    source: FrameSource,
    every: int = 1,
    stills: bool = False,
    weights: Path | None = None,
    device: str = "cpu",
    min_score: float | None = None,
) -> Detector:
    """The detector of that name, fresh.

    Args:
        name: One of DETECTORS but "auto".
        source: What it will see; the background of stills is taken from it beforehand.
        every: It sees every n-th frame.
        stills: Frames are far apart in time, from one fixed camera.
        weights: State of a torchvision model; none downloads torchvision's own.
        device: Where a network runs.
        min_score: Least score of a network's box; none takes its own.

    Raises:
        ConfigError: There is no such detector, no such model in its library, or no such library.
        CheckpointError: The weights do not fit, or cannot be had.
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

        return TorchvisionDetector(model, weights=weights, device=device, min_score=min_score)
    if kind == "transformers" and model:
        from xreid.retrieval.detect_transformers import TransformersDetector

        return TransformersDetector(model, device=device, min_score=min_score)
    raise ConfigError(f"there is no detector {name!r}", expected=DETECTORS)


def check_detector_name(name: str) -> None:
    """Refuse a detector name of no known form.

    Raises:
        ConfigError: There is no such detector.
    """
    kind, _, model = name.partition(":")
    if name not in ("auto", "motion", "hog") and not (kind in _KINDS and model):
        raise ConfigError(f"there is no detector {name!r}", expected=DETECTORS)
