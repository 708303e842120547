"""Fitting a calibration: logistic (Platt) and isotonic, at a stated prior.

Pairs of two people outnumber pairs of one by far, and by how much depends on the archive. So the two classes
are weighed as if a share `fit_prior` of the pairs were of one person, and the log-odds of that prior are
taken off again: what is left is a log-likelihood ratio (Brummer & du Preez, Computer Speech & Language 2006).
Logistic fit: J. Platt, Probabilistic outputs for SVMs, 1999, with his smoothed targets, so that separable
scores keep a finite slope. Isotonic fit: pool adjacent violators (Zadrozny & Elkan, KDD 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, ProtocolError
from xreid.evaluation.calibration import Calibration, KindCalibration, Method, Threshold
from xreid.evaluation.directions import I2I, I2V, V2V, Direction
from xreid.evaluation.metrics import Floats
from xreid.evaluation.pairs import KINDS, PairScores, pair_scores
from xreid.evaluation.protocols import Protocol
from xreid.evaluation.rates import resolution, tail_length, threshold_at
from xreid.evaluation.several import fit_several

FEWEST_POSITIVES = 10
_DIRECTIONS: dict[str, Direction] = dict(zip(KINDS, (V2V, I2V, I2I), strict=True))


def fit_calibration(
    embeddings: EmbeddingSet,
    protocol: Protocol,
    *,
    trained_on: Sequence[str] = (),
    method: Method = "logistic",
    fit_prior: float = 0.01,
    far: float = 1e-3,
) -> tuple[Calibration, tuple[str, ...]]:
    """Fit every kind of pairs that the embeddings show.

    Args:
        embeddings: Tracklets of people who are neither training nor test people.
        protocol: Decides which pairs count.
        trained_on: Training identities; none may be among the people.
        method: Which of the two fits gives probabilities.
        fit_prior: Share of same-person pairs the logistic fit weighs for.
        far: False-accept rate of the stored thresholds.

    Returns:
        The calibration, and why each kind that it lacks is missing.

    Raises:
        ProtocolError: Training people are among them, or no kind can be fitted.
        ConfigError: fit_prior or far is out of range.
    """
    for name, value in (("fit_prior", fit_prior), ("far", far)):
        if not 0 < value < 1:
            raise ConfigError(f"--{name} is out of range", expected="between 0 and 1", got=str(value))
    _require_untrained(embeddings, trained_on)
    kinds, missing = {}, []
    for kind, direction in _DIRECTIONS.items():
        try:
            pairs = pair_scores(embeddings, protocol, direction=direction)
            kinds[kind] = _fit_kind(pairs, kind=kind, fit_prior=fit_prior, far=far)
        except ProtocolError as error:
            missing.append(f"no calibration for {kind} pairs: {error.what}")
    if not kinds:
        raise ProtocolError("these embeddings cannot be calibrated", got="; ".join(missing))
    calibration = Calibration(
        method=method,
        kinds=kinds,
        origin=embeddings.origin,
        source=embeddings.origin.source,
        identities=tuple(embeddings.table.identities()),
        tracklets=len(embeddings),
        protocol=protocol.label,
        fit_prior=fit_prior,
        several=fit_several(embeddings, kinds),
    )
    return calibration, tuple(missing)


def fit_logistic(positive: Floats, negative: Floats, *, prior: float) -> tuple[float, float]:
    """Slope and offset of the log-likelihood ratio as a linear function of the score."""
    from scipy.optimize import minimize

    scores = np.concatenate([positive, negative]).astype(np.float64)
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    x = (scores - centre) / spread
    p, n = len(positive), len(negative)
    target = np.concatenate([np.full(p, (p + 1) / (p + 2)), np.full(n, 1 / (n + 2))])
    weight = np.concatenate([np.full(p, prior / p), np.full(n, (1 - prior) / n)])

    def loss(ab: Floats) -> tuple[float, Floats]:
        odds = ab[0] * x + ab[1]
        # cross-entropy of a soft target: log(1 + exp(odds)) - target * odds
        value = float(weight @ (np.logaddexp(0.0, odds) - target * odds))
        wrong = weight * (np.exp(-np.logaddexp(0.0, -odds)) - target)
        return value, np.array([wrong @ x, wrong.sum()])

    start = np.array([1.0, np.log(prior / (1 - prior))])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    slope = float(found.x[0]) / spread
    offset = float(found.x[1]) - slope * centre - float(np.log(prior / (1 - prior)))
    return slope, offset


def fit_isotonic(positive: Floats, negative: Floats) -> tuple[tuple[float, float], ...]:
    """Knots (score, llr) of a rising function: pooled adjacent violators, each block at its mean score.

    A block without one of the classes would have an infinite ratio; it gets what half a pair of that class
    would give.
    """
    from scipy.optimize import isotonic_regression

    scores = np.concatenate([positive, negative]).astype(np.float64)
    same = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    order = np.lexsort((same, scores))
    places, starts = np.unique(scores[order], return_index=True)  # equal scores are one place
    ones = np.add.reduceat(same[order], starts)
    sizes = np.diff([*starts, len(scores)])
    blocks = isotonic_regression(ones / sizes, weights=sizes).blocks
    p = np.add.reduceat(ones, blocks[:-1])
    n = np.add.reduceat(sizes - ones, blocks[:-1])
    centres = np.add.reduceat(places * sizes, blocks[:-1]) / (p + n)
    llr = np.log(np.maximum(p, 0.5) / len(positive)) - np.log(np.maximum(n, 0.5) / len(negative))
    llr = np.maximum.accumulate(llr)  # half a pair may break the order of the outermost blocks
    return tuple((float(c), float(v)) for c, v in zip(centres, llr, strict=True))


def _fit_kind(pairs: PairScores, *, kind: str, fit_prior: float, far: float) -> KindCalibration:
    positive = pairs.scores[pairs.positive].astype(np.float64)
    negative = pairs.scores[pairs.negative].astype(np.float64)
    twice = 1 if kind == "vis-ir" else 2  # within a modality each pair asks in both orders
    if len(positive) // twice < FEWEST_POSITIVES:
        raise ProtocolError(f"{len(positive) // twice} pairs of one person, {FEWEST_POSITIVES} are needed")
    slope, offset = fit_logistic(positive, negative, prior=fit_prior)
    cuts = float(np.quantile(negative, 0.9)), float(np.quantile(negative, 0.99))
    if not slope > 0 or not cuts[0] < cuts[1]:
        raise ProtocolError("pairs of one person do not score higher than pairs of two")
    kept = tail_length((far,), len(negative))
    tail = np.sort(np.partition(negative, len(negative) - kept)[len(negative) - kept :])[::-1]
    cut = threshold_at(tail, far, negatives=len(negative))
    return KindCalibration(
        slope=slope,
        offset=offset,
        knots=fit_isotonic(positive, negative),
        positives=len(positive) // twice,
        negatives=len(negative) // twice,
        identities=len(pairs.identities),
        stranger_cuts=cuts,
        threshold=Threshold(
            far=far,
            score=cut,
            tar=None if cut is None else float((positive > cut).mean()),
            resolution=resolution(far, len(negative) // twice),
        ),
    )


def _require_untrained(embeddings: EmbeddingSet, trained_on: Sequence[str]) -> None:
    shared = sorted(set(embeddings.table.identities()) & set(trained_on))
    if shared:
        raise ProtocolError(
            f"{len(shared)} of the people are training identities, whose scores are too good",
            got=", ".join(shared[:5]) + (", ..." if len(shared) > 5 else ""),
            todo="Use people held out of training (`xreid embed --held_out`); if they are other people of "
            "the same names (say, of another archive), add --other_people.",
        )
