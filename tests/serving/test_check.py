"""A server holds the calibration against its gallery's own strangers."""

import json
from pathlib import Path

from tests.retrieval.test_strangers import crowd, gallery_of
from tests.serving.conftest import Open
from xreid.retrieval.answers import answers_folder
from xreid.retrieval.gallery import Gallery
from xreid.retrieval.strangers import read_check
from xreid.serving.backend import Backend


def test_a_server_checks_by_itself_and_leaves_a_better_check(tmp_path: Path) -> None:
    gallery = gallery_of(tmp_path / "g", crowd())
    folder = answers_folder(gallery)
    backend = Backend(str(tmp_path / "g"), checkpoint=None)
    assert backend.check_strangers()
    alone = read_check(folder)
    assert alone is not None
    assert not alone.kinds["vis-vis"].across
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"cameras": {"A": {}, "B": {}}, "edges": []}))
    assert Backend(str(tmp_path / "g"), checkpoint=None, graph=graph).check_strangers()
    better = read_check(folder)
    assert better is not None
    assert better.kinds["vis-vis"].across
    assert backend.check_strangers()
    assert read_check(folder) == better
    Gallery.create(tmp_path / "empty")
    assert not Backend(str(tmp_path / "empty"), checkpoint=None).check_strangers()


def test_what_the_api_says_where_the_calibration_breaks(opened: Open, tmp_path: Path) -> None:
    gallery_of(tmp_path / "g", crowd())
    client = opened(gallery=str(tmp_path / "g"), checkpoint=None)
    first = client.get("/api/v1/tracklets?limit=1").json()["items"][0]["id"]
    trusting = client.post("/api/v1/search", json={"tracklets": [first]}).json()["hits"][0]
    person = {"name": "p", "reason": "test", "tracklets": [first], "past": True}
    assert client.post("/api/v1/watch", json=person).status_code == 201
    client.post("/api/v1/watch-checks")
    assert client.get("/api/v1/alerts").json()[0]["probability"] > 0.5
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
