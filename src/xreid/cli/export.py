"""`xreid export CHECKPOINT OUT`: a model for onnxruntime, compared with its original before it is kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.options import parse
from xreid.cli.progress import tracklet_lines
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.core.tracklets import TrackletTable
    from xreid.inference.export import ExportResult


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Export a model to ONNX: pixels in, embeddings out, for any number of tracklets and frames.

    Attributes:
        checkpoint: Folder of a checkpoint, or of a finished run.
        out: Folder to write (model.onnx, export.json); must not exist.
        precision: fp32; fp16 (network computed in float16); bf16 (weights stored as bfloat16, computed in
            float32); int8 (static quantisation, needs --calibrate).
        calibrate: Archive whose training tracklets give int8 its scales.
        calibration_tracklets: How many of them, half of each modality.
        check: Archive whose test tracklets (query and gallery, where it has them) original and export are
            compared on; an export outside of the tolerance is refused and nothing is left.
        points: Tolerance of the check: most that Rank-1 or mAP may move, in percentage points.
        cosine: Tolerance of the check: least cosine to the original; 0 for the precision's own (fp32 0.9999,
            fp16 and bf16 0.995, int8 0.98).
        layout: Layout of the archives; "auto" decides by structure.
        min_frames: Shorter tracklets are left out; none: the layout's rule.
        batch: Clips at once in the check.
        threads: Threads for arithmetic; 0 for the libraries' own choice.
    """

    checkpoint: Path
    out: Path
    precision: Literal["fp32", "fp16", "bf16", "int8"] = "fp32"
    calibrate: Path | None = None
    calibration_tracklets: int = 64
    check: Path | None = None
    points: float = 1.0
    cosine: float = 0.0
    layout: Literal["auto", "hitsz-vcm", "bupt-campus", "table", "folder"] = "auto"
    min_frames: int | None = None
    batch: int = 16
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ConfigError("threads must not be negative", got=str(self.threads))


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(ExportOptions, argv, verb="export", positional=("checkpoint", "out"))
    start = time.perf_counter()
    result = _export(options)
    print(
        f"{result.folder}: {options.precision}, {_size(result.folder)}, licence: {result.record['licence']}; "
        f"{'checked' if result.check else 'NOT checked against the original (--check DATA does)'}, "
        f"{time.perf_counter() - start:.1f} s"
    )
    return 0


def _export(options: ExportOptions) -> ExportResult:
    import torch

    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.export import ExportConfig, export_model

    config = ExportConfig(
        precision=options.precision,
        calibration_tracklets=options.calibration_tracklets,
        points=options.points,
        cosine=options.cosine,
        batch=options.batch,
        threads=options.threads,
    )
    if options.threads:
        torch.set_num_threads(options.threads)
    return export_model(
        load_checkpoint(options.checkpoint),
        options.out,
        config=config,
        calibration=_table(options.calibrate, ("train",), options),
        check=_table(options.check, ("query", "gallery"), options),
        tell=tracklet_lines("export"),
        note=lambda text: print(f"export: {text}", file=sys.stderr, flush=True),
    )


def _table(root: Path | None, subsets: Sequence[str], options: ExportOptions) -> TrackletTable | None:
    """The archive's rows of these subsets, or all where it has none of them."""
    if root is None:
        return None
    from xreid.data.archive import open_archive

    table = open_archive(root.absolute(), layout=options.layout, min_frames=options.min_frames)
    return table.subset_if_any(*subsets)


def _size(folder: Path) -> str:
    return f"{sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB"
