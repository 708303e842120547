"""The line beside probabilities: on whom they were measured, and whether anybody checked that here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_site_check import checked, strangers
from tests.retrieval.test_meaning import CALIBRATION
from xreid.evaluation.site_check import KindCheck, SiteCheck, Word
from xreid.retrieval.meaning import Meaning
from xreid.serving.searching import measured


def check(found: KindCheck) -> SiteCheck:
    return SiteCheck(kinds={"vis-vis": found}, calibration="", tracklets=9, made="2026-11-20T10:00:00+00:00")


def test_people_and_simulated_people() -> None:
    assert measured(Meaning(calibration=CALIBRATION)) == (
        "Probabilities measured on 2 people of somewhere; not checked on this site."
    )
    drawn = replace(CALIBRATION, source="hitsz-vcm (simulated)")
    assert measured(Meaning(calibration=drawn)) == (
        "Probabilities measured on 2 simulated people; not checked on this site."
    )


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (
            "holds",
            "checked here 2026-11-20: their rates hold for vis-vis pairs, of others nobody knows.",
        ),
        ("unclear", "checked here 2026-11-20: too few pairs to say whether they hold."),
        ("breaks", "they do not hold here (checked 2026-11-20), so none is shown where they break."),
    ],
)
def test_what_a_check_says(word: Word, told: str) -> None:
    found = replace(checked(np.asarray(strangers(200))), word=word)
    line = measured(Meaning(calibration=CALIBRATION, check=check(found)))
    assert line == f"Probabilities measured on 2 people of somewhere; {told}"


def test_that_they_hold_is_said_where_all_kinds_were_seen_to() -> None:
    found = replace(checked(np.asarray(strangers(200))), word="holds")
    whole = replace(check(found), kinds=dict.fromkeys(CALIBRATION.kinds, found))
    meaning = Meaning(calibration=CALIBRATION, check=whole)
    assert measured(meaning).endswith("checked here 2026-11-20: their rates hold.")
    assert meaning.holds() is True
    assert replace(meaning, check=check(found)).holds() is None
