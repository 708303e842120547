"""PyTorch module -> ONNX graph, in float32 or float16, or with weights stored as bfloat16."""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from xreid.core.errors import ConfigError, XReidError
from xreid.inference.export_encoder import TrackletEncoder

if TYPE_CHECKING:
    import onnx
    import onnxruntime

INPUTS, OUTPUTS = ("frames", "cameras", "modalities"), ("embeddings", "features")
_EXAMPLE = (3, 5)  # tracklets and frames traced with; both dimensions stay free
_SHAPES = ((1, 1), (2, 1), (1, 2), (3, 2), (2, 3), (2, 7))
_CLOSE = 1e-4  # of 1 - cosine, on noise; rounding of float32 is 1e-6
_CLOSE_HALF = 2e-2  # of float16 or bfloat16 weights; noise is far from what a network is used to
_REPORT = "Report it: torch.onnx does not translate this network's code."
_SMALL = 1024  # numbers; tensors below it are not worth storing as bfloat16


def require_onnx() -> None:
    """Refuse where the packages of the extra "export" are absent.

    Raises:
        ConfigError: One of them is.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"exporting needs the package {error.name}", todo="pip install 'xreid[export]'"
        ) from error
    del onnx, onnxruntime


def trace(encoder: TrackletEncoder) -> onnx.ModelProto:
    """The graph of an encoder, for any number of tracklets and of frames.

    Raises:
        ConfigError: The network has code that depends on the values or on the number of frames.
    """
    height, width = encoder.network.config.frame_size
    frames = torch.zeros((*_EXAMPLE, height, width, 3), dtype=torch.uint8)
    numbers = torch.zeros(_EXAMPLE[0], dtype=torch.int64)
    # without gradients from outside: `features` would else become a graph of its own, without module names
    with _quietly(), torch.no_grad():
        try:
            program = torch.onnx.export(
                encoder,
                (frames, numbers, numbers.clone()),
                dynamo=True,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_shapes={
                    "frames": {0: "tracklets", 1: "frames_per_tracklet"},
                    "cameras": {0: "tracklets"},
                    "modalities": {0: "tracklets"},
                },
                custom_translation_table={torch.ops.aten.repeat_interleave.self_int: _repeat_interleave},
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ConfigError(
                f"this network ({type(encoder.network).__name__}) cannot be exported",
                expected="code that does not depend on values or on the number of frames",
                got=_cause(error),
                todo="Write what depends on them with index_select, as xreid.inference.export_encoder does.",
            ) from error
    assert program is not None
    return program.model_proto


def module_of(node: onnx.NodeProto) -> str:
    """Name of the innermost module that a node was traced from, e.g. "encoder.vit.blocks.0.mlp.fc1"."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = [name for name in ast.literal_eval(entry.value) if name.startswith("network.")]
            return scopes[-1].removeprefix("network.") if scopes else ""
    return ""


def require_equal(graph: bytes, encoder: TrackletEncoder, *, half: bool = False) -> float:
    """Hold a graph against its module on noise, for several numbers of tracklets and frames, one included.

    Args:
        graph: The ONNX model.
        encoder: The float32 encoder.
        half: Whether the graph computes in, or was stored in, 16 bits.

    Returns:
        The least cosine met.

    Raises:
        XReidError: They differ by more than rounding.
    """
    from xreid.inference.onnx_encoder import open_session

    session, least, close = open_session(graph), 1.0, _CLOSE_HALF if half else _CLOSE
    height, width = encoder.network.config.frame_size
    generator = np.random.default_rng(0)
    num_cameras = max(len(encoder.network.config.cameras), 1)
    for tracklets, frames in _SHAPES:
        pixels = generator.integers(0, 256, (tracklets, frames, height, width, 3), dtype=np.uint8)
        cameras = generator.integers(-1, num_cameras, tracklets)
        values = (pixels, cameras, generator.integers(0, 2, tracklets))
        found = _run(session, dict(zip(INPUTS, values, strict=True)))
        with torch.no_grad():
            expected = encoder(*map(torch.from_numpy, values))[0].numpy()
        least = min(least, float((found * expected).sum(axis=1).min()))
        if not 1 - least < close:  # also for NaN
            raise XReidError(
                f"the exported graph differs from the network for {tracklets} tracklets of {frames} frames",
                expected=f"cosine above {1 - close}",
                got=f"{least:.6f}",
                todo=_REPORT,
            )
    return least


def _run(session: onnxruntime.InferenceSession, values: dict[str, np.ndarray]) -> np.ndarray:
    try:
        found: np.ndarray = session.run([OUTPUTS[0]], values)[0]
        return found
    except Exception as error:  # its classes have no common public base
        shape = " x ".join(map(str, values["frames"].shape[:2]))
        raise XReidError(
            f"the exported graph does not run on {shape} frames",
            got=" ".join(str(error).split())[:160],
            todo=_REPORT,
        ) from error


def store_as_bfloat16(graph: onnx.ModelProto) -> None:
    """Store weights as bfloat16, rounded to nearest, in place; a Cast widens each when the model is loaded.

    Arithmetic stays float32: onnxruntime has no bfloat16 kernels for convolutions and normalisations.
    """
    import ml_dtypes
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.size < _SMALL:
            continue
        stored = f"{name}.bfloat16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(ml_dtypes.bfloat16), name=stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _repeat_interleave(self: Any, repeats: Any, dim: int, output_size: Any = None) -> Any:
    """aten::repeat_interleave by a symbolic number; onnxscript 0.7.2 puts it one place too far left.

    The names of the parameters are those of the operator.
    """
    from onnxscript import opset18

    op: Any = opset18  # its annotations want each tensor's type named
    rank = len(self.shape)
    place = dim % rank
    one, rest = op.Constant(value_ints=[1]), op.Constant(value_ints=[-1])
    counts = [one] * (place + 1) + [op.Reshape(repeats, rest)] + [one] * (rank - place - 1)
    repeated = op.Expand(op.Unsqueeze(self, op.Constant(value_ints=[place + 1])), op.Concat(*counts, axis=0))
    sizes = [rest if i == place else op.Shape(self, start=i, end=i + 1) for i in range(rank)]
    return op.Reshape(repeated, op.Concat(*sizes, axis=0))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's progress and the warnings of the libraries below it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:160]
