"""Watch lists: alerts equal a loop over all pairs, nothing twice, nothing lost, everything erased."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.sets import make_set, other_model
from tests.retrieval.test_meaning import CALIBRATION, kind
from xreid.core.embeddings import EmbeddingSet
from xreid.core.errors import ConfigError, DataError, ProtocolError
from xreid.core.tracklets import Modality
from xreid.evaluation.calibration import SeveralCut
from xreid.evaluation.pairs import kind_of
from xreid.evaluation.several import threshold_at
from xreid.retrieval.alerts import AlertLog
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.meaning import Meaning
from xreid.retrieval.queries import queries_from_gallery, together
from xreid.retrieval.watch import Watched, WatchList, watched
from xreid.retrieval.watching import check_watch, require_able

FULL = replace(
    CALIBRATION,
    kinds={"vis-vis": kind(10, -4, cut=0.5), "vis-ir": kind(14, -1, cut=0.4), "ir-ir": kind(9, -5, cut=0.45)},
)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(make_set(40, seed=0, prefix="a"), name="first")
    return gallery


def _person(gallery: Gallery, names: list[str], **options: object) -> Watched:
    assert gallery.origin is not None
    query = together(queries_from_gallery(gallery, names))
    values = {"name": "the visitor", "reason": "asked for by the police", "far": 0.1, **options}
    return watched(query, origin=gallery.origin, **values)


def _folder(gallery: Gallery) -> Path:
    return answers_folder(gallery)


def test_alerts_equal_a_loop_over_all_pairs_and_come_once(gallery: Gallery) -> None:
    names = ["a7", "a8", "a12"]
    folder = _folder(gallery)
    WatchList(folder).add(_person(gallery, names))
    report = check_watch(gallery, folder, calibration=FULL)
    entries = [entry for entry in gallery.walk() if entry.tracklet.name not in names]
    asking = queries_from_gallery(gallery, names)
    expected = set()
    for entry in entries:
        vector, margin = gallery.vectors([entry.id])[0], 0.0
        for one in asking:
            infrared = [t.modality is Modality.INFRARED for t in (one.tracklet, entry.tracklet)]
            line = FULL.kinds[("vis-vis", "vis-ir", "ir-ir")[sum(infrared)]]
            margin += line.slope * (float(one.vector @ vector) - line.stranger_cuts[0])
        if margin > 0:
            expected.add(entry.id)
    assert 0 < len(expected) < len(entries)
    assert {alert.tracklet_id for alert in report.new} == expected
    assert (report.watched, report.expired, report.skipped) == (1, (), ())
    assert check_watch(gallery, folder, calibration=FULL).new == ()
    log = AlertLog(folder).alerts()
    assert {alert.tracklet_id for alert in log} == expected
    for alert in log[:3]:
        vector = gallery.vectors([alert.tracklet_id])[0]
        assert alert.score == pytest.approx(float(np.mean([one.vector @ vector for one in asking])), abs=1e-5)
        assert alert.probability is not None


def test_only_what_is_appended_later_raises_alerts_unless_the_past_counts(gallery: Gallery) -> None:
    folder, there = _folder(gallery), [stored.key for stored in gallery.sets]
    WatchList(folder).add(_person(gallery, ["a7"], name="later", before=there, far=None, min_score=-1.0))
    WatchList(folder).add(_person(gallery, ["a7"], name="always", far=None, min_score=-1.0))
    found = check_watch(gallery, folder).new
    assert {alert.person for alert in found} == {"always"}
    assert len(found) == 39
    gallery.append(make_set(6, seed=5, prefix="n"), name="more")
    more = check_watch(gallery, folder).new
    assert sorted((alert.person, alert.tracklet) for alert in more) == [
        (person, f"n{i}") for person in ("always", "later") for i in range(6)
    ]


def test_expired_people_and_those_of_another_model_are_not_looked_for(gallery: Gallery) -> None:
    folder, end = _folder(gallery), datetime.now(UTC) + timedelta(days=1)
    WatchList(folder).add(_person(gallery, ["a7"], expires=end))
    stranger = Gallery.create(folder.parent.parent / "h")
    stranger.append(other_model(make_set(10, seed=3, prefix="z")), name="z")
    WatchList(folder).add(_person(stranger, ["z1"], name="foreign"))
    assert check_watch(gallery, folder, calibration=FULL).skipped == ("foreign",)
    late = check_watch(gallery, folder, calibration=FULL, now=end + timedelta(seconds=1))
    assert (late.expired, late.watched) == (("the visitor",), 0)


def test_examples_follow_the_gallery_to_a_new_model(gallery: Gallery) -> None:
    folder = _folder(gallery)
    old = replace(_person(gallery, ["a7"]), model="0" * 16)
    WatchList(folder).add(replace(old, examples=(replace(old.examples[0], vector=-old.examples[0].vector),)))
    report = check_watch(gallery, folder, calibration=FULL)
    assert report.skipped == ()
    other = folder.parent / "other"
    WatchList(other).add(_person(gallery, ["a7"]))
    fresh = check_watch(gallery, other, calibration=FULL).new
    assert fresh
    assert [a.tracklet_id for a in report.new] == [a.tracklet_id for a in fresh]


def test_many_alerts_and_a_least_score(tmp_path: Path) -> None:
    plain = make_set(400, seed=1, prefix="x")
    vectors = plain.vectors * 0.05 + plain.vectors[:1]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    gallery = Gallery.create(tmp_path / "g")
    gallery.append(EmbeddingSet(vectors=vectors, table=plain.table, origin=plain.origin), name="x")
    folder = _folder(gallery)
    WatchList(folder).add(_person(gallery, ["x0"], far=None, min_score=0.9))
    assert len(check_watch(gallery, folder).new) == 399
    WatchList(folder).add(_person(gallery, ["x0"], name="by rate"))
    report = check_watch(gallery, folder)
    assert (report.watched, list(report.failed)) == (1, ["by rate"])
    assert "nothing is calibrated" in report.failed["by rate"]


def test_somebody_who_cannot_be_looked_for_hinders_nobody(gallery: Gallery) -> None:
    folder = _folder(gallery)
    meaning = Meaning(calibration=FULL)
    lax, strict = _person(gallery, ["a7"]), _person(gallery, ["a7"], name="strict", far=1e-5)
    require_able(lax, meaning)
    with pytest.raises(ConfigError, match="says nothing about that false-alarm rate"):
        require_able(strict, meaning)
    with pytest.raises(ProtocolError, match="ir-ir"):
        require_able(lax, Meaning(calibration=replace(FULL, kinds={"vis-ir": FULL.kinds["vis-ir"]})))
    for person in (strict, lax):
        WatchList(folder).add(person)
    report = check_watch(gallery, folder, calibration=FULL)
    assert report.new
    assert {alert.person for alert in report.new} == {"the visitor"}
    assert list(report.failed) == ["strict"]


@pytest.mark.parametrize(("far", "expected"), [(0.1, 0.1), (0.01, 0.3), (0.001, 0.5), (0.0316228, 0.2)])
def test_thresholds_between_the_measured_rates(far: float, expected: float) -> None:
    assert threshold_at(FULL.kinds["vis-vis"], far) == pytest.approx(expected, abs=1e-4)
    assert math.isclose(threshold_at(kind(9, -5, cut=None), 0.01), 0.3)


@pytest.mark.parametrize("far", [0.5, 1e-4])
def test_rates_that_nobody_measured(far: float) -> None:
    with pytest.raises(ConfigError, match=r"0.001 to 0.1 per tracklet"):
        threshold_at(FULL.kinds["vis-vis"], far)


def test_people_that_cannot_be_watched_for(gallery: Gallery) -> None:
    for options, message in (
        ({"reason": " "}, "needs a reason"),
        ({"name": ""}, "needs a name"),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "over before it begins"),
        ({"min_score": 0.5}, "one threshold"),
        ({"far": None}, "one threshold"),
    ):
        with pytest.raises(ConfigError, match=message):
            _person(gallery, ["a7"], **options)
    watch = WatchList(_folder(gallery))
    watch.add(_person(gallery, ["a7"]))
    with pytest.raises(ConfigError, match="already"):
        watch.add(_person(gallery, ["a8"]))
    with pytest.raises(ProtocolError, match="expected the visitor"):
        watch.remove(["nobody"])
    with pytest.raises(ProtocolError, match="expected the visitor"):
        watch.get("nobody")
    assert watch.remove(["the visitor"]) == 1
    assert watch.people == ()


def test_acknowledging_and_a_line_cut_short(gallery: Gallery) -> None:
    folder = _folder(gallery)
    WatchList(folder).add(_person(gallery, ["a7"]))
    first, second = check_watch(gallery, folder, calibration=FULL).new[:2]
    log = AlertLog(folder)
    log.acknowledge([first.id, second.id], word="wrong", by="anna")
    log.acknowledge([first.id], word="right", by="ben", note="it is him")
    before = log.path.read_bytes()
    with open(log.path, "ab") as handle:
        handle.write(b'{"kind": "ackno')  # killed while it wrote
    said = {alert.id: alert.acknowledged for alert in log.alerts()}
    assert (said[first.id].word, said[first.id].by, said[first.id].note) == ("right", "ben", "it is him")
    assert said[second.id].word == "wrong"
    log.acknowledge([second.id])
    assert log.path.read_bytes().startswith(before)
    assert {alert.id: alert.acknowledged.word for alert in log.alerts() if alert.acknowledged} == {
        first.id: "right",
        second.id: "seen",
    }
    with pytest.raises(ProtocolError, match="no alert 'zz'"):
        log.acknowledge([first.id, "zz"])
    with pytest.raises(ConfigError, match="right, wrong, seen"):
        log.acknowledge([first.id], word="maybe")
    log.path.write_text("garbage\n")
    with pytest.raises(DataError, match="line 1"):
        log.alerts()


def test_a_damaged_list_and_a_server_without_a_folder(gallery: Gallery, tmp_path: Path) -> None:
    watch = WatchList(_folder(gallery))
    watch.add(_person(gallery, ["a7"]))
    path = watch.folder / "watch.json"
    plain = json.loads(path.read_text())
    for broken, message in (({**plain, "format": 9}, "another format"), ({"format": 1}, "damaged")):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match=message):
            _ = watch.people

    class Remote:
        address = "http://127.0.0.1:19530/site"

    with pytest.raises(ConfigError, match="--state FOLDER"):
        answers_folder(Remote())  # type: ignore[arg-type]
    assert answers_folder(Remote(), tmp_path) == tmp_path  # type: ignore[arg-type]


def test_several_examples_raise_alerts_from_the_cut_that_was_measured_for_them(gallery: Gallery) -> None:
    folder, names = _folder(gallery), ["a7", "a8", "a12"]
    WatchList(folder).add(_person(gallery, names, far=0.01))
    measured = replace(FULL, several=(SeveralCut(examples=3, far=0.01, margin=-1.0),))
    raised = {alert.tracklet: alert for alert in check_watch(gallery, folder, calibration=measured).new}
    asking = queries_from_gallery(gallery, names)
    for entry in gallery.walk():
        if entry.tracklet.name in names:
            continue
        margin = 0.0
        for one in asking:
            used = FULL.kinds[kind_of(one.tracklet.modality, entry.tracklet.modality)]
            cosine = float(one.vector @ gallery.vectors([entry.id])[0])
            margin += used.slope * (cosine - threshold_at(used, 0.01)) / 3
        assert (margin > -1.0) == (entry.tracklet.name in raised)
    assert raised
