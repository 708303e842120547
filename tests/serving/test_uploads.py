"""Files that are what they say, and files that are not: lies, bombs, playlists, odd names."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.inference.small import write_model
from tests.serving.conftest import Open, Tokens
from tests.serving.world import as_bytes, noise_video, person
from xreid.core.errors import ConfigError
from xreid.serving.backend import Backend
from xreid.serving.sniff import kind_of

API = "/api/v1"


def send(client: TestClient, data: bytes, name: str = "file", **headers: str) -> Any:
    return client.post(f"{API}/uploads?name={name}", content=data, headers=headers)


def png_of(width: int, height: int, body: bytes) -> bytes:
    """A PNG whose header promises a size, with any body."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return noise_video(tmp_path_factory.mktemp("video") / "walk.mp4").read_bytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_a_picture_finds_the_person_in_it(client: TestClient, kind: str) -> None:
    upload = send(client, as_bytes(person(2), kind), "../../etc/p%C3%A4rson.png")
    assert upload.status_code == 201, upload.text
    made = upload.json()
    assert (made["what"], made["width"], made["height"], made["likely"]) == ("image", 40, 80, "vis")
    assert made["name"] == "pärson.png"
    query = client.post(f"{API}/queries", json={"cuts": [{"upload": made["id"]}]}).json()
    assert (query["modality"], query["guessed"], query["frames"]) == ("vis", True, 1)
    answer = client.post(f"{API}/search", json={"queries": [query["id"]], "top": 24}).json()
    assert answer["searched"] == 24
    assert answer["hits"][0]["tracklet"]["name"] in ("gate-02", "gate-12", "gate-22"), "the same shirt"
    assert client.get(f"{API}/queries/{query['id']}/frames/0").status_code == 200
    assert client.get(f"{API}/queries/{query['id']}/clip.mp4").status_code == 200


def test_grey_pictures_are_called_infrared(client: TestClient) -> None:
    made = send(client, as_bytes(person(1, grey=True))).json()
    assert made["likely"] == "ir"
    asked = {"cuts": [{"upload": made["id"]}], "modality": "vis"}
    query = client.post(f"{API}/queries", json=asked).json()
    assert (query["modality"], query["guessed"]) == ("vis", False), "the operator's word counts"


def test_a_box_of_a_video_is_cut_out(client: TestClient, walk: bytes, world: Path) -> None:
    made = send(client, walk, "walk.mp4").json()
    assert made["what"] == "video"
    assert made["seconds"] == pytest.approx(2.0, abs=0.2)
    box = [10 / 160, 30 / 120, 50 / 160, 110 / 120]
    asked = {"cuts": [{"upload": made["id"], "box": box, "from_s": 0, "to_s": 0.3}]}
    query = client.post(f"{API}/queries", json=asked)
    assert query.status_code == 201, query.text
    assert 1 <= query.json()["frames"] <= 8
    frame = client.get(f"{API}/queries/{query.json()['id']}/frames/0")
    picture = np.asarray(Image.open(io.BytesIO(frame.content)).convert("RGB"), dtype=float)
    assert picture.shape == (80, 40, 3)
    assert picture[30, 20, 0] > picture[30, 20, 2] + 60, "a red shirt in the middle"
    shown = client.get(f"{API}/uploads/{made['id']}/picture?at_s=1.0&height=60")
    assert Image.open(io.BytesIO(shown.content)).size == (80, 60)


def test_pictures_and_tracklets_together(client: TestClient, first: dict[str, Any]) -> None:
    uploads = [send(client, as_bytes(person(0, step=i))).json()["id"] for i in range(2)]
    query = client.post(f"{API}/queries", json={"cuts": [{"upload": one} for one in uploads]}).json()
    assert query["frames"] == 2
    asked = {"queries": [query["id"]], "tracklets": [first["id"]]}
    answer = client.post(f"{API}/search", json=asked).json()
    assert answer["examples"] == 2
    assert first["id"] not in [hit["tracklet"]["id"] for hit in answer["hits"]]
    entry = client.get(f"{API}/audit?limit=1").json()["entries"][0]
    assert len(entry["uploads"]) == 2, "the log names the files by their hashes"


