"""Persons by one of torchvision's detectors (BSD); trained on COCO, whose class 1 is "person".

https://pytorch.org/vision/stable/models.html#object-detection
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xreid.core.errors import CheckpointError, ConfigError
from xreid.inference.processes import choose_device
from xreid.models.weights import read_tensors
from xreid.retrieval.detections import Boxes
from xreid.retrieval.frames import Image

_PERSON = 1
_MIN_SCORE = 0.5


class TorchvisionDetector:
    """A model of torchvision.models.detection.

    Args:
        model: Its name, e.g. "fasterrcnn_resnet50_fpn_v2" or "ssdlite320_mobilenet_v3_large".
        weights: A state dict saved with torch.save or as safetensors; none takes torchvision's own, which it
            downloads once.
        device: Where it runs.
        min_score: Least score of a box; none takes 0.5.

    Raises:
        ConfigError: torchvision has no detector of that name, or there is no such device.
        CheckpointError: The weights are missing, of another shape, or cannot be downloaded.
    """

    def __init__(
        self,
        model: str,
        *,
        weights: Path | None = None,
        device: str = "cpu",
        min_score: float | None = None,
    ) -> None:
        from torchvision.models import detection, list_models

        known = list_models(module=detection)
        if model not in known:
            raise ConfigError(f"torchvision has no detector {model!r}", expected=", ".join(known))
        self.device = choose_device(device)
        self.min_score = _MIN_SCORE if min_score is None else min_score
        network = _with_weights(model, weights) if weights else _own(model)
        self._network = network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """Boxes float32 [N, 5] (see `Detector`)."""
        rgb = [torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1])) for image in images]
        found = self._network([image.permute(2, 0, 1).to(self.device).float() / 255 for image in rgb])
        return [_persons(one, min_score=self.min_score) for one in found]


def _persons(found: dict[str, torch.Tensor], *, min_score: float) -> Boxes:
    keep = (found["labels"] == _PERSON) & (found["scores"] >= min_score)
    boxes = torch.cat([found["boxes"], found["scores"][:, None]], dim=1)[keep]
    return np.asarray(boxes.cpu().numpy(), dtype=np.float32)


def _with_weights(model: str, path: Path) -> Any:
    from torchvision.models import get_model

    network = get_model(model, weights=None, weights_backbone=None)
    try:
        network.load_state_dict(read_tensors(path))
    except struct.error as error:  # torch's reader on a file that ends too soon
        raise CheckpointError(f"cannot read weights {path}", got=str(error)) from error
    except RuntimeError as error:
        raise CheckpointError(
            f"weights {path} do not fit torchvision's {model}",
            got=" ".join(str(error).split())[:200],
            todo="Take the weights that torchvision publishes for that model (91 classes).",
        ) from error
    return network


def _own(model: str) -> Any:
    from torchvision.models import get_model

    try:
        return get_model(model, weights="DEFAULT")
    except OSError as error:
        raise CheckpointError(
            f"cannot download torchvision's weights of {model}", got=str(error), todo="Give --weights FILE."
        ) from error
