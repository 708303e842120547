"""Relevance feedback: what an operator confirmed and rejected, and how the next ranking takes it in.

Every judged tracklet becomes an example with a weight; the ranking compares with the weighted sum. That is
Rocchio's formula (Rocchio 1971; Manning et al., Introduction to Information Retrieval, section 9.1.1) over
cosines or calibrated log-likelihood ratios. Weights measured with benchmarks/feedback.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xreid.core.errors import ConfigError

Weights = npt.NDArray[np.float64]

CONFIRMED_WEIGHT = 2.0
REJECTED_WEIGHT = 0.25


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What was confirmed and rejected in one search; ids of tracklets of the gallery.

    Attributes:
        confirmed: The same person, in order of confirmation.
        rejected: Somebody else.
    """

    confirmed: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        both = sorted(set(self.confirmed) & set(self.rejected))
        if both:
            raise ConfigError(
                f"{both[0]} is both confirmed and rejected", todo="Say one of the two of each tracklet."
            )

    def __bool__(self) -> bool:
        return bool(self.confirmed or self.rejected)

    def confirm(self, *ids: str) -> Feedback:
        """With these confirmed; an earlier rejection is taken back."""
        kept = self.withdraw(*ids)
        return replace(kept, confirmed=(*kept.confirmed, *dict.fromkeys(ids)))

    def reject(self, *ids: str) -> Feedback:
        """With these rejected; an earlier confirmation is taken back."""
        kept = self.withdraw(*ids)
        return replace(kept, rejected=(*kept.rejected, *dict.fromkeys(ids)))

    def withdraw(self, *ids: str) -> Feedback:
        """Without a judgement of these."""
        return Feedback(
            confirmed=tuple(one for one in self.confirmed if one not in ids),
            rejected=tuple(one for one in self.rejected if one not in ids),
        )


def example_weights(
    asking: int,
    confirmed: int,
    rejected: int,
    *,
    beta: float = CONFIRMED_WEIGHT,
    gamma: float = REJECTED_WEIGHT,
) -> Weights:
    """float64 [asking + confirmed + rejected]: the weight of each example in the ranking.

    Args:
        asking: Examples of the query; they weigh 1 / asking each.
        confirmed: Confirmed tracklets; beta / confirmed each.
        rejected: Rejected tracklets; minus gamma / rejected each.
        beta: Weight of all that were confirmed.
        gamma: Weight of all that were rejected.
    """
    groups = ((asking, 1.0), (confirmed, beta), (rejected, -gamma))
    return np.concatenate([np.full(count, weight / max(count, 1)) for count, weight in groups])
