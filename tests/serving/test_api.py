"""The API over a small gallery: lists, pictures, searches, cases, erasure, health."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.serving.conftest import Open
from tests.serving.world import FRAMES, NIGHT_S, config_of
from xreid.cli.main import main
from xreid.retrieval.gallery import Gallery
from xreid.serving.app import create_app
from xreid.serving.case_page import check_case
from xreid.serving.site import Site

API = "/api/v1"


def everything(client: TestClient, query: str = "", limit: int = 7) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = client.get(f"{API}/tracklets?limit={limit}&{query}{cursor}").json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            assert page["total"] == len(found)
            return found
        cursor = f"&cursor={page['next']}"


def test_facts_and_cameras(client: TestClient) -> None:
    facts = client.get(f"{API}/gallery").json()
    assert facts["tracklets"] == 24
    assert facts["calibrated"] is False
    assert "not calibrated" in facts["note"]
    assert facts["uploads"] is True
    assert facts["places"] == ["court", "street"]
    gate, yard = client.get(f"{API}/cameras").json()
    assert (gate["name"], gate["visible"], gate["infrared"], gate["place"]) == ("gate", 12, 0, "street")
    assert (yard["name"], yard["visible"], yard["infrared"]) == ("yard", 0, 12)
    assert gate["first_s"] == NIGHT_S
    assert gate["last_s"] == NIGHT_S + 2 * 3600 + 900 + 4
    assert sum(count for _, count in gate["hours"]) == 12
    assert all(hour % 3600 == 0 for hour, _ in gate["hours"])


def test_pages_of_a_list_are_the_list(client: TestClient) -> None:
    for limit in (1, 7, 24, 500):
        found = everything(client, limit=limit)
        assert len({row["id"] for row in found}) == 24
        assert [row["start_s"] for row in found] == sorted(row["start_s"] for row in found)


def test_a_list_is_entered_anywhere(client: TestClient) -> None:
    all_of_it = everything(client)
    for offset in (0, 5, 20, 24, 1000):
        page = client.get(f"{API}/tracklets?offset={offset}&limit=6").json()
        assert page["items"] == all_of_it[offset : offset + 6]
        assert page["total"] == 24
        assert (page["next"] is None) == (offset + 6 >= 24)
    cameras = client.get(f"{API}/tracklets?camera=gate&offset=3&limit=2").json()["items"]
    assert cameras == [row for row in all_of_it if row["camera"] == "gate"][3:5]
    both = client.get(f"{API}/tracklets?cursor=MTph&offset=3")
    assert both.status_code == 422


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ("modality=ir", lambda row: row["modality"] == "ir"),
        ("camera=gate", lambda row: row["camera"] == "gate"),
        ("camera=gate&camera=yard", lambda row: True),
        ("place=court", lambda row: row["place"] == "court"),
        (f"from_s={NIGHT_S + 3600}", lambda row: row["end_s"] >= NIGHT_S + 3600),
        (f"to_s={NIGHT_S + 300}", lambda row: row["start_s"] <= NIGHT_S + 300),
        ("known=true", lambda row: row["identity"] is not None),
        ("min_quality=0.5", lambda row: row["quality"] >= 0.5),
        (
            "modality=vis&min_quality=0.8&known=true",
            lambda row: row["modality"] == "vis" and row["quality"] >= 0.8 and row["identity"] is not None,
        ),
    ],
)
def test_filters_of_a_list(client: TestClient, query: str, passes: Any) -> None:
    everyone = everything(client)
    expected = [row["id"] for row in everyone if passes(row)]
    assert expected
    assert [row["id"] for row in everything(client, query)] == expected


def test_errors_say_what_was_expected(client: TestClient) -> None:
    for url, status, word in (
        ("/tracklets?camera=nowhere", 422, "gate, yard"),
        ("/tracklets?cursor=!!", 400, "first page"),
        ("/tracklets?limit=0", 422, "limit"),
        ("/tracklets/abcdef", 404, "erased"),
        ("/cases/0123456789abcdef", 404, "no case"),
        ("/nowhere", 404, "Not Found"),
        (f"/tracklets?from_s={NIGHT_S}&to_s=1", 422, "ends before it starts"),
        ("/tracklets?from_s=nan", 422, "finite"),
    ):
        answer = client.get(API + url)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert word in answer.text, answer.text


def test_a_frame_is_the_frame(client: TestClient, first: dict[str, Any], world: Path) -> None:
    answer = client.get(f"{API}/tracklets/{first['id']}/frames/2")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=float)
    stored = np.asarray(
        Image.open(world / "tracklets" / "frames" / first["name"] / "000002.jpg"), dtype=float
    )
    assert shown.shape == stored.shape
    assert np.abs(shown - stored).mean() < 3
    small = client.get(f"{API}/tracklets/{first['id']}/frames/2?height=40")
    assert Image.open(io.BytesIO(small.content)).size == (20, 40)
    again = client.get(
        f"{API}/tracklets/{first['id']}/frames/2", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    for number in (-1, FRAMES, 10**9):
        assert client.get(f"{API}/tracklets/{first['id']}/frames/{number}").status_code in (404, 422)


def test_a_clip_moves_and_seeks(client: TestClient, first: dict[str, Any]) -> None:
    url = f"{API}/tracklets/{first['id']}/clip.mp4"
    whole = client.get(url)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(url, headers={"range": "bytes=10-29"})
    assert part.status_code == 206
    assert part.content == whole.content[10:30]
    assert part.headers["content-range"] == f"bytes 10-29/{len(whole.content)}"
    assert client.get(url, headers={"range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert whole.content.index(b"moov") < whole.content.index(b"mdat"), "players can start before the end"
    with av.open(io.BytesIO(whole.content)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    assert frames[0].shape[:2] == (80, 40)
    assert np.abs(frames[0].astype(float) - frames[1]).mean() > 1, "the legs swing"


def test_frames_outside_of_the_root_are_not_shown(world: Path, opened: Open) -> None:
    from dataclasses import replace

    from xreid.core.embeddings import EmbeddingSet

    Image.new("RGB", (20, 40)).save(world / "secret.jpg")
    made = EmbeddingSet.load(world / "imports" / "people").take([0, 1, 2])
    names = ("../secret.jpg", "frames/../../secret.jpg", "../../../../../../etc/passwd")
    rows = tuple(
        replace(row, name=f"odd{i}", frames=(name,))
        for i, (row, name) in enumerate(zip(made.table, names, strict=True))
    )
    Gallery.open(world / "gallery").append(
        replace(made, table=replace(made.table, root=world / "tracklets", rows=rows)), name="odd"
    )
    client = opened()
    odd = [row for row in everything(client) if row["name"].startswith("odd")]
    assert len(odd) == 3
    for row in odd:
        assert client.get(f"{API}/tracklets/{row['id']}/frames/0").status_code == 404
        assert client.get(f"{API}/tracklets/{row['id']}/clip.mp4").status_code == 404


def test_a_search_finds_as_the_naive_loop_does(
    client: TestClient, first: dict[str, Any], world: Path
) -> None:
    gallery = Gallery.open(world / "gallery")
    ids = [row["id"] for row in everything(client)]
    vectors = gallery.vectors(ids)
    cosines = vectors @ vectors[ids.index(first["id"])]
    rows = {row["id"]: row for row in everything(client)}
    expected = sorted(
        (i for i in ids if i != first["id"] and rows[i]["modality"] == "ir"),
        key=lambda i: (-cosines[ids.index(i)], i),
    )
    asked = {"tracklets": [first["id"]], "filters": {"modality": "ir"}, "top": 200}
    answer = client.post(f"{API}/search", json=asked).json()
    assert [hit["tracklet"]["id"] for hit in answer["hits"]] == expected
    assert [hit["rank"] for hit in answer["hits"]] == list(range(1, 13))
    assert answer["searched"] == 12
    assert answer["hits"][0]["probability"] is None
    assert answer["best"] == pytest.approx(max(cosines[ids.index(i)] for i in expected), abs=1e-5)


def test_search_rules(client: TestClient, first: dict[str, Any]) -> None:
    def ask(**values: Any) -> Any:
        return client.post(f"{API}/search", json={"tracklets": [first["id"]], **values})

    other = ask(filters={"other_cameras": True}, top=200).json()
    assert {hit["tracklet"]["camera"] for hit in other["hits"]} == {"yard"}
    assert len(ask(top=3).json()["hits"]) == 3
    high = ask(min_score=0.9999999).json()
    assert high["hits"] == []
    assert high["best"] is not None
    nothing = ask(filters={"from_s": NIGHT_S + 10**7}).json()
    assert (nothing["hits"], nothing["searched"], nothing["best"]) == ([], 0, None)
    for values in (
        {"tracklets": []},
        {"top": 0},
        {"top": 2001},
        {"filters": {"unheard": 1}},
        {"tracklets": ["zz"]},
    ):
        assert ask(**values).status_code == 422, values
    assert ask(tracklets=["ab12"]).status_code == 404


def test_feedback_changes_the_next_search(client: TestClient, first: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"tracklets": [first["id"]], "filters": {"modality": "ir"}, "top": 12}
    before = [hit["tracklet"]["id"] for hit in client.post(f"{API}/search", json=asked).json()["hits"]]
    case = client.post(f"{API}/cases", json={"title": "t", "tracklets": [first["id"]]}).json()["id"]
    for entry, verdict in ((before[4], "confirmed"), (before[0], "rejected")):
        answer = client.put(f"{API}/cases/{case}/judgements/{entry}", json={"verdict": verdict})
        assert answer.status_code == 200
    after = client.post(f"{API}/search", json={**asked, "case": case}).json()
    ids = [hit["tracklet"]["id"] for hit in after["hits"]]
    assert ids[0] == before[4]
    assert after["hits"][0]["verdict"] == "confirmed"
    assert before[0] not in ids
    assert (after["examples"], after["rejected"]) == (2, 1)
    client.delete(f"{API}/cases/{case}/judgements/{before[0]}")
    again = client.post(f"{API}/search", json={**asked, "case": case}).json()
    assert before[0] in [hit["tracklet"]["id"] for hit in again["hits"]]


def test_persons_need_a_calibration(client: TestClient, first: dict[str, Any]) -> None:
    answer = client.post(f"{API}/persons", json={"tracklets": [first["id"]]})
    assert answer.status_code == 409
    assert "xreid calibrate" in answer.json()["todo"]


def test_a_case_is_kept_and_survives_a_restart(world: Path) -> None:
    config = config_of(world, world / "state")
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as client:
        rows, made = judged(client)
    with TestClient(create_app(Site.open(config)), base_url="http://localhost") as again:
        file = again.get(f"{API}/cases/{made['id']}").json()
        assert [row["id"] for row in file["confirmed"]] == [rows[3]["id"], rows[5]["id"]], "in order of time"
        assert [row["id"] for row in file["rejected"]] == [rows[7]["id"]]
        assert file["case"]["note"] == "n"
        changed = again.patch(f"{API}/cases/{made['id']}", json={"title": "Bag, red"}).json()
        assert (changed["title"], changed["note"]) == ("Bag, red", "n")
        assert again.delete(f"{API}/cases/{made['id']}").status_code == 204
        assert again.get(f"{API}/cases/{made['id']}").status_code == 404


def judged(client: TestClient) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A case in which something was said; and all tracklets."""
    rows = everything(client)
    made = client.post(
        f"{API}/cases", json={"title": "Bag", "note": "n", "tracklets": [rows[0]["id"]]}
    ).json()
    for i, verdict in (
        (5, "confirmed"),
        (3, "confirmed"),
        (7, "rejected"),
        (5, "rejected"),
        (5, "confirmed"),
    ):
        client.put(f"{API}/cases/{made['id']}/judgements/{rows[i]['id']}", json={"verdict": verdict})
    return rows, made


