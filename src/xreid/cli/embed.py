"""`xreid embed CHECKPOINT DATA OUT`: tracklets -> a stored embedding set, resumed by the same command."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.on_ray import RayOptions
from xreid.cli.options import parse
from xreid.cli.progress import tracklet_progress
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.core.embeddings import EmbeddingSet
    from xreid.core.pacing import Tell
    from xreid.core.tracklets import TrackletTable
    from xreid.inference.embed import EmbedConfig


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(RayOptions):
    """Embed tracklets; killed and started again by the same command, it goes on where it was.

    Attributes:
        checkpoint: Folder of a checkpoint, or of a finished run.
        data: The archive: HITSZ-VCM, BUPTCampus, own table or folder tree, ingested video.
        out: Folder of the embedding set.
        subset: Subsets to embed (train, auxiliary, query, gallery); default query and gallery where the
            archive has them, else all.
        held_out: Embed the identities that the run kept out of training (--selection.held_out) instead.
        short: Embed the tracklets that `xreid ingest` keeps apart as too short, of all recordings, instead.
        layout: Layout of the archive; "auto" decides by structure.
        min_frames: Shorter tracklets are left out; none: the layout's rule (12 for HITSZ-VCM).
        strict: Drop frames that contradict their tracklet's person, modality or camera.
        sampling: Which frames; "auto" is the checkpoint's, "dense" takes all and averages their clips.
        frames: Frames of a clip; 0 for the checkpoint's.
        flip: Average each clip's feature with its mirror image's; auto is the checkpoint's.
        part: Of each tracklet: whole, or its first or second half, as temporal re-ranking needs them.
        batch: Clips at once.
        precision: fp32, or bf16 (autocast).
        on_unreadable: Unreadable frames: "error", or "replace" takes the nearest readable one.
        device: auto, cpu, cuda or cuda:N; under torchrun each process takes its own.
        workers: Loader processes; 0 loads in a thread; default 0 on a CPU, up to 8 with a GPU.
        threads: Threads for arithmetic on the CPU; 0 for torch's own choice.
    """

    checkpoint: Path
    data: Path
    out: Path
    subset: list[str] = field(default_factory=list)
    held_out: bool = False
    short: bool = False
    layout: Literal["auto", "hitsz-vcm", "bupt-campus", "table", "folder"] = "auto"
    min_frames: int | None = None
    strict: bool = False
    sampling: Literal["auto", "chunk-first", "linspace", "dense"] = "auto"
    frames: int = 0
    flip: Literal["auto", "on", "off"] = "auto"
    part: Literal["whole", "first-half", "second-half"] = "whole"
    batch: int = 32
    precision: Literal["fp32", "bf16"] = "fp32"
    on_unreadable: Literal["error", "replace"] = "error"
    device: str = "auto"
    workers: int | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        RayOptions.__post_init__(self)
        if self.threads < 0 or (self.workers or 0) < 0:
            raise ConfigError("threads and workers must not be negative")
        if self.held_out and self.subset:
            raise ConfigError("--held_out and --subset exclude each other", todo="Leave out one of them.")
        if self.short and (self.held_out or self.subset or self.min_frames or self.layout != "auto"):
            raise ConfigError("--short is of ingested footage, whole", todo="Leave out what chooses from it.")


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(EmbedOptions, argv, verb="embed", positional=("checkpoint", "data", "out"))
    start = time.perf_counter()
    embeddings = _embed(options)
    if int(os.environ.get("RANK", "0")) == 0:
        seconds = time.perf_counter() - start
        print(f"{options.out}: {len(embeddings)} tracklets x {embeddings.vectors.shape[1]}, {seconds:.1f} s")
    return 0


def _embed(options: EmbedOptions) -> EmbeddingSet:
    import torch

    from xreid.inference.calibrated import carry_calibration
    from xreid.inference.checkpoint import load_checkpoint
    from xreid.inference.embed import embed_tracklets
    from xreid.inference.processes import job, loader_workers

    if options.threads:
        torch.set_num_threads(options.threads)
    with (
        job(options.device) as processes,
        tracklet_progress("embed", show=processes.is_first) as (tell, note),
    ):
        model = load_checkpoint(options.checkpoint, processes.device)
        table = _table(options)
        if options.ray:
            embeddings = _embed_on_ray(options, table, tell=tell, note=note)
        else:
            embeddings = embed_tracklets(
                model,
                table,
                out=options.out,
                config=_config(options),
                processes=processes,
                workers=loader_workers(options.workers, processes.device),
                tell=tell,
                note=note,
            )
        return carry_calibration(embeddings, model, out=options.out, write=processes.is_first, note=note)


def _embed_on_ray(
    options: EmbedOptions, table: TrackletTable, *, tell: Tell, note: Callable[[str], None]
) -> EmbeddingSet:
    from xreid.distribution.embedding import embed_on_cluster

    return embed_on_cluster(
        options.checkpoint,
        table,
        out=options.out,
        cluster=options.cluster(),
        config=_config(options),
        device=options.device,
        threads=options.threads or 1,
        tell=tell,
        note=note,
    )


def _config(options: EmbedOptions) -> EmbedConfig:
    from xreid.inference.embed import EmbedConfig

    return EmbedConfig(
        sampling=options.sampling,
        frames=options.frames,
        flip=None if options.flip == "auto" else options.flip == "on",
        clips_per_batch=options.batch,
        precision=options.precision,
        on_unreadable=options.on_unreadable,
    )


def _table(options: EmbedOptions) -> TrackletTable:
    from xreid.data.archive import open_archive
    from xreid.data.short import read_short
    from xreid.evaluation.temporal_reranking import half_of

    root = options.data.absolute()
    table = (
        read_short(root)
        if options.short
        else open_archive(root, layout=options.layout, min_frames=options.min_frames, strict=options.strict)
    )
    return _chosen(table if options.part == "whole" else half_of(table, options.part), options)


def _chosen(table: TrackletTable, options: EmbedOptions) -> TrackletTable:
    if options.held_out:
        from xreid.training.held_out import held_out_tracklets

        return held_out_tracklets(table, options.checkpoint)
    return table.subset(*options.subset) if options.subset else table.test_rows()
