"""Watch lists: who is looked out for, alerts that come once, and what an erasure leaves of them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serving.conftest import Open
from tests.serving.test_jobs import waited
from xreid.retrieval.gallery import Gallery

API = "/api/v1"


def watch(client: TestClient, row: dict[str, Any], **values: Any) -> Any:
    body = {"name": "Bag", "reason": "lost child", "tracklets": [row["id"]], "min_score": -1.0, **values}
    return client.post(f"{API}/watch", json=body)


def test_what_is_there_already_raises_alerts_only_where_asked(
    client: TestClient, first: dict[str, Any]
) -> None:
    assert watch(client, first).status_code == 201
    assert client.post(f"{API}/watch-checks").json()["watched"] == 1
    assert watch(client, first, name="All", past=True).status_code == 201
    assert client.post(f"{API}/watch-checks").json()["new"] == 23
    assert client.post(f"{API}/watch-checks").json()["new"] == 0, "no alert comes twice"
    alerts = client.get(f"{API}/alerts").json()
    assert {alert["person"] for alert in alerts} == {"All"}
    causes = [alert["cause"] for alert in alerts]
    assert [one["least"] for one in causes] == pytest.approx([-1.0] * 23)
    said = {(one["rule"], one["strangers"], one["words"]) for one in causes}
    assert said == {(None, None, "above -1.000, the least score that was named")}
    assert [one["passed"] for one in causes] == pytest.approx([alert["score"] for alert in alerts], abs=1e-5)
    assert first["id"] not in [alert["tracklet"]["id"] for alert in alerts]
    said = client.put(f"{API}/alerts/{alerts[0]['id']}", json={"word": "wrong"}).json()
    assert (said["word"], said["by"]) == ("wrong", "local")
    assert len(client.get(f"{API}/alerts?open_only=true").json()) == 22
    assert client.get(f"{API}/audit?limit=1").json()["entries"][0]["what"] == "alert"


def test_new_tracklets_raise_alerts_by_themselves(opened: Open, world: Any) -> None:
    from xreid.core.embeddings import EmbeddingSet

    made = EmbeddingSet.load(world / "imports" / "people")
    Gallery.create(world / "half").append(made.take(range(8)), name="half")
    client = opened(gallery=str(world / "half"))
    row = client.get(f"{API}/tracklets?limit=1").json()["items"][0]
    assert watch(client, row).status_code == 201
    job = client.post(f"{API}/jobs", json={"kind": "embeddings", "name": "all", "path": "people"}).json()
    result = waited(client, job["id"])["result"]
    assert result["alerts"] == 16, "eight were there: nobody comes twice"
    assert result["left_out"] == ["8 of all left out: in already, from the same footage"]
    assert {alert["tracklet"]["set"] for alert in client.get(f"{API}/alerts").json()} == {"all"}


def test_an_uncalibrated_model_needs_a_least_score(client: TestClient, first: dict[str, Any]) -> None:
    answer = watch(client, first, min_score=None)
    assert answer.status_code == 422
    assert "min_score" in answer.json()["expected"]
    assert watch(client, first, expires_s=1000.0).status_code == 422, "over before it begins"
    assert watch(client, first, name="a/b").status_code == 422
    assert watch(client, first, tracklets=[]).status_code == 422
    assert watch(client, first).status_code == 201
    assert watch(client, first).status_code == 422, "the name is taken"
    assert client.delete(f"{API}/watch/Bag").status_code == 204
    assert client.delete(f"{API}/watch/Bag").status_code == 422
    assert client.get(f"{API}/watch").json() == []


def test_the_erased_are_not_watched_for(client: TestClient, first: dict[str, Any]) -> None:
    watch(client, first, past=True)
    client.post(f"{API}/watch-checks")
    gone = client.get(f"{API}/alerts").json()[0]
    assert client.post(f"{API}/erase", json={"names": [gone["name"]], "dry_run": False}).status_code == 200
    assert gone["id"] not in [alert["id"] for alert in client.get(f"{API}/alerts").json()]
    assert len(client.get(f"{API}/watch").json()) == 1
    client.post(f"{API}/erase", json={"names": [first["name"]], "dry_run": False})
    assert client.get(f"{API}/watch").json() == []
