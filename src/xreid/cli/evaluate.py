"""`xreid evaluate`: stored embeddings -> Rank-k, mAP, mINP with intervals, a JSON file and a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from xreid.cli.options import parse
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import combine, evaluate_directions
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.notes import is_simulated, warnings
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, protocol_named
from xreid.evaluation.report import report_data, write_report
from xreid.evaluation.text import format_table


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score stored embeddings: Rank-1/5/10/20, mAP and mINP, with bootstrap intervals over identities.

    Attributes:
        embeddings: Folder written by `xreid embed`.
        also: More such folders of the same model, e.g. queries and gallery embedded apart.
        protocol: auto, hitsz-vcm, bupt-campus/full, bupt-campus/paper64, generic or generic/lists.
        directions: I2V, V2I, or pairs such as 'vis->vis', 'ir->ir', 'all->all'; default I2V V2I.
        out: Folder for evaluation.json and evaluation.html (with rank lists); default none.
        json: Print JSON instead of a table.
        lists: Rank lists on the page per direction of each kind: best, typical, worst.
        frames: Root of the frames, where the archive has moved since the tracklets were embedded.
        resamples: Bootstrap draws; 0 for no intervals.
        confidence: Coverage of the intervals.
        seed: Seed of the bootstrap.
        block_mib: Memory for scores in MiB.
    """

    embeddings: Path
    also: list[Path] = field(default_factory=list)
    protocol: str = "auto"
    directions: list[str] = field(default_factory=lambda: [d.name for d in DEFAULT_DIRECTIONS])
    out: Path | None = None
    json: bool = False
    lists: int = 3
    frames: Path | None = None
    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0
    block_mib: int = 32

    def __post_init__(self) -> None:
        for name, low in (("lists", 0), ("block_mib", 1)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"--{name} is too small", expected=f"{low} or more", got=str(getattr(self, name))
                )
        if not self.directions:
            raise ConfigError("--directions is empty", expected="I2V, V2I or a pair such as 'vis->vis'")


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(EvaluateOptions, argv, verb="evaluate", positional=("embeddings",))
    embeddings = _load(options)
    protocol = protocol_named(options.protocol, table=embeddings.table)
    results = evaluate_directions(
        embeddings,
        protocol,
        directions=tuple(dict.fromkeys(map(Direction.parse, options.directions))),
        bootstrap=Bootstrap(resamples=options.resamples, confidence=options.confidence, seed=options.seed),
        block_mib=options.block_mib,
    )
    page = write_report(results, embeddings, options.out, per_kind=options.lists) if options.out else None
    if options.json:
        print(json.dumps(report_data(results, embeddings, details=False), indent=2))
    else:
        print(format_table(results, notes=warnings(results, simulated=is_simulated(embeddings))))
    if page:
        print(f"wrote {page} and {page.with_suffix('.json')}", file=sys.stderr)
    return 0


def _load(options: EvaluateOptions) -> EmbeddingSet:
    embeddings = combine([EmbeddingSet.load(folder) for folder in (options.embeddings, *options.also)])
    if options.frames is None:
        return embeddings
    if not options.frames.is_dir():
        raise DataError(f"--frames {options.frames} is no folder", todo="Give the archive's root.")
    return replace(embeddings, table=replace(embeddings.table, root=options.frames))
