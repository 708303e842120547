"""Checkpoint -> a folder with an ONNX model and a record of everything its user must know.

OUT/model.onnx     frames uint8 [B, T, H, W, 3], cameras, modalities [B] -> unit vectors, features [B, D]
OUT/export.json    preprocessing, layout, licence, hashes, calibration, check; all but the last also lies in
                   the model's own metadata, under "xreid"

Shapes: B tracklets, T frames, H x W the network's frame size, D width of an embedding.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import xreid
from xreid.core.errors import ConfigError, DataError
from xreid.core.files import atomic_file, read_json, sha256_of_file, write_json
from xreid.core.tracklets import TrackletTable
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.embed import Tell
from xreid.inference.export_check import ExportCheck, Tolerance, check_export, require_checkable
from xreid.inference.export_encoder import TrackletEncoder
from xreid.inference.export_graph import require_equal, require_onnx, store_as_bfloat16, trace
from xreid.inference.growth import table_hash
from xreid.inference.onnx_encoder import FORMAT, MODEL, RECORD, OnnxEncoder, open_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Note = Callable[[str], None]

#: Least cosine between original and export: what each precision costs, measured (docs/export.md), and some.
LEAST_COSINE: dict[Precision, float] = {"fp32": 0.9999, "fp16": 0.995, "bf16": 0.995, "int8": 0.98}
ARITHMETIC: dict[Precision, str] = {
    "fp32": "float32",
    "fp16": "network in float16; preprocessing, BNNecks and outputs in float32",
    "bf16": "weights stored as bfloat16; arithmetic in float32",
    "int8": "products that every patch passes through in 8 bits (weights int8 per channel, activations "
    "uint8); the rest in float32",
}


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is exported and what is asked of it.

    Attributes:
        precision: fp32; fp16 (network computed in float16); bf16 (weights stored as bfloat16, computed in
            float32); int8 (static quantisation, needs calibration data).
        calibration_tracklets: Tracklets that int8's scales are taken from, half of each modality.
        points: Most that Rank-1 or mAP may move in the check, in percentage points.
        cosine: Least cosine to the original in the check; 0 for the precision's own.
        batch: Clips at once in the check.
        threads: Threads of onnxruntime; 0 for its own choice.
    """

    precision: Precision = "fp32"
    calibration_tracklets: int = 64
    points: float = 1.0
    cosine: float = 0.0
    batch: int = 16
    threads: int = 0

    def __post_init__(self) -> None:
        if self.cosine > 1:
            raise ConfigError("cosine is out of range", expected="1 or less", got=str(self.cosine))
        for name, low in (
            ("calibration_tracklets", 2),
            ("points", 0),
            ("cosine", 0),
            ("batch", 1),
            ("threads", 0),
        ):
            if not getattr(self, name) >= low:
                raise ConfigError(
                    f"{name} is out of range", expected=f"{low} or more", got=str(getattr(self, name))
                )

    @property
    def tolerance(self) -> Tolerance:
        """What the check allows."""
        return Tolerance(points=self.points, cosine=self.cosine or LEAST_COSINE[self.precision])


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What `export_model` wrote.

    Attributes:
        folder: Where.
        record: What export.json says.
        check: What the check found, if one was asked for.
    """

    folder: Path
    record: dict[str, Any]
    check: ExportCheck | None


def export_model(
    model: LoadedModel,
    out: Path,
    *,
    config: ExportConfig | None = None,
    calibration: TrackletTable | None = None,
    check: TrackletTable | None = None,
    tell: Tell = lambda done, total: None,
    note: Note = lambda text: None,
) -> ExportResult:
    """Export a model; with a check that fails, nothing is left.

    Every export is held against the network on noise. Killed and called again, it goes on where it was: what
    is unfinished lies beside `out` until the check has passed.

    Args:
        model: The model, on the CPU.
        out: Folder to write; must not exist.
        config: What is exported.
        calibration: Training tracklets; for int8, and only there.
        check: Test tracklets that original and export are compared on; none: no check.
        tell: Called with tracklets done and to do, of each embedding in the check.
        note: Called with remarks.

    Raises:
        ConfigError: `out` exists, an option is wrong, a package is absent, or the network cannot be traced.
        CheckpointError: The check failed.
        ProtocolError: The check's tracklets cannot be evaluated.
        DataError: A frame cannot be read.
        XReidError: `out` cannot be written, or the graph is not the network.
    """
    config = config or ExportConfig()
    require_onnx()
    if out.exists():
        raise ConfigError(f"{out} exists", todo="Choose another folder, or remove it.")
    if (file := next((parent for parent in out.parents if parent.is_file()), None)) is not None:
        raise ConfigError(f"cannot write {out}: {file} is a file", todo="Choose another folder.")
    if (config.precision == "int8") != (calibration is not None):
        raise ConfigError(
            f"precision {config.precision} and calibration data do not fit",
            expected="calibration data for int8, and only there",
            todo="Give --calibrate DATA (training tracklets) with --precision int8.",
        )
    if check is not None:
        require_checkable(model, check)
    work = out.parent / f".{out.name}.export"
    with _removed_unless_killed(work):
        record = _write(model, work, config=config, calibration=calibration, note=note)
        found = None
        if check is not None:
            found = check_export(
                model,
                OnnxEncoder.load(work, threads=config.threads),
                check,
                work=work / "check",
                tolerance=config.tolerance,
                batch=config.batch,
                tell=tell,
                note=note,
            )
            note(found.text())
            found.require()
            shutil.rmtree(work / "check")
        record = record | {"check": None if found is None else found.plain()}
        write_json(work / RECORD, record)
        _put_in_place(work, out)
    return ExportResult(folder=out, record=record, check=found)


@contextmanager
def _removed_unless_killed(work: Path) -> Iterator[None]:
    """An interrupt (Ctrl-C) keeps the folder, as a kill does; an error removes it."""
    try:
        yield
    except Exception:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _put_in_place(work: Path, out: Path) -> None:
    try:
        work.rename(out)
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}", todo="Choose another folder.") from error


def _write(
    model: LoadedModel,
    work: Path,
    *,
    config: ExportConfig,
    calibration: TrackletTable | None,
    note: Note,
) -> dict[str, Any]:
    """Write model and record into `work`, unless they are there; returns the record without the check."""
    record = describe(model, config=config, calibration=calibration)
    found = _found(work)
    if found is not None and {**found, "model_sha256": None} == {**record, "model_sha256": None}:
        note(f"going on with the model in {work}")
        return found
    shutil.rmtree(work, ignore_errors=True)
    graph = _graph(model, config=config, calibration=calibration, note=note)
    _set_metadata(graph, record)
    import onnx

    with atomic_file(work / MODEL) as temporary:
        onnx.save(graph, temporary)
    record = record | {"model_sha256": sha256_of_file(work / MODEL)}
    write_json(work / RECORD, record)
    return record


def _graph(
    model: LoadedModel, *, config: ExportConfig, calibration: TrackletTable | None, note: Note
) -> onnx.ModelProto:
    feeds = None
    if calibration is not None:  # before the tracing: it may be wrong
        from xreid.inference.export_int8 import calibration_feeds

        feeds = calibration_feeds(model, calibration, count=config.calibration_tracklets)
    encoder = TrackletEncoder(model)
    graph = trace(TrackletEncoder(model, half=True) if config.precision == "fp16" else encoder)
    if config.precision == "bf16":
        store_as_bfloat16(graph)
    least = require_equal(graph.SerializeToString(), encoder, half=config.precision in ("fp16", "bf16"))
    note(f"traced for any number of tracklets and frames; least cosine to the network on noise {least:.6f}")
    if feeds is not None:
        from xreid.inference.export_int8 import quantise

        graph = quantise(graph, feeds)
        open_session(graph.SerializeToString())
        note(f"quantised with {sum(len(feed['cameras']) for feed in feeds)} clips")
    return graph


def describe(
    model: LoadedModel, *, config: ExportConfig, calibration: TrackletTable | None = None
) -> dict[str, Any]:
    """The record of an export, JSON-serialisable, without the model's hash and the check."""
    checkpoint, network = model.checkpoint, model.network.config
    preprocessing = checkpoint.preprocessing
    height, width = network.frame_size
    total = sum(part for _, part in model.network.layout)
    return {
        "format": FORMAT,
        "xreid": xreid.__version__,
        "licence": checkpoint.licence,
        "source": checkpoint.source,
        "checkpoint_sha256": model.sha256,
        "config_sha256": checkpoint.hash,
        "precision": config.precision,
        "arithmetic": ARITHMETIC[config.precision],
        "inputs": {
            "frames": f"uint8 [tracklets, frames, {height}, {width}, 3], RGB, any number of both",
            "cameras": "int64 [tracklets], position in `cameras`, -1 where unknown"
            + ("" if model.network.camera_embedding is not None else "; this model does not use them"),
            "modalities": "int64 [tracklets], 0 visible, 1 infrared"
            + ("" if network.neck == "per-modality" else "; this model does not use them"),
        },
        "outputs": {
            "embeddings": f"float32 [tracklets, {total}], unit length",
            "features": f"float32 [tracklets, {total}], before that: sum those of a tracklet's clips, then "
            "bring the sum to unit length",
        },
        "frame_size": [height, width],
        "resize": "outside of the model: bilinear, antialiased where it shrinks",
        "normalisation": {
            "where": "inside of the model",
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
        },
        "frames": preprocessing.frames,
        "sampling": preprocessing.sampling,
        "flip": "inside of the model" if preprocessing.flip else "none",
        "cameras": list(network.cameras) if model.network.camera_embedding is not None else [],
        "layout": [list(part) for part in model.network.layout],
        "calibration": None
        if calibration is None
        else {
            "source": calibration.source,
            "licence": calibration.licence,
            "tracklets": config.calibration_tracklets,
            "sha256": table_hash(calibration),
        },
    }


def _set_metadata(graph: onnx.ModelProto, record: dict[str, Any]) -> None:
    """Put the record in, and take out where each node was traced from: paths of this machine."""
    from onnx import helper

    for part in (graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.functions):
        del part.metadata_props[:]
        part.doc_string = ""
    helper.set_model_props(
        graph,
        {"xreid": json.dumps(record), "licence": record["licence"], "layout": json.dumps(record["layout"])},
    )


def _found(work: Path) -> dict[str, Any] | None:
    """The record of a model that an earlier call left, if it is whole."""
    try:
        record = read_json(work / RECORD)
        whole = sha256_of_file(work / MODEL) == record["model_sha256"]
    except (DataError, OSError, KeyError, TypeError):
        return None
    return record if whole else None