def exported(client: TestClient, tmp_path: Path) -> Path:
    rows = everything(client)
    title = 'Bag </script><img src=x onerror="alert(1)">'
    case = client.post(f"{API}/cases", json={"title": title, "tracklets": [rows[0]["id"]]}).json()["id"]
    client.put(f"{API}/cases/{case}/judgements/{rows[2]['id']}", json={"verdict": "confirmed"})
    answer = client.post(f"{API}/cases/{case}/export")
    path = tmp_path / "case.html"
    path.write_bytes(answer.content)
    import hashlib

    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["x-content-sha256"]
    log = client.get(f"{API}/audit?limit=1").json()["entries"][0]
    assert (log["what"], log["sha256"]) == ("case exported", answer.headers["x-content-sha256"])
    return path


def test_an_export_holds_itself_and_shows_changes(
    client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = exported(client, tmp_path)
    html = path.read_text()
    assert "<img src=x" not in html
    assert not re.search(r'(src|href)="(?!data:)', html), "nothing is loaded from elsewhere"
    assert len(re.findall(r'src="data:image/jpeg;base64,', html)) == 2 * FRAMES
    assert check_case(path) == []
    assert main(["serve", "--check", str(path)]) == 0
    first_picture = re.search(r"base64,([A-Za-z0-9+/=]+)", html)
    assert first_picture is not None
    data = bytearray(base64.b64decode(first_picture[1]))
    data[300] ^= 1
    path.write_text(html.replace(first_picture[1], base64.b64encode(data).decode(), 1))
    assert check_case(path) == ["picture 1 is not the one exported"]
    path.write_text(html.replace('"verdict":"confirmed"', '"verdict":"rejected"'))
    assert check_case(path) == ["the record does not fit its hash"]
    assert main(["serve", "--check", str(path)]) == 2
    assert "was changed" in capsys.readouterr().err


def test_erasing_reaches_everything(client: TestClient, first: dict[str, Any], world: Path) -> None:
    client.get(f"{API}/tracklets/{first['id']}/clip.mp4")
    case = client.post(f"{API}/cases", json={"title": "t", "tracklets": [first["id"]]}).json()["id"]
    dry = client.post(f"{API}/erase", json={"names": [first["name"]]}).json()
    assert (dry["tracklets"], dry["dry_run"]) == (1, True)
    assert client.get(f"{API}/gallery").json()["tracklets"] == 24
    assert client.post(f"{API}/erase", json={"names": ["nobody"], "dry_run": False}).status_code == 422
    done = client.post(
        f"{API}/erase", json={"names": [first["name"]], "reason": "asked", "dry_run": False}
    ).json()
    assert (done["tracklets"], done["asked_by"], done["reason"]) == (1, "local", "asked")
    assert first["name"] not in json.dumps(done)
    assert client.get(f"{API}/receipts").json()[-1]["id"] == done["id"]
    assert client.get(f"{API}/tracklets/{first['id']}").status_code == 404
    assert client.get(f"{API}/gallery").json()["tracklets"] == 23
    assert client.get(f"{API}/cases/{case}").json()["searched_for"] == []
    assert not list((world / "state0" / "clips").glob("*.mp4"))
    whats = [entry["what"] for entry in client.get(f"{API}/audit").json()["entries"]]
    assert whats[:2] == ["erased", "erase asked"]


def test_health_and_metrics(client: TestClient, first: dict[str, Any]) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    client.post(f"{API}/search", json={"tracklets": [first["id"]]})
    client.get(f"{API}/tracklets/{first['id']}")
    client.get("/some/path/with/a/name")
    text = client.get("/metrics").text
    assert "xreid_gallery_tracklets 24.0" in text
    assert "xreid_searches_total 1.0" in text
    assert 'route="/api/v1/tracklets/{tracklet}",status="200"} 1.0' in text
    assert 'xreid_jobs{state="running"} 0.0' in text
    assert "xreid_request_seconds_bucket" in text
    assert first["id"] not in text
    assert "with/a/name" not in text


def test_an_empty_gallery_is_served(opened: Open, tmp_path: Path) -> None:
    Gallery.create(tmp_path / "none")
    client = opened(gallery=str(tmp_path / "none"))
    assert client.get(f"{API}/gallery").json()["tracklets"] == 0
    assert client.get(f"{API}/cameras").json() == []
    assert client.get(f"{API}/tracklets").json() == {"items": [], "total": 0, "next": None}
    assert client.get("/readyz").status_code == 200


def test_the_description_is_whole(client: TestClient) -> None:
    description = client.get(f"{API}/openapi.json").json()
    names = [op["operationId"] for path in description["paths"].values() for op in path.values()]
    assert len(names) == len(set(names)) > 30
    text = json.dumps(description)
    for name in set(re.findall(r"#/components/schemas/([\w-]+)", text)):
        assert name in description["components"]["schemas"], name
    assert "ProblemView" in text
    assert "HTTPValidationError" not in text


def test_a_case_goes_on_from_the_page_to_the_command_line_and_back(
    client: TestClient, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, gallery = everything(client), str(world / "gallery")
    body = {"title": "Bag", "tracklets": [rows[0]["id"]]}
    case = client.post(f"{API}/cases", json=body).json()["id"]
    client.put(f"{API}/cases/{case}/judgements/{rows[4]['id']}", json={"verdict": "confirmed"})
    capsys.readouterr()
    assert (
        main(["search", gallery, "--case", "Bag", "--reject", rows[6]["name"], "--json", "--top", "24"]) == 0
    )
    told = json.loads(capsys.readouterr().out)[0]
    assert told["query"]["tracklet"] == rows[0]["name"]
    names = [hit["tracklet"] for hit in told["hits"]]
    assert names[0] == rows[4]["name"]
    assert rows[6]["name"] not in names
    seen = client.get(f"{API}/cases/{case}").json()
    assert [row["id"] for row in seen["rejected"]] == [rows[6]["id"]]
    assert (
        main(
            ["search", gallery, "--tracklet", rows[1]["name"], "--case", "Coat", "--confirm", rows[5]["name"]]
        )
        == 0
    )
    other = next(one for one in client.get(f"{API}/cases").json() if one["title"] == "Coat")
    assert other["tracklets"] == [rows[1]["id"]]
    assert [one["tracklet"] for one in other["judgements"]] == [rows[5]["id"]]
    done = client.post(f"{API}/erase", json={"names": [rows[5]["name"], rows[1]["name"]], "dry_run": False})
    assert done.status_code == 200
    other = client.get(f"{API}/cases/{other['id']}").json()["case"]
    assert (other["tracklets"], other["judgements"]) == ([], [])
    text = "".join(path.read_text() for path in (world / "gallery" / "answers" / "cases").iterdir())
    assert rows[5]["id"] not in text
