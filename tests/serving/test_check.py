"""A server holds the calibration against its gallery's own strangers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.retrieval.test_strangers import FULL, crowd, gallery_of
from tests.serving.conftest import Open
from xreid.evaluation.site_check import SiteCheck, key_of
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.strangers import check_gallery, keep_check, read_check
from xreid.serving import backend
from xreid.serving.backend import Backend


def test_a_server_checks_by_itself_and_leaves_a_better_check(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    plain = Backend(str(tmp_path / "g"), checkpoint=None)
    assert plain.check_strangers()
    alone = read_check(folder, key_of(FULL))
    assert alone is not None
    assert not alone.kinds["vis-vis"].across
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"cameras": {"A": {}, "B": {}}, "edges": []}))
    assert Backend(str(tmp_path / "g"), checkpoint=None, graph=graph).check_strangers()
    better = read_check(folder, key_of(FULL))
    assert better is not None
    assert better.kinds["vis-vis"].across
    assert plain.check_strangers()
    assert read_check(folder, key_of(FULL)) == better
    Gallery.create(tmp_path / "empty")
    assert not Backend(str(tmp_path / "empty"), checkpoint=None).check_strangers()


@pytest.mark.parametrize("slow", [True, False])
def test_of_two_servers_the_one_with_the_graph_is_believed_whichever_begins_or_ends_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"cameras": {"A": {}, "B": {}}, "edges": []}))
    knowing = Backend(gallery.address, checkpoint=None, graph=graph)
    without = Backend(gallery.address, checkpoint=None)
    first, second = (without, knowing) if slow else (knowing, without)
    begun = [first, second]

    def meanwhile(*args: Any, **values: Any) -> SiteCheck:
        """The first has begun and nothing is kept yet; the second begins and ends before the first does."""
        begun.pop(0)
        if begun:
            begun[0].check_strangers()
        return check_gallery(*args, **values)

    monkeypatch.setattr(backend, "check_gallery", meanwhile)
    first.check_strangers()
    assert begun == []
    kept = read_check(answers_folder(gallery), key_of(FULL))
    assert kept is not None
    assert kept.kinds["vis-vis"].across
    (answers_folder(gallery) / "strangers.json").write_text("{")
    begun[:] = [without]
    without.check_strangers()
    kept = read_check(answers_folder(gallery), key_of(FULL))
    assert kept is not None, "a damaged one is made anew, by whoever comes"
    assert not kept.kinds["vis-vis"].across
    assert keep_check(answers_folder(gallery), replace(kept, kinds={})) is None, "which says nothing"
    assert keep_check(answers_folder(gallery), kept) is not None, "as good as that one"


def test_what_the_api_says_where_the_calibration_breaks(opened: Open, tmp_path: Path) -> None:
    gallery_of(tmp_path / "g", crowd())
    client = opened(gallery=str(tmp_path / "g"), checkpoint=None)
    first = client.get("/api/v1/tracklets?limit=1").json()["items"][0]["id"]
    trusting = client.post("/api/v1/search", json={"tracklets": [first]}).json()["hits"][0]
    person = {"name": "p", "reason": "test", "tracklets": [first], "past": True}
    assert client.post("/api/v1/watch", json=person).status_code == 201
    client.post("/api/v1/watch-checks")
    assert client.get("/api/v1/alerts").json()[0]["probability"] > 0.5
    rule = client.get("/api/v1/alerts").json()[0]["cause"]["rule"]
    assert rule == {"far": 0.001, "calibration": key_of(FULL), "source": FULL.source, "checked": None}
    assert trusting["probability"] > 0.5
    assert trusting["accepted"] is True
    assert trusting["strangers"] is None
    assert client.get("/api/v1/gallery").json()["holds"] is None

    Backend(str(tmp_path / "g"), checkpoint=None).check_strangers()
    careful = client.post("/api/v1/search", json={"tracklets": [first]}).json()
    asked = client.post("/api/v1/search", json={"tracklets": [first], "order": "calibrated"}).json()
    assert asked["order"] == "cosine"
    assert "does not hold here" in asked["order_note"]
    assert asked["hits"] == careful["hits"]
    hit = careful["hits"][0]
    assert (hit["probability"], hit["combined"], hit["accepted"]) == (None, None, False)
    assert 0 < hit["strangers"] < 0.5
    assert careful["unknown"] is True
    alerts = client.get("/api/v1/alerts").json()
    assert {alert["probability"] for alert in alerts} == {None}, "also those of before the check"
    assert client.get("/api/v1/gallery").json()["holds"] is False
    why = client.post(
        "/api/v1/why", json={"tracklets": [first], "hit": hit["tracklet"]["id"], "pairs": 0}
    ).json()
    assert (why["probability"], why["odds_parts"], why["accepted"]) == (None, [], False)
    assert "does not hold here" in why["missing"][0]
    persons = client.post("/api/v1/persons", json={"tracklets": [first]})
    assert persons.status_code == 409
    assert "cannot be grouped" in persons.text
