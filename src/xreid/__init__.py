"""xreid: video-based visible-infrared person re-identification (X-ReID, AAAI 2026)."""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "from_pretrained", "push_to_hub", "write_model_card"]

# Found on first use, so that `import xreid` loads nothing.
_LATER = {
    "from_pretrained": "xreid.inference.hub",
    "push_to_hub": "xreid.inference.hub",
    "write_model_card": "xreid.inference.model_card",
}


def __getattr__(name: str) -> Any:
    """The functions that need torch."""
    if name not in _LATER:
        raise AttributeError(f"module 'xreid' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])
