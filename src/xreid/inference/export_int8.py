"""Static quantisation to 8-bit integers: scales of activations from clips, weights channel by channel.

Shapes: B clips, T frames, H x W the network's frame size.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality, TrackletTable
from xreid.data.clips import ClipReader
from xreid.data.loader import RowColumns
from xreid.data.sampling import FrameSampling, sample
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.export_graph import module_of

if TYPE_CHECKING:
    import onnx

Feed = dict[str, npt.NDArray[Any]]
OPERATORS = ("Conv", "Gemm", "MatMul")
#: Modules whose products are quantised: those that every patch passes through. What only class tokens pass
#: through (CLIP's projection, most of SII and LII) is a few percent of the work and, next to the output,
#: most of the error: docs/export.md has the measurements.
_QUANTISED = re.compile(r"encoder\.vit\.(patch_embed|blocks)\b|.*\.key_value$")
_CLIPS_AT_ONCE = 4


def calibration_feeds(model: LoadedModel, table: TrackletTable, *, count: int) -> list[Feed]:
    """Inputs of the exported model: one clip of each of `count` tracklets, half of each modality.

    Args:
        model: Gives frame size, frames per clip, sampling and cameras.
        table: Tracklets to draw from; the training ones, never the test ones.
        count: Tracklets.

    Raises:
        ConfigError: The table lacks a modality.
        DataError: A frame cannot be read.
    """
    preprocessing = model.checkpoint.preprocessing
    reader = ClipReader(table, size=model.network.config.frame_size)
    columns = RowColumns(table, cameras=model.network.config.cameras)
    rows, feeds = _spread_rows(table, count), list[Feed]()
    for start in range(0, len(rows), _CLIPS_AT_ONCE):
        chosen, clips = rows[start : start + _CLIPS_AT_ONCE], []
        for row in chosen:
            every = sample(
                FrameSampling(preprocessing.sampling), len(table[row].frames), preprocessing.frames
            )
            clips.append(reader.read_array(row, every[len(every) // 2]).transpose(0, 2, 3, 1))
        feeds.append(
            {
                "frames": np.stack(clips),
                "cameras": columns.cameras[chosen].numpy(),
                "modalities": columns.modalities[chosen].numpy(),
            }
        )
    return feeds


def quantise(graph: onnx.ModelProto, feeds: list[Feed]) -> onnx.ModelProto:
    """The graph in QDQ form: int8 weights per channel, uint8 activations, scales from the extremes met.

    Args:
        graph: float32.
        feeds: Calibration inputs.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, result = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "int8"))
        onnx.save(graph, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            calibration_data_reader=_Reader(feeds),
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=kept_float(graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(result)


def kept_float(graph: onnx.ModelProto) -> list[str]:
    """Names of the products that stay float32.

    Outside of the modules that every patch passes through, and products of two activations (queries with
    keys, attention with values), which have no stored weight.
    """
    stored = {tensor.name for tensor in graph.graph.initializer}
    return [
        node.name
        for node in graph.graph.node
        if node.op_type in OPERATORS and not (_QUANTISED.match(module_of(node)) and stored & set(node.input))
    ]


def _spread_rows(table: TrackletTable, count: int) -> list[int]:
    chosen = []
    for modality in Modality:
        rows = [i for i, row in enumerate(table) if row.modality is modality]
        if not rows:
            raise ConfigError(
                f"the calibration data has no {modality} tracklets",
                expected="both modalities",
                todo="Calibrate on training tracklets of both.",
            )
        wanted = min(max(count // 2, 1), len(rows))
        chosen += [rows[i * len(rows) // wanted] for i in range(wanted)]
    return chosen


class _Reader:
    """onnxruntime's CalibrationDataReader: `get_next` until None; duck-typed, so that importing is free."""

    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        """The next inputs."""
        return next(self._feeds, None)
