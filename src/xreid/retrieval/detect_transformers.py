"""Persons by an object detector of the hub's library transformers (Apache-2.0): D-FINE, RT-DETRv2 and others.

https://huggingface.co/docs/transformers/tasks/object_detection. Weights come from a folder, from the hub's
cache, or are downloaded once; a model's licence is its own (D-FINE and RT-DETRv2: Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xreid.core.errors import CheckpointError, ConfigError
from xreid.inference.processes import choose_device
from xreid.retrieval.detections import Boxes
from xreid.retrieval.frames import Image

_MIN_SCORE = 0.5
_PERSON = ("person", "pedestrian", "people")


class TransformersDetector:
    """A model of AutoModelForObjectDetection.

    Args:
        model: A folder with config.json, preprocessor_config.json and model.safetensors, or a hub name.
        device: Where it runs.
        min_score: Least score of a box; none takes 0.5.

    Raises:
        ConfigError: transformers is not installed, or the model knows no person.
        CheckpointError: The model is missing, damaged, or no object detector.
    """

    def __init__(self, model: str, *, device: str = "cpu", min_score: float | None = None) -> None:
        self.device = choose_device(device)
        self.min_score = _MIN_SCORE if min_score is None else min_score
        self._processor, network = _load(model)
        self._network = network.to(self.device).eval()
        names: dict[int, str] = network.config.id2label
        self._persons = [number for number, name in names.items() if name.lower() in _PERSON]
        if not self._persons:
            shown = ", ".join(list(names.values())[:5])
            raise ConfigError(f"detector {model} knows no person", expected="a class 'person'", got=shown)

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """Boxes float32 [N, 5] (see `Detector`)."""
        rgb = [np.ascontiguousarray(image[:, :, ::-1]) for image in images]
        inputs = self._processor(images=rgb, return_tensors="pt").to(self.device)
        found = self._processor.post_process_object_detection(
            self._network(**inputs), threshold=self.min_score, target_sizes=[i.shape[:2] for i in images]
        )
        return [self._boxes(one, image) for one, image in zip(found, images, strict=True)]

    def _boxes(self, found: dict[str, torch.Tensor], image: Image) -> Boxes:
        keep = torch.isin(found["labels"], torch.tensor(self._persons, device=found["labels"].device))
        rows = torch.cat([found["boxes"], found["scores"][:, None]], dim=1)[keep].float().cpu().numpy()
        height, width = image.shape[:2]
        rows[:, :4] = np.clip(rows[:, :4], 0, [width, height, width, height])
        return np.asarray(rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])], dtype=np.float32)


def _load(model: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection
    except ImportError as error:
        raise ConfigError(
            f"detector transformers:{model} needs the library transformers",
            todo="Install it: pip install 'xreid[detect]'.",
        ) from error
    if model.startswith((".", "/", "~")) and not Path(model).expanduser().is_dir():
        raise CheckpointError(f"detector folder {model} does not exist", todo="Check the path.")
    place = str(Path(model).expanduser()) if Path(model).expanduser().is_dir() else model
    try:
        return AutoImageProcessor.from_pretrained(place), AutoModelForObjectDetection.from_pretrained(place)
    except Exception as error:  # the library raises many kinds for what is no model
        raise CheckpointError(
            f"cannot load detector {model}",
            expected="a folder or hub model that AutoModelForObjectDetection reads",
            got=" ".join(str(error).split())[:200],
            todo="Check the name, or download the model once while there is a network.",
        ) from error
