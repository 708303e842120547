"""How scores fall as tracklets get worse: perturbed tracklets are embedded, and scored with the clean others.

One side of the search is perturbed, by default the queries: the gallery is what a site has recorded and
embedded already, a query is the one clip at hand, of whatever quality. Perturbing both sides is another
question (a blur that both share also hides what differs between them), and an option.

Everything embedded lies on disk as an embedding set: OUT/clean as `xreid embed` writes it, and one set of the
changed tracklets for each level, stamped with the perturbation. A killed run goes on with those it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError
from xreid.core.tracklets import TrackletTable
from xreid.data.damage import Donors
from xreid.data.perturb import KINDS, Perturbation, sweep
from xreid.evaluation.evaluator import evaluate
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.metrics import Ints
from xreid.evaluation.protocols import DEFAULT_DIRECTIONS, Protocol, protocol_named
from xreid.evaluation.results import EvaluationResult
from xreid.evaluation.selection import Selection, require_answers, select
from xreid.inference.checkpoint import LoadedModel
from xreid.inference.embed import EmbedConfig, Embedder, Tell, embed_tracklets

Side = Literal["queries", "gallery", "both"]
Results = tuple[EvaluationResult, ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessConfig:
    """What is measured.

    Attributes:
        kinds: Kinds with their levels: "blur" for the defaults, or "blur=1,2,4".
        side: Which tracklets are perturbed.
        protocol: Name of the protocol; "auto" chooses by the table's source.
        seed: Seed of the perturbations.
        bootstrap: How intervals are drawn.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    side: Side = "queries"
    protocol: str = "auto"
    seed: int = 0
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def __post_init__(self) -> None:
        names = [sweep(text)[0] for text in self.kinds]
        if not names or len(set(names)) < len(names):
            raise ConfigError("kinds of perturbation must be named once each", got=" ".join(self.kinds))

    def perturbations(self) -> list[Perturbation]:
        """Every kind at every level, in order."""
        return [
            Perturbation(kind=name, level=level, seed=self.seed)
            for name, levels in map(sweep, self.kinds)
            for level in levels
        ]


@dataclass(frozen=True, kw_only=True)
class Point:
    """The scores at one level.

    Attributes:
        perturbation: Kind, level and seed.
        results: One for each of DEFAULT_DIRECTIONS.
        changed: Tracklets that were perturbed and take part, by direction.
        same_camera: For identity switches: changed tracklets (of all) that show somebody of their own camera.
    """

    perturbation: Perturbation
    results: Results
    changed: tuple[int, ...]
    same_camera: int | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """What was measured with one model.

    Attributes:
        config: What was asked for.
        protocol: The protocol, resolved.
        embeddings: The clean vectors.
        clean: Scores without perturbation, by direction.
        points: Scores at each level.
        frame_height: Height of the network's frames in pixels.
        trained: Preset, scale, seed and selection of the model, as its checkpoint says.
    """

    config: RobustnessConfig
    protocol: Protocol
    embeddings: EmbeddingSet
    clean: Results
    points: tuple[Point, ...]
    frame_height: int
    trained: Mapping[str, Any]

    def of_kind(self, name: str) -> tuple[Point, ...]:
        """The levels of one kind, rising."""
        return tuple(point for point in self.points if point.perturbation.kind == name)


