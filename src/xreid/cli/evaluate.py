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
from xreid.core.pacing import now_and_then
from xreid.evaluation.calibration import Calibration, calibration_from_json, read_calibration
from xreid.evaluation.directions import Direction
from xreid.evaluation.evaluator import combine, evaluate_directions
from xreid.evaluation.identification import Splits
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.notes import is_simulated, warnings
from xreid.evaluation.open_set import OpenSetReport, open_set_report
from xreid.evaluation.open_set_text import format_open_set
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, Protocol, protocol_named
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
        protocol: auto, hitsz-vcm, bupt-campus/full, bupt-campus/paper64, generic, generic/lists; or with the
            frames of published evaluators: hitsz-vcm/frames6, bupt-campus/full-frames10 and others.
        directions: I2V, V2I, or pairs such as 'vis->vis', 'ir->ir', 'all->all'; default I2V V2I.
        rerank: none; k-reciprocal; or temporal (BUPTCampus), which needs the halves below.
        k1: Reciprocal neighbours; default 20, temporal 5.
        k2: Neighbours averaged; default 6, temporal 3.
        original_weight: Share (lambda) of the original distance in re-ranking; default 0.3, temporal 0.
        first_half: Folder of the same tracklets' first halves (xreid embed --part first-half).
        second_half: Folder of their second halves.
        open_set: Also TAR at FAR, and FPIR and FNIR with people left out of the gallery; always where there
            is a calibration.
        calibration: auto takes the one that the embeddings carry; none; or calibration.json, a checkpoint or
            a run. With it: ECE, log loss, and what the stored thresholds do here.
        other_people: Identities that the calibration was fitted on are other people of the same names.
        any_to_any: Also a gallery of both modalities: the bias toward the query's own, before and after
            correction.
        enrolled: Share of the people in the gallery for FPIR and FNIR.
        splits: Repetitions of that, with other people each time.
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
    open_set: bool = False
    calibration: str = "auto"
    other_people: bool = False
    any_to_any: bool = False
    enrolled: float = 0.5
    splits: int = 50
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
    def bootstrap(self) -> Bootstrap:
        """How intervals are drawn."""
        return Bootstrap(resamples=self.resamples, confidence=self.confidence, seed=self.seed)

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
    directions = tuple(dict.fromkeys(map(Direction.parse, options.directions)))
    open_set = _open_set(options, embeddings, protocol, directions)
    results = evaluate_directions(
        embeddings,
        protocol,
        directions=directions,
        reranking=_reranking(options, embeddings),
        bootstrap=options.bootstrap,
        block_mib=options.block_mib,
        tell=now_and_then(_say_neighbours),
    )
    page = None
    if options.out:
        page = write_report(results, embeddings, options.out, per_kind=options.lists, open_set=open_set)
    if options.json:
        print(json.dumps(report_data(results, embeddings, details=False, open_set=open_set), indent=2))
    else:
        print(format_table(results, notes=warnings(results, simulated=is_simulated(embeddings))))
        if open_set:
            print(format_open_set(open_set))
    if page:
        print(f"wrote {page} and {page.with_suffix('.json')}", file=sys.stderr)
    return 0


def _open_set(
    options: EvaluateOptions,
    embeddings: EmbeddingSet,
    protocol: Protocol,
    directions: Sequence[Direction],
) -> OpenSetReport | None:
    calibration = _calibration(options, embeddings)
    if not (options.open_set or options.any_to_any or calibration):
        return None
    return open_set_report(
        embeddings,
        protocol,
        directions=directions,
        calibration=calibration,
        any_to_any=options.any_to_any,
        other_people=options.other_people,
        splits=Splits(enrolled=options.enrolled, count=options.splits, seed=options.seed),
        bootstrap=options.bootstrap,
    )


def _calibration(options: EvaluateOptions, embeddings: EmbeddingSet) -> Calibration | None:
    if options.calibration == "none":
        return None
    if options.calibration != "auto":
        return read_calibration(Path(options.calibration))
    if embeddings.calibration is None:
        return None
    return calibration_from_json(embeddings.calibration, what="the calibration that the embeddings carry")


def _say_neighbours(done: int, total: int) -> None:
    print(f"re-ranking: neighbours of {done:,} of {total:,} tracklets", file=sys.stderr, flush=True)


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
