"""From tracklets to probable persons: who was seen where, in order of time.

Pairs are compared by calibrated log-odds, and tracklets joined by their mean (see `clustering`). Two that
space and time keep apart are never joined, not even through a third: seen at once by two cameras that do not
overlap, twice in one picture, or nearer in time than the camera graph's least way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError
from xreid.evaluation.calibration import Calibration, probability
from xreid.retrieval.camera_graph import CameraGraph, Transition
from xreid.retrieval.clustering import cluster
from xreid.retrieval.columns import UNIX_FROM_S
from xreid.retrieval.evidence import pair_ratios
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import Query, queries_of
from xreid.retrieval.search import SearchResult

Floats = npt.NDArray[np.float64]

PAIR_PRIOR = 0.02  # of the pairs of 12 sightings of each of 50 people, which is where it was tried
MOST = 2000


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One tracklet of a person's timeline.

    Attributes:
        query: The tracklet, with its vector.
        transition: How the person came here from the sighting before; None for the first.
    """

    query: Query
    transition: Transition | None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Tracklets that probably show one person.

    Attributes:
        sightings: In order of time; those without a date come later, by recording, those without a time last.
        probability: Mean over the pairs of tracklets of the probability that they are of one person, at the
            prior of `probable_persons`; 1 for a single one.
        weakest: The least of those; 1 for a single one.
    """

    sightings: tuple[Sighting, ...]
    probability: float
    weakest: float

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the tracklets that are in the gallery."""
        return tuple(s.query.id for s in self.sightings if s.query.id is not None)

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras, in order of first sighting."""
        names = (s.query.tracklet.camera for s in self.sightings)
        return tuple(dict.fromkeys(name for name in names if name is not None))


def probable_persons(
    examples: Sequence[Query],
    calibration: Calibration,
    *,
    graph: CameraGraph | None = None,
    prior: float = PAIR_PRIOR,
    least: float = 0.5,
    same: Sequence[Sequence[int]] = (),
) -> list[Person]:
    """Group tracklets into probable persons.

    Args:
        examples: The tracklets, N; at most 2,000.
        calibration: Of the model that made their vectors.
        graph: Cameras and ways; without one, two cameras are taken not to overlap.
        prior: Probability that two of these tracklets show one person, before they are compared.
        least: Groups are joined while the probability of their mean log-odds is above this.
        same: Groups of tracklets known to be of one person, e.g. several examples of a query.

    Returns:
        The persons, in order of their first tracklets among `examples`.

    Raises:
        ConfigError: Too many tracklets, or a probability that is none.
    """
    if len(examples) > MOST:
        raise ConfigError("too many tracklets to group", expected=f"{MOST} at most", got=str(len(examples)))
    if not (0 < prior < 1 and 0 < least < 1):
        raise ConfigError(
            "a probability is out of range", expected="between 0 and 1", got=f"{prior}, {least}"
        )
    if not examples:
        return []
    ratios = _ratios(examples, calibration)
    odds = ratios + math.log(prior / (1 - prior))
    groups = cluster(
        odds, _apart(examples, graph or CameraGraph()), together=same, least=math.log(least / (1 - least))
    )
    chances = np.asarray(probability(ratios, prior=prior))
    return [_person([examples[i] for i in rows], chances[np.ix_(rows, rows)], graph) for rows in groups]


def persons_of(
    gallery: Gallery, result: SearchResult, calibration: Calibration, *, graph: CameraGraph | None = None
) -> list[Person]:
    """Examples and hits of an answer as probable persons; what was confirmed is the one asked for."""
    asking = list(result.query.examples)
    hits = queries_of(gallery, [hit.entry for hit in result.hits])
    sure = [len(asking) + i for i, hit in enumerate(result.hits) if hit.confirmed]
    same = [*range(len(asking)), *sure]
    return probable_persons([*asking, *hits], calibration, graph=graph, same=[same])


def _ratios(examples: Sequence[Query], calibration: Calibration) -> Floats:
    """float64 [N, N] log-likelihood ratios; 0 where the calibration does not cover the pair."""
    vectors = np.stack([example.vector for example in examples])
    modalities = [example.tracklet.modality for example in examples]
    found = pair_ratios(calibration, vectors, modalities, vectors, modalities)
    return np.nan_to_num(found, nan=0.0)


def _apart(examples: Sequence[Query], graph: CameraGraph) -> npt.NDArray[np.bool_]:
    rows = [example.tracklet for example in examples]
    apart = np.zeros((len(rows), len(rows)), dtype=bool)
    for i, first in enumerate(rows):
        for j in range(i):
            apart[i, j] = apart[j, i] = graph.judge(first, rows[j]).impossible
    return apart


def _person(examples: Sequence[Query], chances: Floats, graph: CameraGraph | None) -> Person:
    pairs = chances[np.triu_indices(len(examples), k=1)]
    ordered = sorted(examples, key=_time)
    before = (None, *ordered[:-1])
    return Person(
        sightings=tuple(
            Sighting(
                query=example,
                transition=None
                if earlier is None or graph is None
                else graph.judge(earlier.tracklet, example.tracklet),
            )
            for earlier, example in zip(before, ordered, strict=True)
        ),
        probability=float(pairs.mean()) if len(pairs) else 1.0,
        weakest=float(pairs.min()) if len(pairs) else 1.0,
    )


def _time(query: Query) -> tuple[int, str, float, str]:
    row = query.tracklet
    if row.start_s is None:
        return 2, "", 0.0, row.name
    dated = row.start_s >= UNIX_FROM_S
    return (0, "", row.start_s, row.name) if dated else (1, row.source or "", row.start_s, row.name)
