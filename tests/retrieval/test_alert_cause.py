"""An alert keeps why it was raised, whatever is calibrated, checked or asked for later."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.test_meaning import kind
from tests.retrieval.test_strangers import FULL as CROWDED
from tests.retrieval.test_strangers import GRAPH, crowd, gallery_of
from tests.retrieval.test_watch import FULL, _person, gallery
from xreid.cli.main import main
from xreid.core.tracklets import Modality
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.several import threshold_at
from xreid.evaluation.site_check import key_of
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.queries import queries_from_gallery
from xreid.retrieval.strangers import check_gallery, keep_check
from xreid.retrieval.watch import WatchList
from xreid.retrieval.watching import alerts_now, check_watch

__all__ = ["gallery"]


def test_the_score_that_was_needed_and_the_calibration_it_followed_from(
    gallery: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, names = answers_folder(gallery), ["a7", "a8", "a12"]
    WatchList(folder).add(_person(gallery, names, far=0.03))
    raised = check_watch(gallery, folder, calibration=FULL).new
    asking = queries_from_gallery(gallery, names)
    assert {one.tracklet.modality for one in asking} == set(Modality), "means by slopes"
    for alert in raised:
        used = [FULL.kinds[kind_of(one.tracklet.modality, Modality(alert.modality))] for one in asking]
        slopes, vector = np.array([one.slope for one in used]), gallery.vectors([alert.tracklet_id])[0]
        assert alert.cause is not None
        assert alert.cause.rule is not None
        cosines = np.array([one.vector @ vector for one in asking])
        cuts = np.array([threshold_at(one, 0.03) for one in used])
        assert alert.cause.passed == pytest.approx(slopes @ cosines / slopes.sum(), abs=1e-5)
        assert alert.cause.least == pytest.approx(slopes @ cuts / slopes.sum(), abs=1e-5)
        assert alert.cause.passed > alert.cause.least
        rule = alert.cause.rule
        assert (rule.far, rule.calibration, rule.source) == (0.03, key_of(FULL), FULL.source)
        assert (rule.checked, alert.cause.strangers) == (None, None)
        assert f"30 false alarms in 1,000 tracklets by the calibration on {FULL.source}" in alert.cause.words
    (low,) = [one for one in raised if one.cause is not None and one.score < one.cause.least]
    assert low.cause is not None
    assert main(["watch", "alerts", gallery.address]) == 0
    told = capsys.readouterr().out
    assert f"{low.score:.3f}" in told
    assert f"{low.cause.least:.3f} ({low.cause.passed:.3f})" in told, "or it would seem to be a fault"
    assert "which was above; the score is the plain mean" in told
    other = replace(FULL, kinds={**FULL.kinds, "vis-vis": kind(10, -4, cut=0.9)})
    assert check_watch(gallery, folder, calibration=other).new == ()
    assert tuple(AlertLog(folder).alerts()) == raised != ()


def test_a_least_score_that_was_named(gallery: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    folder = answers_folder(gallery)
    WatchList(folder).add(_person(gallery, ["a7", "a8"], far=None, min_score=0.1))
    raised = check_watch(gallery, folder, calibration=FULL).new
    assert raised
    for alert in raised:
        assert alert.cause is not None
        assert (alert.cause.rule, alert.cause.strangers) == (None, None)
        assert (alert.cause.least, alert.cause.passed) == pytest.approx((0.1, alert.score), abs=1e-6)
    assert main(["watch", "alerts", gallery.address]) == 0
    told = capsys.readouterr().out
    assert told.count("above 0.100, the least score that was named") == 1, "said once for all"


def test_whether_the_strangers_of_the_place_had_set_it(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    WatchList(folder).add(_person(gallery, ["p0"], name="before", far=0.01))
    before = check_watch(gallery, folder).new
    check = check_gallery(gallery, CROWDED, graph=GRAPH)
    keep_check(folder, check)
    WatchList(folder).add(_person(gallery, ["p0"], name="after", far=0.01))
    after = check_watch(gallery, folder).new
    assert before
    assert after
    for alert in after:
        assert alert.cause is not None
        assert alert.cause.rule is not None
        assert (alert.cause.rule.calibration, alert.cause.rule.checked) == (key_of(CROWDED), check.made)
        assert alert.cause.least == pytest.approx(dict(check.kinds["vis-vis"].cuts)[0.01], abs=1e-5)
        assert alert.cause.strangers is not None
        assert alert.cause.strangers < 0.02
        assert f"strangers of this place on {check.made[:10]}" in alert.cause.words
    kept = [one.cause for one in alerts_now(gallery, folder) if one.person == "before"]
    assert kept == [one.cause for one in before], "as it was then, though no probability stands any more"
    assert {one.rule.checked for one in kept if one is not None and one.rule is not None} == {None}


def test_alerts_of_before_are_read(gallery: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    folder = answers_folder(gallery)
    WatchList(folder).add(_person(gallery, ["a7"]))
    raised = check_watch(gallery, folder, calibration=FULL).new
    log = AlertLog(folder)
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert all(line.pop("cause") for line in lines)
    log.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert log.alerts() == [replace(one, cause=None) for one in raised]
    assert check_watch(gallery, folder, calibration=FULL).new == (), "none is raised again"
    assert main(["watch", "alerts", gallery.address]) == 0
    assert "above 0" not in capsys.readouterr().out
