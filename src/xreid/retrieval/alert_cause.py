"""Why an alert was raised: what its score had to be above then, and who said so.

Thresholds change with the calibration, and with the strangers of a place: what stood when an alert was raised
is kept with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from xreid.evaluation.site_check import key_of
from xreid.retrieval.meaning import Meaning


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What the calibration of the day was.

    Attributes:
        far: False alarms per new tracklet that were put up with.
        calibration: SHA-256 of its values.
        source: Name of the data that it was fitted on.
        checked: When the strangers of the place were looked at whose thresholds were taken, ISO 8601 UTC;
            None: the calibration's own were.
    """

    far: float
    calibration: str
    source: str
    checked: str | None


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why an alert was raised.

    Attributes:
        least: The cosine that had to be passed: a mean over the person's examples.
        passed: That mean of the alert: by the slopes of the calibration, where examples are of both
            modalities; else the alert's score.
        strangers: What share of the place's strangers were at least as alike; None where nobody had looked.
        rule: What the least cosine followed from; None where somebody named it.
    """

    least: float
    passed: float
    strangers: float | None = None
    rule: Rule | None = None

    @property
    def words(self) -> str:
        """In a line."""
        least = f"above {self.least:.3f}"
        if self.rule is None:
            return f"{least}, the least score that was named"
        rule = self.rule
        whose = f"the calibration on {rule.source} ({rule.calibration[:8]})"
        where = "" if rule.checked is None else f", with the strangers of this place on {rule.checked[:10]}"
        return f"{least}: {1000 * rule.far:g} false alarms in 1,000 tracklets by {whose}{where}"


def rule_of(far: float | None, meaning: Meaning | None, kinds: set[str]) -> Rule | None:
    """What a rate of false alarms is turned into a threshold by; None where a least score was named.

    Args:
        far: The rate.
        meaning: Of the gallery.
        kinds: Of the pairs that are compared.
    """
    if far is None or meaning is None:
        return None
    check = meaning.check
    return Rule(
        far=far,
        calibration=key_of(meaning.calibration) if check is None else check.calibration,
        source=meaning.calibration.source,
        checked=check.made if check is not None and kinds & set(check.kinds) else None,
    )
