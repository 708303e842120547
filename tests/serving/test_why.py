"""Why a hit is a hit: parts that add up, frames that match, and what it needs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.retrieval.test_meaning import CALIBRATION
from tests.serving.conftest import Open
from tests.serving.test_api import everything
from tests.serving.test_uploads import send
from tests.serving.world import as_bytes, person
from xreid.core.embeddings import EmbeddingSet
from xreid.evaluation.calibration import Calibration
from xreid.retrieval.gallery import Gallery

API = "/api/v1"
GRAPH = {
    "cameras": {"gate": {}, "yard": {}},
    "edges": [{"from": "gate", "to": "yard", "least_s": 30, "typical_s": 60}],
}


def serve_calibrated(world: Path, opened: Open, calibration: Calibration) -> TestClient:
    """A server with a gallery that carries this calibration, and a camera graph."""
    (world / "graph.json").write_text(json.dumps(GRAPH))
    made = EmbeddingSet.load(world / "imports" / "people")
    meaning = json.loads(json.dumps(replace(calibration, origin=made.origin).to_json()))
    Gallery.create(world / "known").append(replace(made, calibration=meaning), name="people")
    return opened(gallery=str(world / "known"), graph=world / "graph.json")


@pytest.fixture
def calibrated(world: Path, opened: Open) -> TestClient:
    """One of the tests' own calibration."""
    return serve_calibrated(world, opened, CALIBRATION)