def measure(
    model: LoadedModel,
    table: TrackletTable,
    *,
    out: Path,
    config: RobustnessConfig,
    embed: EmbedConfig | None = None,
    workers: int = 0,
    tell: Tell = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> Card:
    """Embed and score every level; killed and called again, it goes on where it was.

    Args:
        model: The model.
        table: The test tracklets.
        out: Folder for the embeddings; must not hold those of another model or of other options.
        config: What to measure.
        embed: How tracklets are embedded.
        workers: Loader processes.
        tell: Called with tracklets done and to do, all levels together.
        note: Called with remarks, and with the scores of each level.

    Raises:
        ProtocolError: The table cannot answer both directions under the protocol.
        ConfigError: `out` holds something else.
        DataError: A frame cannot be read.
    """
    protocol = protocol_named(config.protocol, table=table)
    made = Embedder(model, table, config=embed or EmbedConfig()).origin.preprocessing
    require_answers(table, protocol, directions=DEFAULT_DIRECTIONS, made=made)
    asked = [_perturbed_rows(select(table, protocol, direction=d), config.side) for d in DEFAULT_DIRECTIONS]
    wanted = set(np.concatenate(asked).tolist())
    plan = [(p, [i for i in p.changed(table) if i in wanted]) for p in config.perturbations()]
    total, before = len(table) + sum(len(rows) for _, rows in plan), 0

    def embedded(rows: TrackletTable, folder: Path, change: Perturbation | None) -> EmbeddingSet:
        nonlocal before
        vectors = embed_tracklets(
            model,
            rows,
            out=folder,
            config=embed,
            workers=workers,
            transform=change,
            tell=lambda done, _: tell(before + done, total),
            note=note if change is None else lambda text: None,  # the same remarks again at each level
        )
        before += len(rows)
        return vectors

    scorer = _Scorer(embedded(table, out / "clean", None), protocol, asked, bootstrap=config.bootstrap)
    note(_line("clean", scorer.clean))
    points = []
    for change, rows in plan:
        folder = out / "levels" / f"{change.kind}_{change.level:g}"
        vectors = embedded(change.table(table).take(rows), folder, change).vectors if rows else None
        points.append(scorer.point(change, np.array(rows, dtype=np.int64), vectors))
        note(_line(f"{change.kind} {change.level:g}", points[-1].results))
    known = model.checkpoint.provenance
    return Card(
        config=config,
        protocol=protocol,
        embeddings=scorer.embeddings,
        clean=scorer.clean,
        points=tuple(points),
        frame_height=model.network.config.frame_size[0],
        trained={name: known[name] for name in ("preset", "scale", "seed", "selection") if name in known},
    )


def _perturbed_rows(selection: Selection, side: Side) -> Ints:
    sides = {"queries": [selection.query], "gallery": [selection.gallery]}
    return np.unique(np.concatenate(sides.get(side, [selection.query, selection.gallery])))


def _line(name: str, results: Sequence[EvaluationResult]) -> str:
    return f"{name}: Rank-1 " + ", ".join(f"{r.direction} {100 * r.rank1:.1f}" for r in results)


class _Scorer:
    """Scores sets in which some vectors are exchanged for those of perturbed tracklets."""

    def __init__(
        self, clean: EmbeddingSet, protocol: Protocol, asked: Sequence[Ints], *, bootstrap: Bootstrap
    ) -> None:
        self.embeddings, self.protocol, self.asked, self.bootstrap = clean, protocol, asked, bootstrap
        self.donors = Donors(clean.table)
        self.clean = tuple(
            evaluate(clean, protocol, direction=d, bootstrap=bootstrap) for d in DEFAULT_DIRECTIONS
        )

    def point(self, perturbation: Perturbation, rows: Ints, vectors: np.ndarray | None) -> Point:
        """Scores with `vectors` in the place of the clean ones of `rows`, where these are perturbed."""
        shares = [np.isin(rows, asked) for asked in self.asked]
        results = tuple(
            self._result(number, rows[share], vectors[share])
            if vectors is not None and share.any()
            else clean
            for number, (share, clean) in enumerate(zip(shares, self.clean, strict=True))
        )
        switched = perturbation.kind == "switch"
        return Point(
            perturbation=perturbation,
            results=results,
            changed=tuple(int(share.sum()) for share in shares),
            same_camera=self.donors.same_camera(rows.tolist()) if switched else None,
        )

    def _result(self, number: int, rows: Ints, vectors: np.ndarray) -> EvaluationResult:
        mixed = self.embeddings.vectors.copy()
        mixed[rows] = vectors
        return evaluate(
            replace(self.embeddings, vectors=mixed),
            self.protocol,
            direction=DEFAULT_DIRECTIONS[number],
            bootstrap=self.bootstrap,
        )
