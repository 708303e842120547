"""Robustness of one method or two, each over one training run or several.

Scores are means over the runs, with intervals over training seeds and people (`xreid.evaluation.seeds`); with
one run they are over people alone. Differences are taken within each run and query: to the clean score, and
between two methods between runs of the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xreid.core.embeddings import EmbeddingOrigin
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.notes import is_simulated, warnings
from xreid.evaluation.seeds import SeedScores, Spread, spread
from xreid.inference.robustness import Card

Scores = Mapping[str, Spread]  # by metric, as fractions
OneSided = tuple[SeedScores, ...]  # of one run, by direction


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """What is kept of one run's card: every query's values.

    Attributes:
        seed: Training seed; 0 where the checkpoint does not say.
        origin: What made its vectors.
        trained: Preset, scale, seed and selection, as its checkpoint says.
        cautions: What must be known before its scores are believed.
        clean: By direction.
        levels: By level, in the card's order, and direction.
    """

    seed: int
    origin: EmbeddingOrigin
    trained: Mapping[str, Any]
    cautions: tuple[str, ...]
    clean: OneSided
    levels: tuple[OneSided, ...]

    @classmethod
    def of(cls, card: Card, *, seed: int = 0) -> RunScores:
        """From what was measured with one model."""
        return cls(
            seed=seed,
            origin=card.embeddings.origin,
            trained=card.trained,
            cautions=warnings(card.clean, simulated=is_simulated(card.embeddings)),
            clean=tuple(SeedScores.of_result(seed, result) for result in card.clean),
            levels=tuple(tuple(SeedScores.of_result(seed, r) for r in p.results) for p in card.points),
        )


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A score, or a difference, over the levels in one direction.

    Attributes:
        clean: Without perturbation.
        levels: At each level, in the card's order.
        changes: Each level minus clean.
    """

    clean: Scores
    levels: tuple[Scores, ...]
    changes: tuple[Scores, ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method's runs and what they say together.

    Attributes:
        name: What it is called.
        runs: One or more.
        curves: By direction.
    """

    name: str
    runs: tuple[RunScores, ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that is shown.

    Attributes:
        card: Of the first run: what was asked, the tracklets, the levels.
        methods: One or two.
        ahead: With two methods, by direction, the first minus the second: paired by seed and query.
    """

    card: Card
    methods: tuple[Method, ...]
    ahead: tuple[Curve, ...] = ()

    @property
    def runs(self) -> tuple[tuple[str, RunScores], ...]:
        """Every run with its method's name."""
        return tuple((method.name, run) for method in self.methods for run in method.runs)

    @property
    def seeds(self) -> int:
        """Training runs of each method."""
        return len(self.methods[0].runs)


def study(card: Card, methods: Sequence[tuple[str, Sequence[RunScores]]]) -> Study:
    """Means, intervals and differences of one method or two.

    Args:
        card: Of the first run.
        methods: Names and runs; runs of two methods are paired in order, and of the same seeds.

    Raises:
        ProtocolError: The runs did not answer the same queries, or two methods have other seeds.
    """
    drawn = card.config.bootstrap
    directions = range(len(card.clean))
    found = tuple(
        Method(name=name, runs=tuple(runs), curves=tuple(_scores(runs, d, drawn) for d in directions))
        for name, runs in methods
    )
    if len(found) == 1:
        return Study(card=card, methods=found)
    first, second = (method.runs for method in found)
    return Study(
        card=card, methods=found, ahead=tuple(_differences(first, second, d, drawn) for d in directions)
    )


def of_one(card: Card) -> Study:
    """What one run says by itself."""
    name, seed = str(card.trained.get("preset", "model")), int(card.trained.get("seed") or 0)
    return study(card, [(name, [RunScores.of(card, seed=seed)])])


def _scores(runs: Sequence[RunScores], direction: int, drawn: Bootstrap) -> Curve:
    curve = _curve([run.clean[direction] for run in runs], _by_level(runs, direction), drawn)
    return Curve(
        clean=_within(curve.clean, 0),
        levels=tuple(_within(level, 0) for level in curve.levels),
        changes=curve.changes,
    )


def _differences(
    first: Sequence[RunScores], second: Sequence[RunScores], direction: int, drawn: Bootstrap
) -> Curve:
    def minus(left: Sequence[SeedScores], right: Sequence[SeedScores]) -> list[SeedScores]:
        return [a.minus(b) for a, b in zip(left, right, strict=True)]

    clean = minus([run.clean[direction] for run in first], [run.clean[direction] for run in second])
    both = zip(_by_level(first, direction), _by_level(second, direction), strict=True)
    return _curve(clean, [minus(left, right) for left, right in both], drawn)


def _by_level(runs: Sequence[RunScores], direction: int) -> list[list[SeedScores]]:
    """Level -> run."""
    return [[run.levels[n][direction] for run in runs] for n in range(len(runs[0].levels))]


def _curve(clean: Sequence[SeedScores], levels: Sequence[Sequence[SeedScores]], drawn: Bootstrap) -> Curve:
    changes = [[a.minus(b) for a, b in zip(level, clean, strict=True)] for level in levels]
    return Curve(
        clean=_within(spread(clean, bootstrap=drawn), -1),
        levels=tuple(_within(spread(level, bootstrap=drawn), -1) for level in levels),
        changes=tuple(_within(spread(change, bootstrap=drawn), -2) for change in changes),
    )


def _within(scores: Scores, low: float) -> Scores:
    """Intervals cut off at what can be: a score ends at 0, a difference of scores at -1; upwards as far."""
    return {name: value.within(low, max(1.0, -low)) for name, value in scores.items()}