def asked(client: TestClient, **values: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A search and its hits."""
    first = everything(client)[0]["id"]
    body = {"tracklets": [first], "top": 24, **values}
    return body, client.post(f"{API}/search", json=body).json()["hits"]


def test_the_parts_of_a_score_add_up(client: TestClient, world: Path) -> None:
    rows = everything(client)
    case = client.post(f"{API}/cases", json={"title": "t"}).json()["id"]
    for i, verdict in ((4, "confirmed"), (6, "rejected"), (7, "rejected")):
        client.put(f"{API}/cases/{case}/judgements/{rows[i]['id']}", json={"verdict": verdict})
    body, hits = asked(client, tracklets=[rows[0]["id"], rows[2]["id"]], case=case)
    hit = hits[3]
    told = client.post(f"{API}/why", json={**body, "hit": hit["tracklet"]["id"], "pairs": 0}).json()
    assert (told["rank"], told["score"]) == (4, pytest.approx(hit["score"], abs=1e-5))
    assert [part["name"] for part in told["cosine_parts"]] == ["appearance", "feedback"]
    assert sum(part["adds"] for part in told["cosine_parts"]) == pytest.approx(told["score"], abs=1e-5)
    gallery = Gallery.open(world / "gallery")
    ids = [hit["tracklet"]["id"], *(rows[i]["id"] for i in (0, 2, 4, 6, 7))]
    vectors = gallery.vectors(ids).astype(float)
    mean = vectors[1] + vectors[2]
    assert told["cosine_parts"][0]["adds"] == pytest.approx(
        vectors[0] @ mean / np.linalg.norm(mean), abs=1e-5
    )
    assert [example["role"] for example in told["examples"]] == ["asked"] * 2 + ["confirmed"] + [
        "rejected"
    ] * 2
    assert [example["cosine"] for example in told["examples"]] == pytest.approx(
        list(vectors[1:] @ vectors[0])
    )
    assert [e["tracklet"] for e in told["examples"]] == ids[1:]
    assert told["odds_parts"] == told["frames"] == []
    assert "calibrate" in told["missing"][0]
    log = client.get(f"{API}/audit?limit=1").json()["entries"][0]
    assert (log["what"], log["hit"]) == ("why", hit["tracklet"]["id"])


def test_the_parts_of_a_probability_add_up(calibrated: TestClient) -> None:
    body, hits = asked(calibrated)
    names = set()
    for hit in hits[:6]:
        told = calibrated.post(f"{API}/why", json={**body, "hit": hit["tracklet"]["id"], "pairs": 0}).json()
        total = sum(part["log_odds"] for part in told["odds_parts"])
        assert 1 / (1 + math.exp(-total)) == pytest.approx(hit["combined"], abs=1e-6)
        assert told["combined"] == pytest.approx(hit["combined"], abs=1e-6)
        across = hit["tracklet"]["modality"] == "ir"
        assert [part["name"] for part in told["odds_parts"]][:2] == ["prior", "looks"]
        assert ("modality" in [part["name"] for part in told["odds_parts"]]) == across
        names |= {part["name"] for part in told["odds_parts"]}
        if across:
            # vis-ir: 14 x - 1; ir-ir: 9 x - 5
            gain = next(part["log_odds"] for part in told["odds_parts"] if part["name"] == "modality")
            assert gain == pytest.approx(5 * told["score"] + 4, abs=1e-4)
        assert told["transition"] == hit["transition"]
        assert told["missing"] == []
    assert names == {"prior", "looks", "modality", "space and time"}


def test_a_tracklet_that_is_no_hit_is_explained_at_the_same_prior(calibrated: TestClient) -> None:
    body, hits = asked(calibrated)
    last = hits[-1]
    told = calibrated.post(
        f"{API}/why", json={**body, "top": 1, "hit": last["tracklet"]["id"], "pairs": 0}
    ).json()
    assert told["rank"] is None
    assert told["searched"] == 23
    for name in ("score", "probability", "combined"):
        assert told[name] == pytest.approx(last[name], abs=1e-6)


def test_frames_that_match(client: TestClient) -> None:
    body, hits = asked(client)
    hit = hits[0]["tracklet"]
    told = client.post(f"{API}/why", json={**body, "hit": hit["id"], "pairs": 4}).json()
    assert len(told["frames"]) == 4
    scores = [pair["score"] for pair in told["frames"]]
    assert scores == sorted(scores, reverse=True)
    for pair in told["frames"]:
        asking = told["examples"][pair["example"]]["tracklet"]
        assert client.get(f"{API}/tracklets/{asking}/frames/{pair['asking']}").status_code == 200
        assert client.get(f"{API}/tracklets/{hit['id']}/frames/{pair['answering']}").status_code == 200


def test_frames_of_an_upload_match_themselves(client: TestClient, first: dict[str, Any]) -> None:
    """A picture that was uploaded twice: as a query, and it is a frame of the gallery."""
    frame = client.get(f"{API}/tracklets/{first['id']}/frames/3").content
    uploads = [send(client, as_bytes(person(2)), name="a.png"), send(client, frame, name="b.jpg")]
    cuts = [{"upload": one.json()["id"]} for one in uploads]
    query = client.post(f"{API}/queries", json={"cuts": cuts, "modality": "vis"}).json()["id"]
    told = client.post(f"{API}/why", json={"queries": [query], "hit": first["id"], "pairs": 1}).json()
    assert [(e["query"], e["tracklet"]) for e in told["examples"]] == [(query, None)]
    assert told["frames"][0]["asking"] == 1
    assert told["frames"][0]["answering"] in (1, 3, 5), "the legs swing: every other frame is the same"
    assert told["frames"][0]["score"] > 0.99


def test_without_a_model_frames_are_refused_and_the_rest_is_said(opened: Open) -> None:
    client = opened(checkpoint=None)
    body, hits = asked(client)
    asks = {**body, "hit": hits[0]["tracklet"]["id"]}
    answer = client.post(f"{API}/why", json=asks)
    assert answer.status_code == 409
    assert "--checkpoint" in answer.json()["todo"]
    assert client.post(f"{API}/why", json={**asks, "pairs": 0}).json()["rank"] == 1


def test_what_is_no_hit_is_refused(client: TestClient) -> None:
    body, _ = asked(client)
    for hit, code in ((body["tracklets"][0], 422), ("ab" * 10, 404)):
        assert client.post(f"{API}/why", json={**body, "hit": hit, "pairs": 0}).status_code == code
    assert client.post(f"{API}/why", json={"hit": "ab" * 10, "pairs": 0}).status_code == 422


def test_reranking_moves_hits_and_says_so(client: TestClient) -> None:
    body, plain = asked(client)
    body, hits = asked(client, rerank=24)
    assert [hit["reranked"] for hit in plain] == [None] * len(plain)
    values = [hit["reranked"] for hit in hits]
    assert values == sorted(values, reverse=True)
    assert {hit["tracklet"]["id"] for hit in hits} == {hit["tracklet"]["id"] for hit in plain}
    places = {hit["tracklet"]["id"]: hit["rank"] for hit in plain}
    moved = next(hit for hit in hits if places[hit["tracklet"]["id"]] != hit["rank"])
    told = client.post(f"{API}/why", json={**body, "hit": moved["tracklet"]["id"], "pairs": 0}).json()
    assert told["reranked"]["from_rank"] == places[moved["tracklet"]["id"]]
    assert told["reranked"]["to_rank"] == moved["rank"]
    assert told["reranked"]["score"] == pytest.approx(moved["reranked"])
    assert client.post(f"{API}/search", json={**body, "rerank": 501}).status_code == 422


def test_several_examples_by_the_greatest(client: TestClient) -> None:
    rows = everything(client)
    body, hits = asked(client, tracklets=[rows[0]["id"], rows[1]["id"]], fusion="max")
    told = client.post(f"{API}/why", json={**body, "hit": hits[0]["tracklet"]["id"], "pairs": 0}).json()
    assert told["score"] == pytest.approx(max(e["cosine"] for e in told["examples"]), abs=1e-5)
    assert client.post(f"{API}/search", json={**body, "order": "calibrated"}).status_code == 409
