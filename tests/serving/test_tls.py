"""The server by https with a certificate of its own; a gallery on Milvus behind it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.conftest import Open, Running, Tokens
from tests.waiting import PATIENCE_S
from xreid.core.embeddings import EmbeddingSet
from xreid.retrieval.gallery import Gallery

API = "/api/v1"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl, to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(["openssl", *words.split(), *names], check=True, capture_output=True, timeout=PATIENCE_S)
    return cert, key


def test_https_with_an_own_certificate(
    run_server: Callable[..., Running], certificate: tuple[Path, Path], tokens: Tokens
) -> None:
    httpx2 = pytest.importorskip("httpx2")
    cert, key = certificate
    running = run_server(tls_cert=cert, tls_key=key, token_file=tokens.file)
    base = f"https://127.0.0.1:{running.port}"
    knows = ssl.create_default_context(cafile=str(cert))
    with httpx2.Client(base_url=base, verify=knows, timeout=PATIENCE_S) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "max-age" in page.headers["strict-transport-security"]
        begun = client.post(f"{API}/session", json={"token": tokens.operator})
        assert begun.status_code == 201
        assert "secure" in begun.headers["set-cookie"].lower().split("; ")
        assert client.get(f"{API}/gallery").json()["tracklets"] == 24, "the cookie comes back over https"
    with httpx2.Client(base_url=base, timeout=PATIENCE_S) as stranger, pytest.raises(httpx2.ConnectError):
        stranger.get("/")
    base = base.replace("https", "http")
    with httpx2.Client(base_url=base, timeout=PATIENCE_S) as plain, pytest.raises(httpx2.HTTPError):
        plain.get("/")


def test_a_gallery_on_milvus_is_served(opened: Open, world: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    address = str(tmp_path / "people.db")
    Gallery.create(address).append(EmbeddingSet.load(world / "imports" / "people"), name="people")
    client = opened(gallery=address)
    assert client.get(f"{API}/gallery").json()["tracklets"] == 24
    rows = client.get(f"{API}/tracklets?limit=24").json()["items"]
    assert client.get(f"{API}/tracklets/{rows[0]['id']}/frames/0").status_code == 200
    case = client.post(f"{API}/cases", json={"title": "t", "tracklets": [rows[0]["id"]]}).json()["id"]
    client.put(f"{API}/cases/{case}/judgements/{rows[3]['id']}", json={"verdict": "confirmed"})
    client.post(f"{API}/labels", json={"tracklets": [rows[5]["id"]], "add": ["bag"]})
    body = {"tracklets": [rows[0]["id"]], "case": case, "rerank": 10, "filters": {"modality": "ir"}}
    found = client.post(f"{API}/search", json=body).json()
    assert found["hits"][0]["verdict"] == "confirmed"
    other = found["hits"][2]["tracklet"]
    told = client.post(f"{API}/why", json={**body, "hit": other["id"], "pairs": 0}).json()
    assert told["rank"] == 3
    assert [row["id"] for row in client.get(f"{API}/tracklets?label=bag").json()["items"]] == [rows[5]["id"]]
    assert client.post(f"{API}/erase", json={"names": [rows[3]["name"]], "dry_run": False}).status_code == 200
    assert client.get(f"{API}/cases/{case}").json()["case"]["judgements"] == []
    site = client.app.state.site  # type: ignore[attr-defined]
    assert site.cases.folder.is_relative_to(site.config.state_folder), "not inside the database"
