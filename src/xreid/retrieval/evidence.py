"""What the cosines with several examples of a person say together, as calibrated log-likelihood ratios.

Several examples of one person are no independent witnesses: what makes one of them look like a stranger makes
the others do so too. So their ratios are averaged, not added (measured: docs/search.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, Method
from xreid.evaluation.pairs import kind_of

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]


def pair_ratios(
    calibration: Calibration,
    first: Vectors,
    first_modalities: Sequence[Modality],
    second: Vectors,
    second_modalities: Sequence[Modality],
    *,
    method: Method | None = None,
) -> Floats:
    """Log-likelihood ratios of all pairs.

    Args:
        calibration: Of the model that made the vectors.
        first: float32 [M, D] of unit length.
        first_modalities: Theirs, M.
        second: float32 [N, D] of unit length.
        second_modalities: Theirs, N.
        method: Which fit; none: the one that the calibration answers with.

    Returns:
        float64 [M, N]; NaN where the calibration does not cover the kind of pair.
    """
    cosines = np.asarray(first @ second.T, dtype=np.float64)
    return ratios_of(calibration, cosines, first_modalities, second_modalities, method=method)


def ratios_of(
    calibration: Calibration,
    cosines: Floats,
    first: Sequence[Modality],
    second: Sequence[Modality],
    *,
    method: Method | None = None,
) -> Floats:
    """The same, of cosines float64 [M, N] that are known already."""
    found = np.full(cosines.shape, np.nan)
    for a in set(first):
        for b in set(second):
            kind = calibration.kinds.get(kind_of(a, b))
            if kind is None:
                continue
            where = np.ix_([m is a for m in first], [m is b for m in second])
            found[where] = kind.llr(cosines[where], method=method or calibration.method)
    return found


def margins_of(
    calibration: Calibration, cosines: Floats, first: Sequence[Modality], second: Sequence[Modality]
) -> Floats:
    """How far each cosine lies above its stored threshold, in log-likelihood ratios of the logistic fit.

    Returns:
        float64 [M, N]; NaN where the calibration has no threshold for the kind of pair.
    """
    found = np.full(cosines.shape, np.nan)
    for a in set(first):
        for b in set(second):
            kind = calibration.kinds.get(kind_of(a, b))
            if kind is None or kind.threshold.score is None:
                continue
            where = np.ix_([m is a for m in first], [m is b for m in second])
            found[where] = kind.slope * (cosines[where] - kind.threshold.score)
    return found
