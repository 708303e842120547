"""A damaged case hides no other, and keeps an erasure from being called complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from xreid.retrieval.cases import Cases

API = "/api/v1"


def _cases(client: TestClient) -> Path:
    folder: Path = client.app.state.site.cases.folder  # type: ignore[attr-defined]
    return folder


def _opened(client: TestClient, title: str, *tracklets: str) -> str:
    answer = client.post(f"{API}/cases", json={"title": title, "tracklets": list(tracklets)})
    assert answer.status_code == 201
    name: str = answer.json()["id"]
    return name


def test_a_damaged_case_is_in_the_list_with_its_fault(client: TestClient, first: dict[str, Any]) -> None:
    broken, sound = _opened(client, "Hat", first["id"]), _opened(client, "Bag", first["id"])
    path = _cases(client) / f"{broken}.json"
    path.write_text(path.read_text().replace('"owner"', '"owned"'))
    listed = {case["id"]: case for case in client.get(f"{API}/cases").json()}
    assert listed[sound]["damaged"] == ""
    assert f"cases/{broken}.json is damaged" in listed[broken]["damaged"]
    assert str(path.parent) not in listed[broken]["damaged"], "the server keeps its paths to itself"
    assert client.get(f"{API}/cases/{broken}").status_code == 422
    assert client.delete(f"{API}/cases/{broken}").status_code == 204
    assert [case["id"] for case in client.get(f"{API}/cases").json()] == [sound]
    entry = client.get(f"{API}/audit?limit=1").json()["entries"][0]
    assert (entry["what"], entry["case"], entry["damaged"]) == ("case deleted", broken, True)


def test_an_erasure_says_what_it_could_not_clean(client: TestClient, first: dict[str, Any]) -> None:
    broken = _opened(client, "Hat", first["id"])
    path = _cases(client) / f"{broken}.json"
    before = path.read_text()
    path.write_text(before.replace('"owner"', '"owned"'))
    asked = {"names": [first["name"]], "dry_run": False}
    answer = client.post(f"{API}/erase", json=asked)
    assert answer.status_code == 500
    assert "not complete" in answer.json()["detail"]
    assert broken in answer.json()["got"]
    assert client.get(f"{API}/tracklets/{first['id']}").status_code == 404, "erased from the gallery"
    assert client.get(f"{API}/audit?limit=1").json()["entries"][0]["what"] == "erased in part"
    path.write_text(before)
    answer = client.post(f"{API}/erase", json=asked)
    assert answer.status_code == 200
    assert answer.json()["finished"]
    assert client.get(f"{API}/cases/{broken}").json()["searched_for"] == []


def test_no_clip_of_the_erased_stays_where_answers_elsewhere_cannot_be_cleaned(
    client: TestClient, first: dict[str, Any], tmp_path: Path
) -> None:
    site = client.app.state.site  # type: ignore[attr-defined]
    site.backend.answers = tmp_path / "elsewhere"  # as for a gallery on a server
    case = Cases(site.backend.answers).open(
        title="Hat", note="", owner="anna", tracklets=(first["id"],), queries=()
    )
    path = tmp_path / "elsewhere" / "cases" / f"{case.id}.json"
    path.write_text(path.read_text().replace('"owner"', '"owned"'))
    assert client.get(f"{API}/tracklets/{first['id']}/clip.mp4").status_code == 200
    answer = client.post(f"{API}/erase", json={"names": [first["name"]], "dry_run": False})
    assert answer.status_code == 500
    assert "perhaps not from all answers" in answer.json()["detail"]
    assert list(site.clips.folder.iterdir()) == []
