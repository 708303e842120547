"""`xreid evaluate`: stored embeddings -> Rank-k, mAP, mINP with intervals, a JSON file and a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from xreid.cli.options import parse
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import combine, evaluate_directions
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.notes import is_simulated, warnings
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, protocol_named
from xreid.evaluation.report import report_data, write_report
from xreid.evaluation.reranking import KReciprocal, Reranking
from xreid.evaluation.temporal_reranking import PUBLISHED, TemporalReranking
from xreid.evaluation.text import format_table


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score stored embeddings: Rank-1/5/10/20, mAP and mINP, with bootstrap intervals over identities.

    Attributes:
        embeddings: Folder written by `xreid embed`.
        also: More such folders of the same model, e.g. queries and gallery embedded apart.
        protocol: auto, hitsz-vcm, bupt-campus/full, bupt-campus/paper64, generic or generic/lists.
        directions: I2V, V2I, or pairs such as 'vis->vis', 'ir->ir', 'all->all'; default I2V V2I.
        rerank: none; k-reciprocal; or temporal (BUPTCampus), which needs the halves below.
        k1: Reciprocal neighbours; default 20, temporal 5.
        k2: Neighbours averaged; default 6, temporal 3.
        original_weight: Share (lambda) of the original distance in re-ranking; default 0.3, temporal 0.
        first_half: Folder of the same tracklets' first halves (xreid embed --part first-half).
        second_half: Folder of their second halves.
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
    rerank: Literal["none", "k-reciprocal", "temporal"] = "none"
    k1: int | None = None
    k2: int | None = None
    original_weight: float | None = None
    first_half: list[Path] = field(default_factory=list)
    second_half: list[Path] = field(default_factory=list)
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
        if self.rerank == "none" and self.k_reciprocal:
            raise ConfigError("--k1, --k2 and --original_weight are for re-ranking", todo="Add --rerank.")
        halves = bool(self.first_half), bool(self.second_half)
        if halves != (self.rerank == "temporal",) * 2:
            raise ConfigError(
                "--first_half and --second_half belong to --rerank temporal, and it needs both",
                todo="Embed the same archive again with --part first-half and with --part second-half.",
            )

    @property
    def k_reciprocal(self) -> dict[str, Any]:
        """Settings of re-ranking that were given."""
        given = {"k1": self.k1, "k2": self.k2, "lambda_": self.original_weight}
        return {name: value for name, value in given.items() if value is not None}


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(EvaluateOptions, argv, verb="evaluate", positional=("embeddings",))
    embeddings = _load(options)
    protocol = protocol_named(options.protocol, table=embeddings.table)
    results = evaluate_directions(
        embeddings,
        protocol,
        directions=tuple(dict.fromkeys(map(Direction.parse, options.directions))),
        reranking=_reranking(options, embeddings),
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


def _reranking(options: EvaluateOptions, embeddings: EmbeddingSet) -> Reranking | None:
    if options.rerank == "none":
        return None
    if options.rerank == "k-reciprocal":
        return KReciprocal(**options.k_reciprocal)
    return TemporalReranking.of(
        embeddings,
        first=_combined(options.first_half),
        second=_combined(options.second_half),
        k_reciprocal=replace(PUBLISHED, **options.k_reciprocal),
    )


def _combined(folders: Sequence[Path]) -> EmbeddingSet:
    return combine([EmbeddingSet.load(folder) for folder in folders])


def _load(options: EvaluateOptions) -> EmbeddingSet:
    embeddings = _combined([options.embeddings, *options.also])
    if options.frames is None:
        return embeddings
    if not options.frames.is_dir():
        raise DataError(f"--frames {options.frames} is no folder", todo="Give the archive's root.")
    return replace(embeddings, table=replace(embeddings.table, root=options.frames))
