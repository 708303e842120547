"""Names for arrays; docstrings say dtype, range and shape, which OpenCV's type hints do not know."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Floats = npt.NDArray[Any]
"""float32 unless a docstring says otherwise."""

Bytes = npt.NDArray[Any]
"""uint8."""
