"""Erasing from a gallery erases from its answers in the same call, whatever is killed."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.killing import every, killer
from tests.retrieval.sets import make_set, other_model
from xreid.core.embeddings import EmbeddingSet
from xreid.core.tracklets import TrackletTable
from xreid.retrieval.alerts import Alert, AlertLog
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.cases import Cases
from xreid.retrieval.forgetting import forget_erased, forget_watched
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.gallery_again import embed_again
from xreid.retrieval.gallery_receipts import UnfinishedError
from xreid.retrieval.queries import queries_from_gallery, queries_from_set, together
from xreid.retrieval.watch import WatchList, watched

WORDS = ("a7", "a8", "a11")  # names of those who are erased
NOTHING = {"examples": 0, "people": 0, "alerts": 0, "judgements": 0}


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return _gallery(tmp_path / "g")


def _gallery(folder: Path, answers: Path | None = None) -> Gallery:
    """40 tracklets; answers that mention a7, a8, a11 (who will be erased) and a9, a12 (who stay)."""
    gallery = Gallery.create(folder)
    gallery.append(make_set(40, seed=0, prefix="a"), name="first")
    answers = answers or answers_folder(gallery)
    outside = queries_from_set(gallery, make_set(3, seed=99, prefix="q"), ["q1"])
    assert gallery.origin is not None
    people = {"one": [*queries_from_gallery(gallery, ["a7"]), *outside]}
    people["two"] = queries_from_gallery(gallery, ["a8"])
    people["three"] = queries_from_gallery(gallery, ["a9"])
    for name, examples in people.items():
        person = watched(together(examples), origin=gallery.origin, name=name, reason="r", far=0.1)
        WatchList(answers).add(person)
    told = {"one": "a12", "two": "a9", "three": "a11"}
    alerts = [_alert(gallery, person, name, i) for i, (person, name) in enumerate(told.items())]
    AlertLog(answers).add(alerts)
    AlertLog(answers).acknowledge([alerts[2].id], word="right")
    case = Cases(answers).open(title="one", note="", owner="anna", tracklets=(), queries=())
    Cases(answers).judge(case.id, gallery.find("a11").id, "confirmed", who="anna")
    Cases(answers).judge(case.id, gallery.find("a9").id, "rejected", who="anna")
    return gallery


def _alert(gallery: Gallery, person: str, name: str, number: int) -> Alert:
    return Alert(
        id=f"{number:016x}",
        person=person,
        tracklet_id=gallery.find(name).id,
        tracklet=name,
        camera=None,
        modality="vis",
        start_s=None,
        score=0.5,
        probability=None,
        raised="2026-01-01T00:00:00+00:00",
    )


def _require_forgotten(gallery: Gallery, folder: Path, gone_ids: list[str]) -> None:
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    for word in (*WORDS, *gone_ids):
        assert f'"{word}"' not in text, word
    people = {person.name: [e.name for e in person.examples] for person in WatchList(folder).people}
    assert people == {"one": ["q1"], "three": ["a9"]}
    assert [alert.tracklet for alert in AlertLog(folder).alerts()] == ["a12"], "two's alerts went with them"
    (case,) = Cases(folder).all()
    assert [judgement.tracklet for judgement in case.judgements] == [gallery.find("a9").id]


def test_erasing_forgets_in_the_same_call(gallery: Gallery) -> None:
    ids = [gallery.find(word).id for word in WORDS]
    receipt = gallery.erase(names=WORDS)
    assert receipt.forgotten == {"examples": 2, "people": 1, "alerts": 2, "judgements": 1}
    assert gallery.receipts() == [receipt]
    _require_forgotten(gallery, answers_folder(gallery), ids)
    assert not forget_erased(gallery, answers_folder(gallery))
    assert gallery.erase(names=["a20"]).forgotten == NOTHING


def test_answers_elsewhere_follow_from_the_receipts(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "g", tmp_path / "elsewhere")
    ids = [gallery.find(word).id for word in WORDS]
    assert gallery.erase(names=WORDS).forgotten == NOTHING
    assert len(WatchList(tmp_path / "elsewhere").people) == 3
    assert forget_erased(gallery, tmp_path / "elsewhere").alerts == 2
    _require_forgotten(gallery, tmp_path / "elsewhere", ids)


def test_erasing_after_another_model_has_taken_over(gallery: Gallery, tmp_path: Path) -> None:
    ids = [gallery.find(word).id for word in WORDS]

    def made(table: TrackletTable, out: Path) -> EmbeddingSet:
        turned = other_model(make_set(len(table), seed=0, prefix="a"))
        turned = replace(turned, vectors=np.ascontiguousarray(turned.vectors[:, ::-1]))
        turned.save(out)
        return turned

    embed_again(gallery, made, work=tmp_path / "work")
    gallery.erase(names=WORDS)
    _require_forgotten(gallery, answers_folder(gallery), ids)


def test_retention_forgets_alerts_and_keeps_who_is_watched_for(gallery: Gallery) -> None:
    receipt = gallery.expire(older_than_s=60, at_s=4e9)
    assert receipt.tracklets == 40
    assert receipt.forgotten == {"examples": 0, "people": 0, "alerts": 3, "judgements": 2}
    assert len(WatchList(answers_folder(gallery)).people) == 3


def test_kill_9_at_any_step_forgets_with_the_next_change(tmp_path: Path) -> None:
    outcomes = set()
    with killer(f"gallery.erase(names={WORDS})") as killed_at:
        for stop in every(3):
            gallery = _gallery(tmp_path / f"g{stop}")
            ids = [gallery.find(word).id for word in WORDS]
            killed = killed_at(stop, tmp_path / f"g{stop}")
            erased = not gallery.present(ids)
            alerts = len(AlertLog(answers_folder(gallery)).alerts())
            outcomes.add((erased, alerts))
            assert erased or alerts == 3, "nothing is forgotten that is not erased"
            gallery.append(make_set(4, seed=8, prefix="z"), name="later")
            if erased:
                _require_forgotten(gallery, answers_folder(gallery), ids)
                (receipt,) = gallery.receipts()
                assert receipt.finished
            if not killed:
                break
    assert outcomes == {(False, 3), (True, 3), (True, 1)}, "some kills came between the two"


def test_a_damaged_watch_list_keeps_the_receipt_open(
    gallery: Gallery, caplog: pytest.LogCaptureFixture
) -> None:
    path = answers_folder(gallery) / "watch.json"
    before = path.read_text()
    path.write_text(json.dumps({"format": 1}))
    with pytest.raises(UnfinishedError, match=r"watch\.json is damaged"):
        gallery.erase(names=WORDS)
    assert len(gallery) == 37, "erased from the gallery all the same"
    assert [judgement.verdict for judgement in Cases(path.parent).all()[0].judgements] == ["rejected"]
    assert [alert.tracklet for alert in AlertLog(path.parent).alerts()] == ["a12", "a9"], "but a11"
    with pytest.raises(UnfinishedError, match=r"watch\.json is damaged"):
        gallery.erase(names=WORDS)
    with caplog.at_level(logging.WARNING):
        assert gallery.append(make_set(4, seed=8, prefix="z"), name="later") is not None
    assert "is not finished" in caplog.text
    assert gallery.receipts()[0].finished is None
    path.write_text(before)
    (receipt,) = gallery.receipts()
    assert gallery.erase(names=WORDS).id == receipt.id, "asked for again, it is the same erasure"
    assert gallery.receipts()[0].finished
    assert gallery.receipts()[0].forgotten["examples"] == 2
    assert [person.name for person in WatchList(path.parent).people] == ["one", "three"]


def test_watching_for_somebody_no_more(gallery: Gallery) -> None:
    folder = answers_folder(gallery)
    assert not forget_watched(folder, ["nobody"])
    done = forget_watched(folder, ["two"])
    assert (done.people, done.examples, done.alerts) == (1, 1, 1)
    assert not forget_watched(folder / "missing", ["two"])
