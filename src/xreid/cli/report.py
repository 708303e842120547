"""`xreid report RUN...`: one self-contained page about finished runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xreid.cli.options import parse
from xreid.core.errors import ConfigError, XReidError
from xreid.core.pacing import now_and_then
from xreid.evaluation.embedding_map import MOST_POINTS

if TYPE_CHECKING:
    from xreid.training.report import ReportConfig
    from xreid.training.report_material import RunPart
    from xreid.training.report_runs import FinishedRun


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """One page about finished runs: curves, scores, rank lists, what the models look at, a map, differences.

    Attributes:
        runs: Folders of finished runs (`xreid train`); all others are compared with the first.
        out: The page, one HTML file that loads nothing.
        data: The archive whose test tracklets are used; default the one that the runs were trained on.
        embeddings: Folders of `xreid embed` of these tracklets, one a run; default: made here.
        keep: Folder for embeddings made here, found again by the next report; default beside the page.
        sampling: Which frames to embed; "auto" is the checkpoint's.
        protocol: auto, hitsz-vcm, bupt-campus/full, bupt-campus/paper64, generic or generic/lists.
        directions: I2V, V2I, or pairs such as 'vis->vis'; default I2V V2I.
        lists: Rank lists per direction of each kind: best, typical, worst.
        looks: Ask the models where they look: attention maps, and what covering a part of the frames changes.
        points: Most tracklets on the embedding map; of more, whole people are drawn at random.
        resamples: Bootstrap draws; 0 for no intervals.
        confidence: Coverage of the intervals.
        seed: Seed of the bootstrap, and of which people are on the map.
        device: auto, cpu, cuda or cuda:N.
        threads: Threads for arithmetic on the CPU; 0 for torch's own choice.
    """

    runs: list[Path] = field(default_factory=list)
    out: Path = Path("report.html")
    data: Path | None = None
    embeddings: list[Path] = field(default_factory=list)
    keep: Path | None = None
    sampling: Literal["auto", "chunk-first", "linspace", "dense"] = "auto"
    protocol: str = "auto"
    directions: list[str] = field(default_factory=lambda: ["I2V", "V2I"])
    lists: int = 2
    looks: bool = True
    points: int = MOST_POINTS
    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError(
                "no run is named", expected="the folder of a finished `xreid train`, or several"
            )
        if not self.directions:
            raise ConfigError("--directions is empty", expected="I2V, V2I or a pair such as 'vis->vis'")
        if self.threads < 0:
            raise ConfigError("threads must not be negative", got=str(self.threads))
        if self.out.is_dir():
            raise ConfigError(f"--out {self.out} is a folder", expected="a file", todo="E.g. report.html.")


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(ReportOptions, argv, verb="report", positional=("runs",))
    start = time.perf_counter()
    page = _write(options)
    size = page.stat().st_size / 2**20
    count = len(options.runs)
    print(f"{page}: {count} run{'s' * (count > 1)}, {size:.1f} MiB, {time.perf_counter() - start:.0f} s")
    return 0


def _write(options: ReportOptions) -> Path:
    import torch

    from xreid.evaluation.directions import Direction
    from xreid.evaluation.intervals import Bootstrap
    from xreid.inference.processes import job
    from xreid.training.report import ReportConfig, write_run_report
    from xreid.training.report_runs import read_runs

    config = ReportConfig(
        protocol=options.protocol,
        directions=tuple(dict.fromkeys(map(Direction.parse, options.directions))),
        lists=options.lists,
        looks=options.looks,
        points=options.points,
        bootstrap=Bootstrap(resamples=options.resamples, confidence=options.confidence, seed=options.seed),
        seed=options.seed,
    )
    if options.threads:
        torch.set_num_threads(options.threads)
    with job(options.device) as processes:
        if not processes.is_first:
            raise XReidError("xreid report runs in one process", todo="Start it without torchrun.")
        runs = read_runs(options.runs, device=str(processes.device))
        return write_run_report(_parts(options, runs, config), options.out, config=config, note=_note)


def _parts(options: ReportOptions, runs: Sequence[FinishedRun], config: ReportConfig) -> list[RunPart]:
    from xreid.training.report_material import load_parts, make_parts

    if options.embeddings:
        return load_parts(runs, options.embeddings, data=options.data)
    keep = options.keep or options.out.with_name(f"{options.out.stem}-embeddings")
    return make_parts(
        runs,
        data=options.data,
        keep=keep,
        sampling=options.sampling,
        protocol=config.protocol,
        directions=config.directions,
        note=_note,
        tell=now_and_then(lambda done, total: _note(f"{done:,} of {total:,} tracklets embedded")),
    )


def _note(text: str) -> None:
    print(f"report: {text}", file=sys.stderr, flush=True)
