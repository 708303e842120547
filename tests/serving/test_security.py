"""Who gets in: tokens, sessions, roles, other sites, other names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.serving.conftest import Open, Tokens
from xreid.core.errors import ConfigError, DataError
from xreid.serving.config import ServeConfig
from xreid.serving.sessions import Attempts, Sessions
from xreid.serving.tokens import Role, TokenFile, add_token, hash_of, read_tokens

SEARCH = "/api/v1/search"


def test_beyond_loopback_a_token_is_required(tmp_path: Path) -> None:
    for values in (
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"allow_host": ["site.example"]},
        {"behind_tls": True},
    ):
        with pytest.raises(ConfigError, match="no token is asked for"):
            ServeConfig(gallery="g", **values)  # type: ignore[arg-type]
        ServeConfig(gallery="g", token_file=tmp_path / "t", **values)  # type: ignore[arg-type]
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        ServeConfig(gallery="g", host=host)


def test_the_file_holds_no_token(tokens: Tokens) -> None:
    text = tokens.file.read_text()
    assert tokens.admin not in text
    assert tokens.admin.removeprefix("xreid_") not in text
    assert hash_of(tokens.admin) in text
    assert tokens.file.stat().st_mode & 0o077 == 0
    assert [token.role for token in read_tokens(tokens.file)] == ["viewer", "operator", "admin"]
    with pytest.raises(ConfigError, match="already has a token"):
        add_token(tokens.file, role="viewer", name="admin-1")
    with pytest.raises(ConfigError, match="no such role"):
        add_token(tokens.file, role="root", name="x")


def test_a_withdrawn_token_is_out_at_once(tokens: Tokens) -> None:
    file = TokenFile(tokens.file)
    found = file.principal(hash_of(tokens.operator))
    assert found is not None
    assert found.role is Role.OPERATOR
    left = [one for one in json.loads(tokens.file.read_text())["tokens"] if one["role"] != "operator"]
    tokens.file.write_text(json.dumps({"tokens": left}))
    assert file.principal(hash_of(tokens.operator)) is None
    assert file.principal(hash_of(tokens.admin)) is not None
    tokens.file.write_text('{"tokens": [{"name": "x"}]}')
    with pytest.raises(DataError, match="damaged"):
        file.reload()


def test_nobody_gets_in_without_a_token(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    description = client.get("/api/v1/openapi.json").json()
    open_to_all = {"/healthz", "/readyz", "/api/v1/session"}
    asked = 0
    for path, operations in description["paths"].items():
        for method in operations:
            if path in open_to_all and method in ("get", "post") and path != "/api/v1/session":
                continue
            if (path, method) == ("/api/v1/session", "post"):
                continue
            url = path.replace("{number}", "0").replace("{tracklet}", "ab")
            for name in ("case_id", "job_id", "upload_id", "query_id"):
                url = url.replace("{" + name + "}", "0" * 16)
            answer = client.request(method, url)
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            asked += 1
    assert asked > 30
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/v1/gallery", headers=tokens.header("viewer")).status_code == 200


def test_each_role_may_do_what_it_may(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    rows = client.get("/api/v1/tracklets?limit=2", headers=tokens.header("viewer")).json()["items"]
    row, other = (one["id"] for one in rows)
    expected: list[tuple[str, str, dict[str, object] | None, tuple[int, int, int]]] = [
        ("GET", "/api/v1/cameras", None, (200, 200, 200)),
        ("GET", "/metrics", None, (200, 200, 200)),
        ("POST", SEARCH, {"tracklets": [row]}, (403, 200, 200)),
        ("POST", "/api/v1/cases", {"title": "x"}, (403, 201, 201)),
        ("POST", "/api/v1/why", {"tracklets": [row], "hit": other, "pairs": 0}, (403, 200, 200)),
        ("POST", "/api/v1/labels", {"tracklets": [row], "add": ["bag"]}, (403, 200, 200)),
        ("GET", f"/api/v1/tracklets/{row}/moment", None, (404, 404, 404)),
        ("GET", f"/api/v1/tracklets/{row}/moment.jpg", None, (403, 404, 404)),
        ("GET", "/api/v1/audit", None, (403, 403, 200)),
        ("POST", "/api/v1/erase", {"names": ["gate-00"]}, (403, 403, 200)),
    ]
    for method, url, body, codes in expected:
        for role, code in zip(("viewer", "operator", "admin"), codes, strict=True):
            answer = client.request(method, url, json=body, headers=tokens.header(role))
            assert answer.status_code == code, (role, method, url, answer.text)


def test_a_session_needs_its_csrf_token(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    assert client.post("/api/v1/session", json={"token": "xreid_wrong"}).status_code == 401
    begun = client.post("/api/v1/session", json={"token": tokens.operator})
    assert begun.status_code == 201
    cookie = begun.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert tokens.operator not in begun.headers["set-cookie"]
    assert client.get("/api/v1/gallery").status_code == 200
    assert client.post("/api/v1/cases", json={"title": "x"}).status_code == 403
    right = {"x-csrf-token": begun.json()["csrf"]}
    assert (
        client.post("/api/v1/cases", json={"title": "x"}, headers={"x-csrf-token": "no"}).status_code == 403
    )
    assert client.post("/api/v1/cases", json={"title": "x"}, headers=right).status_code == 201
    assert client.delete("/api/v1/session", headers=right).status_code == 204
    assert client.get("/api/v1/gallery").status_code == 401


def test_a_session_ends_with_its_token(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    assert client.post("/api/v1/session", json={"token": tokens.operator}).status_code == 201
    assert client.get("/api/v1/gallery").status_code == 200
    held = json.loads(tokens.file.read_text())["tokens"]
    tokens.file.write_text(json.dumps({"tokens": [one for one in held if one["role"] != "operator"]}))
    answer = client.get("/api/v1/gallery")
    assert answer.status_code == 401
    assert "withdrawn" in answer.text
    tokens.file.write_text(json.dumps({"tokens": held}))
    assert client.get("/api/v1/gallery").status_code == 401, "it is over, also if the token comes back"


def test_behind_tls_cookies_are_secure(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file, behind_tls=True)
    begun = client.post("/api/v1/session", json={"token": tokens.viewer})
    assert "secure" in begun.headers["set-cookie"].lower().split("; ")
    assert "max-age" in begun.headers["strict-transport-security"]


def test_guessing_is_slowed_down(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file)
    codes = [client.post("/api/v1/session", json={"token": f"x{i}"}).status_code for i in range(12)]
    assert codes[:10] == [401] * 10
    assert codes[10:] == [429] * 2
    assert client.get("/api/v1/gallery", headers=tokens.header("viewer")).status_code == 200, (
        "the right one works"
    )


def test_sessions_end_by_idleness() -> None:
    now = [0.0]
    sessions = Sessions(idle_s=60, clock=lambda: now[0])
    name, _ = sessions.start("hash")
    now[0] = 59
    assert sessions.get(name) is not None
    now[0] = 118
    assert sessions.get(name) is not None
    now[0] = 179
    assert sessions.get(name) is None


def test_attempts_are_forgotten_after_the_window() -> None:
    now = [0.0]
    attempts = Attempts(most=2, window_s=10, clock=lambda: now[0])
    attempts.failed("a")
    attempts.failed("a")
    assert attempts.wait_s("a") == 10
    assert attempts.wait_s("b") == 0
    now[0] = 10.0
    assert attempts.wait_s("a") == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost@b", "localhost:x"],
)
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/v1/gallery", headers={"host": host})
    assert answer.status_code == 421, "a name that an attacker lets point here (DNS rebinding)"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8765", "[::1]:8765", "192.168.3.4"])
def test_own_names_and_addresses_are_served(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_allowed_names_are_served(opened: Open, tokens: Tokens) -> None:
    client = opened(token_file=tokens.file, allow_host=["Search.Example"])
    assert client.get("/healthz", headers={"host": "search.example"}).status_code == 200
    assert client.get("/healthz", headers={"host": "other.example"}).status_code == 421


def test_other_sites_are_refused(client: TestClient) -> None:
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = client.post("/api/v1/cases", json={"title": "x"}, headers=headers)
        assert answer.status_code == 403, headers
        assert client.get("/api/v1/gallery", headers=headers).status_code == 403, headers
    assert (
        client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code
        == 200
    )
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post("/api/v1/cases", content=b'{"title": "x"}', headers={"content-type": kind})
        assert answer.status_code == 415, "a form of another site"
    mine = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/api/v1/cases", json={"title": "x"}, headers=mine).status_code == 201


def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    for path in ("/", "/api/v1/gallery", "/nowhere", "/static/app.js"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in client.get("/api/v1/gallery").headers


def test_paths_do_not_lead_out_of_the_page(client: TestClient) -> None:
    for path in ("/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"):
        assert client.get(path).status_code in (404, 405), path
