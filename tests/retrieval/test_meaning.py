"""Probabilities, verdicts and the calibrated order of a search."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set, other_model
from xreid.core.errors import ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import Calibration, KindCalibration, SeveralCut, Threshold
from xreid.retrieval.columns import Filter
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.page import PageInfo, show_prior, show_probability, write_results_page
from xreid.retrieval.search import queries_from_gallery, search


def kind(slope: float, offset: float, *, cut: float | None) -> KindCalibration:
    return KindCalibration(
        slope=slope,
        offset=offset,
        knots=((0.0, -3.0), (1.0, 3.0)),
        positives=20,
        negatives=900,
        identities=10,
        stranger_cuts=(0.1, 0.3),
        threshold=Threshold(far=0.001, score=cut, tar=0.5, resolution="few"),
    )


CALIBRATION = Calibration(
    method="logistic",
    kinds={
        "vis-vis": kind(10, -4, cut=0.2),
        "vis-ir": kind(14, -1, cut=0.1),
        "ir-ir": kind(9, -5, cut=None),
    },
    origin=make_set(2).origin,
    source="somewhere",
    identities=("1", "2"),
    tracklets=40,
    protocol="generic v1",
    fit_prior=0.5,
)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(make_set(40, seed=0, prefix="a"), name="first")
    return gallery


@pytest.mark.parametrize("name", ["a7", "a8"])
def test_the_calibrated_order_equals_the_sort_by_ratio(gallery: Gallery, name: str) -> None:
    meaning = Meaning(calibration=CALIBRATION, order="calibrated")
    queries = queries_from_gallery(gallery, [name])
    (result,) = search(gallery, queries, top=15, meaning=meaning)
    own = queries[0]
    ratios = []
    for entry in gallery.walk():
        number = sum(t.modality is Modality.INFRARED for t in (own.tracklet, entry.tracklet))
        line = CALIBRATION.kinds[("vis-vis", "vis-ir", "ir-ir")[number]]
        score = float(gallery.vectors([entry.id])[0] @ own.vector)
        ratios.append((-(line.slope * score + line.offset), entry.id))
    expected = [entry_id for _, entry_id in sorted(ratios) if entry_id != own.id][:15]
    assert [hit.entry.id for hit in result.hits] == expected
    assert result.best == pytest.approx(max(hit.score for hit in result.hits))
    plain = search(gallery, queries, top=15, meaning=Meaning(calibration=CALIBRATION))[0]
    assert [hit.entry.id for hit in plain.hits] == [
        hit.entry.id for hit in search(gallery, queries, top=15)[0].hits
    ]
    assert [hit.entry.id for hit in plain.hits] != expected


def test_probability_prior_and_verdict(gallery: Gallery) -> None:
    queries = queries_from_gallery(gallery, ["a8"])
    (result,) = search(gallery, queries, top=39, meaning=Meaning(calibration=CALIBRATION))
    assert result.prior == pytest.approx(1 / 39)
    for hit in result.hits:
        assert hit.verdict is not None
        infrared = hit.entry.tracklet.modality is Modality.INFRARED
        line, cut = (CALIBRATION.kinds["vis-ir"], 0.1) if infrared else (CALIBRATION.kinds["vis-vis"], 0.2)
        odds = line.slope * hit.score + line.offset - np.log(38)
        assert hit.verdict.probability == pytest.approx(1 / (1 + np.exp(-odds)))
        assert hit.verdict.accepted == (hit.score > cut)
    assert not result.unknown
    strict = replace(CALIBRATION, kinds={k: kind(10, -4, cut=0.999) for k in CALIBRATION.kinds})
    (result,) = search(gallery, queries, meaning=Meaning(calibration=strict, prior=0.3))
    assert result.prior == 0.3
    assert result.unknown
    assert result.to_json()["unknown"] is True
    assert search(gallery, queries)[0].to_json().keys() == {"query", "searched", "best_score", "hits"}


def test_a_kind_without_threshold_or_calibration_is_not_judged(gallery: Gallery) -> None:
    rules = Filter(modality=Modality.INFRARED)
    queries = queries_from_gallery(gallery, ["a7"])
    (result,) = search(gallery, queries, rules=rules, meaning=Meaning(calibration=CALIBRATION))
    assert all(hit.verdict is not None and hit.verdict.accepted is None for hit in result.hits)
    assert not result.unknown
    cross = Meaning(calibration=replace(CALIBRATION, kinds={"vis-ir": CALIBRATION.kinds["vis-ir"]}))
    (result,) = search(gallery, queries, rules=rules, meaning=cross)
    assert show_probability(result.hits[0]) == ""
    with pytest.raises(ProtocolError, match="does not cover ir-ir"):
        search(gallery, queries, rules=rules, meaning=replace(cross, order="calibrated"))


def test_the_note_says_which_pairs_have_no_probability_and_that_nothing_is_unknown() -> None:
    full = Meaning(calibration=CALIBRATION).note()
    assert "“Unknown” stands below" in full
    assert "does not cover" not in full
    visible = CALIBRATION.kinds["vis-vis"]
    uncut = replace(visible, threshold=replace(visible.threshold, score=None))
    note = Meaning(calibration=replace(CALIBRATION, kinds={"vis-vis": uncut})).note()
    assert "does not cover vis-ir and ir-ir pairs" in note
    assert "no answer is called unknown" in note


def test_a_calibration_of_another_model_is_refused(gallery: Gallery) -> None:
    foreign = replace(CALIBRATION, origin=other_model(make_set(2)).origin)
    with pytest.raises(ProtocolError, match="differ in their checkpoint"):
        search(gallery, queries_from_gallery(gallery, ["a7"]), meaning=Meaning(calibration=foreign))


def test_the_gallery_takes_the_calibration_of_its_last_set(gallery: Gallery) -> None:
    assert gallery.calibration is None
    carrying = replace(make_set(5, seed=3, prefix="c"), calibration=CALIBRATION.to_json())
    gallery.append(carrying, name="second")
    assert gallery.calibration == CALIBRATION
    gallery.erase(names=["c1"])
    assert gallery.calibration == CALIBRATION


def test_the_page_shows_it(gallery: Gallery, tmp_path: Path) -> None:
    strict = replace(CALIBRATION, kinds={k: kind(10, -4, cut=0.999) for k in CALIBRATION.kinds})
    meaning = Meaning(calibration=strict)
    results = search(gallery, queries_from_gallery(gallery, ["a8"]), meaning=meaning)
    info = PageInfo(rules=Filter(), top=20, min_score=None, meaning=meaning)
    write_results_page(results, tmp_path / "page", gallery=gallery, info=info)
    page = (tmp_path / "page" / "search.html").read_text()
    for needed in ("prior 1/39", "unknown: below the threshold", "<b>Unknown:</b>", "2 people of somewhere"):
        assert needed in page
    assert "not calibrated:" not in page


def test_priors_and_probabilities_in_words(gallery: Gallery) -> None:
    assert [show_prior(p) for p in (1 / 200, 0.5, 0.3, 1 / 5000)] == ["1/200", "1/2", "0.3", "1/5,000"]
    (result,) = search(
        gallery, queries_from_gallery(gallery, ["a8"]), meaning=Meaning(calibration=CALIBRATION)
    )
    told = {
        p: show_probability(replace(result.hits[0], verdict=replace(result.hits[0].verdict, combined=p)))
        for p in (0.0, 0.5, 1.0)
    }
    assert told == {0.0: "p < 0.001", 0.5: "p 0.500", 1.0: "p > 0.999"}


def test_several_examples_accept_below_the_mean_of_the_thresholds() -> None:
    cosines = np.array([[0.05], [0.1]])  # thresholds 0.1 each: the mean lies 0.025 below
    both = [Modality.VISIBLE, Modality.VISIBLE]
    (before,) = Meaning(calibration=CALIBRATION).verdicts(cosines, both, [Modality.INFRARED], searched=9)
    assert before.accepted is False
    for margin, accepted in ((-0.34, False), (-0.36, True)):  # slope 14 * -0.025 = -0.35
        measured = replace(CALIBRATION, several=(SeveralCut(examples=2, far=0.001, margin=margin),))
        (now,) = Meaning(calibration=measured).verdicts(cosines, both, [Modality.INFRARED], searched=9)
        assert now.accepted is accepted
        (one,) = Meaning(calibration=measured).verdicts(
            cosines[:1], both[:1], [Modality.INFRARED], searched=9
        )
        assert one.accepted is False, "one example cuts where it did"
