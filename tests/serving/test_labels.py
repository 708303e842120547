"""Labels: given, taken, counted, filtered by, written down."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.serving.conftest import Open, Tokens
from tests.serving.test_api import everything

API = "/api/v1"


def test_labels_are_given_and_taken(client: TestClient) -> None:
    ids = [row["id"] for row in everything(client)]
    body = {"tracklets": [*ids[:3], ids[0]], "add": ["red coat", "bag"]}
    changed = client.post(f"{API}/labels", json=body).json()
    assert [(row["id"], row["labels"]) for row in changed] == [(i, ["bag", "red coat"]) for i in ids[:3]]
    client.post(f"{API}/labels", json={"tracklets": ids[2:4], "add": ["dog"], "remove": ["bag"]})
    assert client.get(f"{API}/labels").json() == [
        {"label": "red coat", "tracklets": 3},
        {"label": "bag", "tracklets": 2},
        {"label": "dog", "tracklets": 2},
    ]
    assert [row["id"] for row in everything(client, "label=bag")] == ids[:2]
    assert [row["id"] for row in everything(client, "label=dog&label=red%20coat")] == [ids[2]]
    found = client.post(f"{API}/search", json={"tracklets": [ids[9]], "filters": {"labels": ["dog"]}}).json()
    assert {hit["tracklet"]["id"] for hit in found["hits"]} == {ids[2], ids[3]}
    log = client.get(f"{API}/audit?limit=10").json()["entries"]
    assert [(e["add"], e["remove"]) for e in log if e["what"] == "labels changed"] == [
        (["dog"], ["bag"]),
        (["red coat", "bag"], []),
    ]


def test_all_tracklets_get_them_or_none(client: TestClient) -> None:
    ids = [row["id"] for row in everything(client)]
    for body, code in (
        ({"tracklets": [ids[0], "ab" * 10], "add": ["x"]}, 404),
        ({"tracklets": [ids[0]], "add": ["x\u202e\n"]}, 422),
        ({"tracklets": [ids[0]], "add": [" "]}, 422),
        ({"tracklets": [ids[0]], "add": ["x" * 101]}, 422),
        ({"tracklets": [], "add": ["x"]}, 422),
        ({"tracklets": [ids[0]]}, 422),
    ):
        assert client.post(f"{API}/labels", json=body).status_code == code, body
    assert client.get(f"{API}/labels").json() == []
    assert "labels changed" not in [e["what"] for e in client.get(f"{API}/audit").json()["entries"]]


def test_viewers_only_read_labels(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    viewer = tokens.header("viewer")
    row = client.get(f"{API}/tracklets?limit=1", headers=viewer).json()["items"][0]["id"]
    body = {"tracklets": [row], "add": ["x"]}
    assert client.post(f"{API}/labels", json=body, headers=viewer).status_code == 403
    assert client.post(f"{API}/labels", json=body, headers=tokens.header("operator")).status_code == 200
    assert client.get(f"{API}/labels", headers=viewer).json() == [{"label": "x", "tracklets": 1}]