LIES = {
    "text": (b"hello, I am a text " * 50, 415),
    "empty": (b"", 422),
    "html": (b"<html><script>alert(1)</script>", 415),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', 415),
    "zip": (b"PK\x03\x04" + bytes(100), 415),
    "elf": (b"\x7fELF" + bytes(100), 415),
    "gif": (b"GIF89a" + bytes(100), 415),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(100), 415),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415),
    "concat": (b"ffconcat version 1.0\nfile '/etc/passwd'\n", 415),
    "jpeg that ends": (as_bytes(person(0), "JPEG")[:300], 422),
    "jpeg of noise": (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8, 422),
    "png of noise": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, 422),
    "mp4 of noise": (b"\x00\x00\x00\x20ftypisom" + bytes(range(256)) * 20, 422),
    "matroska of noise": (b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 20, 422),
    "avi of noise": (b"RIFF\xff\xff\xff\x7fAVI " + bytes(range(256)) * 20, 422),
    "transport stream of noise": ((b"\x47" + bytes(187)) * 20, 422),
    "tiff without a picture": (b"II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", 422),
}


@pytest.mark.parametrize("name", LIES)
def test_files_that_are_not_what_they_say(client: TestClient, world: Path, name: str) -> None:
    data, status = LIES[name]
    answer = send(client, data, "holiday.jpg", **{"content-type": "image/jpeg"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(world) not in answer.text, "no path of the server is told"
    assert not list((world / "state0" / "uploads").iterdir()), "nothing is left"


def test_a_playlist_within_a_container_opens_nothing() -> None:
    for head in (b"#EXTM3U\n", b"ffconcat version 1.0\n", b"<MPD ", b"[playlist]", b"v=0\r\no=", b"rtsp://x"):
        assert kind_of(head + bytes(400)) is None, "a decoder would open what it names"


def test_bombs_do_not_go_off(client: TestClient, world: Path) -> None:
    huge = zlib.compress(bytes(60_000 * 3 * 200), 9)
    promised = send(client, png_of(60_000, 60_000, huge))
    assert promised.status_code == 413
    assert "60000 x 60000" in promised.json()["got"]
    buffer = io.BytesIO()
    Image.new("L", (2000, 1200)).save(buffer, "PNG", compress_level=9)
    real = send(client, buffer.getvalue())
    assert len(buffer.getvalue()) < 20_000
    assert real.status_code == 413
    liar = send(client, png_of(100, 100, zlib.compress(bytes(50_000_000), 9)))
    assert liar.status_code in (201, 422), "what comes beyond the promised size is not looked at"
    assert not list((world / "state0" / "uploads").glob(".*"))


def test_sizes_are_limited(client: TestClient, walk: bytes) -> None:
    too_large = send(client, bytes(5 * 2**20))
    assert too_large.status_code == 413

    def chunks() -> Any:
        for _ in range(6):
            yield bytes(2**20)

    unstated = client.post(f"{API}/uploads", content=chunks())
    assert unstated.status_code == 413, "also where no length is stated"
    assert client.post(f"{API}/search", content=b"[" * (300 * 1024)).status_code == 413
    long = client.post(f"{API}/search", content=b"[" * 100_000, headers={"content-type": "application/json"})
    assert long.status_code in (400, 422)


def test_long_videos_are_searched_by_stretches(client: TestClient, tmp_path: Path) -> None:
    long = noise_video(tmp_path / "long.mp4", frames=70).read_bytes()
    made = send(client, long).json()
    whole = client.post(f"{API}/queries", json={"cuts": [{"upload": made["id"]}]})
    assert whole.status_code == 413
    assert "shorter stretch" in whole.json()["todo"]
    part = client.post(f"{API}/queries", json={"cuts": [{"upload": made["id"], "from_s": 5, "to_s": 6}]})
    assert part.status_code == 201, part.text


def test_boxes_and_requests_out_of_range(client: TestClient) -> None:
    made = send(client, as_bytes(person(0))).json()["id"]
    for box in (
        [0.5, 0, 0.5, 1],
        [0.6, 0, 0.4, 1],
        [-1, 0, 1, 1],
        [0, 0, 2, 1],
        [0, 0, 0.01, 0.01],
        [0, 0, 1],
    ):
        answer = client.post(f"{API}/queries", json={"cuts": [{"upload": made, "box": box}]})
        assert answer.status_code == 422, box
    assert client.post(f"{API}/queries", json={"cuts": []}).status_code == 422
    assert client.post(f"{API}/queries", json={"cuts": [{"upload": "0" * 16}]}).status_code == 404
    assert client.get(f"{API}/uploads/../audit.jsonl").status_code == 404
    assert client.get(f"{API}/uploads/..%2f..%2fetc/picture").status_code in (404, 422)


def test_uploads_are_private_and_do_not_stay(opened: Open, tokens: Tokens) -> None:
    from xreid.serving.tokens import add_token

    other = {"authorization": f"Bearer {add_token(tokens.file, role='operator', name='other')}"}
    client = opened(token_file=tokens.file)
    mine = tokens.header("operator")
    made = send(client, as_bytes(person(0)), **mine).json()["id"]
    assert client.get(f"{API}/uploads/{made}", headers=mine).status_code == 200
    assert client.get(f"{API}/uploads/{made}", headers=other).status_code == 404
    assert client.post(f"{API}/queries", json={"cuts": [{"upload": made}]}, headers=other).status_code == 404
    site = client.app.state.site  # type: ignore[attr-defined]
    site.sweep()
    assert client.get(f"{API}/uploads/{made}", headers=mine).status_code == 200
    old = site.uploads.kept.folder / made
    import os

    os.utime(old, (0, 0))
    site.sweep()
    assert client.get(f"{API}/uploads/{made}", headers=mine).status_code == 404


def test_a_query_of_a_case_stays(client: TestClient) -> None:
    import os

    upload = send(client, as_bytes(person(0))).json()["id"]
    query = client.post(f"{API}/queries", json={"cuts": [{"upload": upload}]}).json()["id"]
    loose = client.post(f"{API}/queries", json={"cuts": [{"upload": upload}]}).json()["id"]
    case = client.post(f"{API}/cases", json={"title": "t", "queries": [query]}).json()["id"]
    site = client.app.state.site  # type: ignore[attr-defined]
    for one in (query, loose):
        os.utime(site.queries.kept.folder / one, (0, 0))
    site.sweep()
    assert client.get(f"{API}/queries/{query}").status_code == 200
    assert client.get(f"{API}/queries/{loose}").status_code == 404
    assert client.delete(f"{API}/queries/{query}").status_code == 409
    site.queries.kept.delete(query)  # by a hand that should not
    broken = client.get(f"{API}/cases/{case}")
    assert (broken.status_code, broken.json()["uploaded"], broken.json()["missing"]) == (200, [], 1)
    assert client.post(f"{API}/cases/{case}/export").status_code == 200
    client.delete(f"{API}/cases/{case}")
    assert client.get(f"{API}/queries/{query}").status_code == 404


def test_without_a_model_uploads_say_so(opened: Open) -> None:
    client = opened(checkpoint=None)
    assert client.get(f"{API}/gallery").json()["uploads"] is False
    upload = send(client, as_bytes(person(0))).json()["id"]
    answer = client.post(f"{API}/queries", json={"cuts": [{"upload": upload}]})
    assert answer.status_code == 409
    assert "--checkpoint" in answer.json()["todo"]


def test_another_model_than_the_gallerys_is_told_at_the_start(world: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "other", seed=1, cameras=())
    with pytest.raises(ConfigError, match="did not embed this gallery"):
        Backend(str(world / "gallery"), checkpoint=tmp_path / "other")
    assert Backend(str(world / "gallery"), checkpoint=world / "model").gallery.origin is not None
