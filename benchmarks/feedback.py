"""What relevance feedback is worth: a simulated operator judges the first answers, round after round.

    python -m benchmarks.feedback EMBEDDINGS [--judged 5] [--rounds 3]

Every tracklet of a known person asks once, all others answer (those of its own camera apart, as in the
protocols). After each round the operator judges the first `--judged` answers rightly. What is left, which
nobody has judged, is ranked with the feedback and as it was before any: the difference is paired by query and
its interval drawn over people. A second table counts what the operator has found after looking at so many.
`--beta` and `--gamma` try other weights of confirmed and rejected tracklets; `--regression C` a logistic
regression instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import Modality
from xreid.evaluation.intervals import Bootstrap, resampled_means
from xreid.retrieval.feedback import CONFIRMED_WEIGHT, REJECTED_WEIGHT, example_weights

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Scorer = Callable[[Floats, Floats, Floats], Floats]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Vectors, people, cameras and spectra of N tracklets."""

    vectors: Floats
    people: npt.NDArray[np.str_]
    cameras: npt.NDArray[np.str_]
    infrared: npt.NDArray[np.bool_]

    @classmethod
    def load(cls, folder: Path, *, people: slice) -> Archive:
        """The embeddings of some of the people, in the order of their names."""
        found = EmbeddingSet.load(folder)
        chosen = set(found.table.identities()[people])
        rows = [i for i, row in enumerate(found.table) if row.identity in chosen]
        table = [found.table[i] for i in rows]
        return cls(
            vectors=found.vectors[rows].astype(np.float64),
            people=np.array([row.identity for row in table]),
            cameras=np.array([row.camera or "" for row in table]),
            infrared=np.array([row.modality is Modality.INFRARED for row in table]),
        )

    def others(self, query: int, *, crossing: bool) -> Rows:
        """The rows that answer a query."""
        may = self.cameras != self.cameras[query]
        if crossing:
            may &= self.infrared != self.infrared[query]
        return np.flatnonzero(may)


def weighted(beta: float, gamma: float) -> Scorer:
    """What `xreid search` does with feedback: a weighted sum of examples."""

    def score(asking: Floats, confirmed: Floats, rejected: Floats) -> Floats:
        weights = example_weights(len(asking), len(confirmed), len(rejected), beta=beta, gamma=gamma)
        return np.asarray(weights @ np.concatenate([asking, confirmed, rejected]))

    return score


def regression(strength: float) -> Scorer:
    """A logistic regression of right against wrong; the plain query while either is missing."""

    def score(asking: Floats, confirmed: Floats, rejected: Floats) -> Floats:
        from sklearn.linear_model import LogisticRegression

        if not len(rejected):
            return np.concatenate([asking, confirmed]).mean(axis=0)
        right = np.concatenate([asking, confirmed])
        model = LogisticRegression(C=strength, class_weight="balanced")
        labels = np.r_[np.ones(len(right)), np.zeros(len(rejected))]
        return np.asarray(model.fit(np.concatenate([right, rejected]), labels).coef_[0])

    return score


@dataclass(frozen=True, kw_only=True)
class Round:
    """One query after some rounds: Rank-1 and average precision of what is left, before and after; found."""

    before: tuple[float, float]
    after: tuple[float, float]
    found: float
    found_without: float


def play(
    archive: Archive, query: int, rows: Rows, scorer: Scorer, *, judged: int, rounds: int
) -> list[Round]:
    """The rounds of one query; fewer where nobody is left to find."""
    right = archive.people[rows] == archive.people[query]
    plain = archive.vectors[rows] @ archive.vectors[query]
    original = np.argsort(-plain, kind="stable")
    seen = np.zeros(len(rows), dtype=bool)
    direction, told = archive.vectors[query], list[Round]()
    for number in range(1, rounds + 1):
        order = np.argsort(-(archive.vectors[rows] @ direction), kind="stable")
        seen[order[~seen[order]][:judged]] = True
        confirmed, rejected = rows[seen & right], rows[seen & ~right]
        asking = archive.vectors[query][None]
        direction = scorer(asking, archive.vectors[confirmed], archive.vectors[rejected])
        if not (right & ~seen).any():
            break
        after = np.argsort(-(archive.vectors[rows] @ direction), kind="stable")
        told.append(
            Round(
                before=_scores(right[original[~seen[original]]]),
                after=_scores(right[after[~seen[after]]]),
                found=float((right & seen).sum() / right.sum()),
                found_without=float(right[original[: judged * number]].sum() / right.sum()),
            )
        )
    return told


def _scores(right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Rank-1 and average precision of one ranking."""
    places = np.flatnonzero(right)
    return float(right[0]), float(((np.arange(len(places)) + 1) / (places + 1)).mean())


def main() -> None:
    """Print what each round is worth."""
    parser = argparse.ArgumentParser(description="what relevance feedback is worth")
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--judged", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--crossing", action="store_true", help="only the other spectrum answers")
    parser.add_argument("--beta", type=float, default=CONFIRMED_WEIGHT)
    parser.add_argument("--gamma", type=float, default=REJECTED_WEIGHT)
    parser.add_argument("--regression", type=float, metavar="C")
    parser.add_argument("--first", type=int, default=0, help="use people from this one on")
    parser.add_argument("--last", type=int, help="and up to this one")
    words = parser.parse_args()
    archive = Archive.load(words.embeddings, people=slice(words.first, words.last))
    scorer = regression(words.regression) if words.regression else weighted(words.beta, words.gamma)
    games = [
        play(
            archive,
            query,
            archive.others(query, crossing=words.crossing),
            scorer,
            judged=words.judged,
            rounds=words.rounds,
        )
        for query in range(len(archive.people))
    ]
    for number in range(words.rounds):
        _tell(archive, games, number, judged=words.judged)


def _tell(archive: Archive, games: list[list[Round]], number: int, *, judged: int) -> None:
    rows = [(archive.people[query], game[number]) for query, game in enumerate(games) if len(game) > number]
    if not rows:
        return
    people = [person for person, _ in rows]
    values = np.array([[*r.before, *r.after, r.found_without, r.found] for _, r in rows])
    gains = np.stack(
        [values[:, 2] - values[:, 0], values[:, 3] - values[:, 1], values[:, 5] - values[:, 4]], axis=1
    )
    draws = resampled_means(gains, people, bootstrap=Bootstrap())
    print(f"after {number + 1} rounds of {judged}: {len(rows)} queries that have somebody left to find")
    names = ("Rank-1 of the rest", "mAP of the rest", f"found of the first {judged * (number + 1)}")
    means = values.mean(axis=0)
    for i, (name, before, after) in enumerate(zip(names, (0, 1, 4), (2, 3, 5), strict=True)):
        ends = ""
        if draws is not None:
            ends = " [{:+.1f}, {:+.1f}]".format(*100 * np.quantile(draws[:, i], [0.025, 0.975]))
        told = f"{100 * means[before]:5.1f} -> {100 * means[after]:5.1f}"
        print(f"  {name:<24} {told}  ({100 * gains[:, i].mean():+.1f}{ends})")


if __name__ == "__main__":
    main()
