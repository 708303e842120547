"""`xreid robustness RUN ARCHIVE --out FOLDER`: how scores fall as tracklets get worse."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.options import parse
from xreid.cli.progress import tracklet_progress
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.inference.robustness_study import Study


@dataclass(frozen=True, kw_only=True)
class RobustnessOptions:
    """Measure how Rank-1 and mAP fall as tracklets get worse; the same command goes on after a kill.

    Attributes:
        run: Folder of a finished run, or of a checkpoint.
        data: The archive.
        out: Folder for robustness.html, robustness.json and the embeddings of every level.
        also: More runs of the same method (preset, settings, training data), of other seeds: scores are
            means over the runs, and intervals cover seeds and people.
        against: Runs of another method, of the same seeds: both curves in one chart, and paired differences.
        names: What the methods are called; default their presets.
        kinds: What is done to tracklets, of frames, switch, resolution, blur, occlusion, ir-gain, ir-contrast
            and ir-noise; a name alone takes its usual levels, "blur=1,2,4" these; default all.
        side: Which tracklets are perturbed: queries, gallery or both. By default queries: the gallery is what
            a site has recorded already, the query is the one clip at hand.
        protocol: A protocol's name; "auto" chooses by the archive.
        subset: Subsets to take (train, auxiliary, query, gallery); default query and gallery where the
            archive has them, else all.
        layout: Layout of the archive; "auto" decides by structure.
        min_frames: Shorter tracklets are left out; none: the layout's rule (12 for HITSZ-VCM).
        strict: Drop frames that contradict their tracklet's person, modality or camera.
        sampling: Which frames; "auto" is the checkpoint's, "dense" takes all and averages their clips.
        frames: Frames of a clip; 0 for the checkpoint's.
        batch: Clips at once.
        precision: fp32, or bf16 (autocast).
        on_unreadable: Unreadable frames: "error", or "replace" takes the nearest readable one.
        device: auto, cpu, cuda or cuda:N.
        workers: Loader processes; 0 loads in a thread; default 0 on a CPU, up to 8 with a GPU.
        threads: Threads for arithmetic on the CPU; 0 for torch's own choice.
        resamples: Bootstrap draws; 0 for no intervals.
        confidence: Coverage of the intervals.
        seed: Seed of the perturbations and of the bootstrap.
    """

    run: Path
    data: Path
    out: Path
    also: list[Path] = field(default_factory=list)
    against: list[Path] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    side: Literal["queries", "gallery", "both"] = "queries"
    protocol: str = "auto"
    subset: list[str] = field(default_factory=list)
    layout: Literal["auto", "hitsz-vcm", "bupt-campus", "table", "folder"] = "auto"
    min_frames: int | None = None
    strict: bool = False
    sampling: Literal["auto", "chunk-first", "linspace", "dense"] = "auto"
    frames: int = 0
    batch: int = 32
    precision: Literal["fp32", "bf16"] = "fp32"
    on_unreadable: Literal["error", "replace"] = "error"
    device: str = "auto"
    workers: int | None = None
    threads: int = 0
    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0 or (self.workers or 0) < 0:
            raise ConfigError("threads and workers must not be negative")


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(RobustnessOptions, argv, verb="robustness", positional=("run", "data", "out"))
    start = time.perf_counter()
    found = _measure(options)

    from xreid.inference.robustness_report import format_card, write_card

    page = write_card(found, options.out)
    print(format_card(found))
    seconds = time.perf_counter() - start
    print(f"wrote {page} and {page.with_suffix('.json')}, {seconds:.1f} s", file=sys.stderr)
    return 0


def _measure(options: RobustnessOptions) -> Study:
    import torch

    from xreid.data.archive import open_archive
    from xreid.evaluation.intervals import Bootstrap
    from xreid.inference.embed import EmbedConfig
    from xreid.inference.processes import choose_device, loader_workers
    from xreid.inference.robustness import RobustnessConfig
    from xreid.inference.robustness_runs import measure_methods, read_methods

    bootstrap = Bootstrap(resamples=options.resamples, confidence=options.confidence, seed=options.seed)
    asked = {"kinds": tuple(options.kinds)} if options.kinds else {}
    config = RobustnessConfig(
        **asked, side=options.side, protocol=options.protocol, seed=options.seed, bootstrap=bootstrap
    )
    embed = EmbedConfig(
        sampling=options.sampling,
        frames=options.frames,
        clips_per_batch=options.batch,
        precision=options.precision,
        on_unreadable=options.on_unreadable,
    )
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    methods = read_methods((options.run, *options.also), against=options.against, names=options.names)
    table = open_archive(
        options.data.absolute(), layout=options.layout, min_frames=options.min_frames, strict=options.strict
    )
    with tracklet_progress("robustness") as (tell, note):
        return measure_methods(
            methods,
            table.subset(*options.subset) if options.subset else table.test_rows(),
            out=options.out,
            device=device,
            config=config,
            embed=embed,
            workers=loader_workers(options.workers, device),
            tell=tell,
            note=note,
        )
