"""`--detector auto`: the best detector whose weights lie on this machine; else motion, which needs none.

Nothing is downloaded: whoever wants a model names it once (`--detector transformers:...`), after which it is
in the cache and `auto` takes it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

# D-FINE (Apache-2.0), trained on COCO.
ON_GPU = "ustc-community/dfine-medium-coco"
ON_CPU = "ustc-community/dfine-nano-coco"
KNOWN = (ON_GPU, ON_CPU, "ustc-community/dfine-small-coco", "PekingU/rtdetr_v2_r18vd")
_TORCHVISION = "fasterrcnn_resnet50_fpn_v2"


def choose_detector(name: str, *, device: str, note: Callable[[str], None]) -> str:
    """The detector's name, with "auto" replaced by what can be had here.

    Args:
        name: As asked for.
        device: Where it will run.
        note: Told what "auto" became and why.
    """
    if name != "auto":
        return name
    found = _cached(gpu=_is_gpu(device))
    if found is None:
        note(
            "no detector's weights on this machine: detecting by motion, which needs a fixed camera. "
            f"Better, once downloaded: --detector transformers:{ON_CPU} (docs/ingest.md)"
        )
        return "motion"
    note(f"detector: {found}")
    return found


def model_folder(name: str) -> Path | None:
    """The folder of a detector "transformers:FOLDER"; None for all others."""
    kind, _, model = name.partition(":")
    folder = Path(model).expanduser()
    return folder if kind == "transformers" and model and folder.is_dir() else None


def _is_gpu(device: str) -> bool:
    if device == "auto":
        import torch

        return torch.cuda.is_available()
    return device != "cpu"


def _cached(*, gpu: bool) -> str | None:
    if importlib.util.find_spec("transformers"):
        from huggingface_hub import try_to_load_from_cache

        first = (ON_GPU, ON_CPU) if gpu else (ON_CPU, ON_GPU)
        for model in dict.fromkeys((*first, *KNOWN)):
            files = ("config.json", "preprocessor_config.json", "model.safetensors")
            if all(isinstance(try_to_load_from_cache(model, file), str) for file in files):
                return f"transformers:{model}"
    return f"torchvision:{_TORCHVISION}" if gpu and _torchvision_file() else None


def _torchvision_file() -> Path | None:
    """Where torchvision keeps the weights of its better Faster R-CNN; too slow for a CPU."""
    import torch

    files = sorted((Path(torch.hub.get_dir()) / "checkpoints").glob(f"{_TORCHVISION}_coco-*.pth"))
    return files[0] if files else None
