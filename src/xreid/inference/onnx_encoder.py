"""An exported model in onnxruntime.

Shapes: B tracklets, T frames, H x W the network's frame size, D width of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xreid.core.errors import CheckpointError, ConfigError
from xreid.core.files import read_json, sha256_of_file

if TYPE_CHECKING:
    import onnxruntime

FORMAT = 1
MODEL, RECORD = "model.onnx", "export.json"

Vectors = npt.NDArray[np.float32]


def open_session(model: bytes | Path, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session on the CPU.

    Args:
        model: The file, or its bytes.
        threads: Of arithmetic; 0 for onnxruntime's own choice.

    Raises:
        ConfigError: onnxruntime is absent.
        CheckpointError: It refuses the model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError("running an export needs onnxruntime", todo="pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes have no common public base
        what = "the model" if isinstance(model, bytes) else str(model)
        raise CheckpointError(
            f"onnxruntime refuses {what}", got=" ".join(str(error).split())[:200]
        ) from error


@dataclass(frozen=True, kw_only=True)
class OnnxEncoder:
    """An exported model, ready to embed.

    Attributes:
        session: It, in onnxruntime.
        record: What export.json says.
        sha256: Of the model's file.
    """

    session: onnxruntime.InferenceSession
    record: dict[str, Any]
    sha256: str

    @classmethod
    def load(cls, folder: Path, *, threads: int = 0) -> OnnxEncoder:
        """Read a folder written by `xreid export`.

        Raises:
            CheckpointError: It is damaged, or of another format.
            DataError: It is missing.
            ConfigError: onnxruntime is absent.
        """
        record = read_json(folder / RECORD, what="export")
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise CheckpointError(f"{folder / RECORD} has another format", expected=f"format {FORMAT}")
        if not (folder / MODEL).is_file():
            raise CheckpointError(f"{folder / MODEL} is missing", todo="Copy the whole folder.")
        found = sha256_of_file(folder / MODEL)
        if found != record.get("model_sha256"):
            raise CheckpointError(
                f"{folder / MODEL} is damaged or was exchanged", todo="Copy the folder again."
            )
        session = open_session(folder / MODEL, threads=threads)
        return cls(session=session, record=record, sha256=found)

    def features(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        cameras: npt.NDArray[np.int64],
        modalities: npt.NDArray[np.int64],
    ) -> Vectors:
        """Clips to float32 [B, D], before they are brought to unit length.

        Args:
            frames: uint8 [B, T, H, W, 3], RGB.
            cameras: int64 [B], position among the training cameras; -1 unknown.
            modalities: int64 [B], 0 visible, 1 infrared.
        """
        values = {"frames": frames, "cameras": cameras, "modalities": modalities}
        found: Vectors = self.session.run(["features"], values)[0]
        return found
