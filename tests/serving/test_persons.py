"""Probable persons of a calibrated gallery with a camera graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.retrieval.test_meaning import CALIBRATION
from tests.serving.conftest import Open
from tests.serving.test_api import everything
from tests.serving.test_why import calibrated, serve_calibrated
from xreid.core.embeddings import EmbeddingSet

__all__ = ["calibrated"]
API = "/api/v1"


def groups(client: TestClient, **values: Any) -> list[dict[str, Any]]:
    answer = client.post(f"{API}/persons", json={"top": 24, **values})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def ids(person: dict[str, Any]) -> list[str]:
    return [one["tracklet"]["id"] for one in person["sightings"]]


def test_everybody_found_is_one_person(calibrated: TestClient) -> None:
    rows = everything(calibrated)
    found = groups(calibrated, tracklets=[rows[0]["id"]])
    named = [one for person in found for one in ids(person)]
    assert sorted(named) == sorted(row["id"] for row in rows), "each once, the one searched for included"
    asked = [person for person in found if person["asked"]]
    assert len(asked) == 1
    assert rows[0]["id"] in ids(asked[0])
    for person in found:
        starts = [one["tracklet"]["start_s"] for one in person["sightings"]]
        assert starts == sorted(starts)
        assert 0 <= person["weakest"] <= person["probability"] <= 1
        assert person["sightings"][0]["transition"] is None
        for one in person["sightings"][1:]:
            assert one["transition"]["judgement"] != "impossible"


def test_what_was_confirmed_is_the_person_asked_for(world: Path, opened: Open) -> None:
    """A calibration that cuts in the middle of the cosines of this untrained model, so that groups part."""
    vectors = EmbeddingSet.load(world / "imports" / "people").vectors
    middle = float(np.median(vectors @ vectors.T))
    kinds = {name: replace(one, slope=1e4, offset=-1e4 * middle) for name, one in CALIBRATION.kinds.items()}
    client = serve_calibrated(world, opened, replace(CALIBRATION, kinds=kinds))
    first = everything(client)[0]["id"]
    alone = groups(client, tracklets=[first])
    other = next(ids(person)[0] for person in alone if not person["asked"])
    case = client.post(f"{API}/cases", json={"title": "t", "tracklets": [first]}).json()["id"]
    client.put(f"{API}/cases/{case}/judgements/{other}", json={"verdict": "confirmed"})
    (asked,) = [person for person in groups(client, tracklets=[first], case=case) if person["asked"]]
    assert {first, other} <= set(ids(asked))


def test_the_calibrated_order_is_that_of_the_evidence(calibrated: TestClient) -> None:
    rows = everything(calibrated)
    body = {"tracklets": [rows[0]["id"]], "top": 24, "order": "calibrated"}
    answer = calibrated.post(f"{API}/search", json=body).json()
    assert (answer["order"], answer["order_note"]) == ("calibrated", None)
    hits = answer["hits"]
    combined = [hit["combined"] for hit in hits]
    assert combined == pytest.approx(sorted(combined, reverse=True), abs=1e-6)
    assert {hit["transition"]["judgement"] for hit in hits} >= {"possible"}
