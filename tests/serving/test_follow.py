"""Following a person through an uploaded clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serving.conftest import Open, Tokens
from tests.serving.world import as_bytes, noise_video, person

API = "/api/v1"
RAW = {"content-type": "application/octet-stream"}
PERSON = {"at_s": 1.0, "box": [50 / 160, 30 / 120, 90 / 160, 110 / 120], "from_s": 0.3, "to_s": 1.8}


def send(client: TestClient, data: bytes, **more: Any) -> str:
    """An upload's id."""
    headers = RAW | more.get("headers", {})
    return str(client.post(f"{API}/uploads?name=walk", content=data, headers=headers).json()["id"])


def test_the_box_goes_with_the_person(client: TestClient, tmp_path: Path) -> None:
    """`noise_video`'s person walks 4 of 160 pixels a tenth of a second."""
    name = send(client, noise_video(tmp_path / "walk.mp4").read_bytes())
    boxes = client.post(f"{API}/uploads/{name}/follow", json=PERSON).json()["boxes"]
    assert [one["at_s"] for one in boxes] == sorted(one["at_s"] for one in boxes)
    assert boxes[0]["at_s"] < 0.6 < 1.5 < boxes[-1]["at_s"]
    for one in boxes:
        true = (10 + 40 * one["at_s"]) / 160
        assert one["box"][0] == pytest.approx(true, abs=0.05)
        assert one["box"][2] - one["box"][0] == pytest.approx(0.25, abs=0.01)


def test_from_the_first_moment_on(client: TestClient, tmp_path: Path) -> None:
    name = send(client, noise_video(tmp_path / "walk.mp4").read_bytes())
    asked = {"at_s": 0.0, "box": [10 / 160, 30 / 120, 50 / 160, 110 / 120], "from_s": 0.0, "to_s": 0.5}
    boxes = client.post(f"{API}/uploads/{name}/follow", json=asked).json()["boxes"]
    assert boxes[0]["at_s"] == 0.0
    assert boxes[-1]["at_s"] < 0.7, "nothing of beyond the stretch"


def test_what_cannot_be_followed_is_refused(opened: Open, tmp_path: Path, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    mine = tokens.header("operator")
    name = send(client, noise_video(tmp_path / "walk.mp4").read_bytes(), headers=mine)
    path = f"{API}/uploads/{name}/follow"
    empty = {**PERSON, "box": [0.5, 0.1, 0.5, 0.9]}
    assert client.post(path, json=empty, headers=mine).status_code == 422
    assert client.post(path, json={**PERSON, "from_s": 2.0}, headers=mine).status_code == 422
    assert client.post(path, json=PERSON, headers=tokens.header("viewer")).status_code == 403
    assert client.post(path, json=PERSON, headers=tokens.header("admin")).status_code == 404, "not theirs"
    still = send(client, as_bytes(person(1)), headers=mine)
    assert client.post(f"{API}/uploads/{still}/follow", json=PERSON, headers=mine).status_code == 404
