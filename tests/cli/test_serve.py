"""`xreid serve`: messages, tokens, checks; and one real start and end of the process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.retrieval.sets import make_set
from tests.waiting import PATIENCE_S
from xreid.cli.main import main
from xreid.retrieval.gallery import Gallery

pytest.importorskip("fastapi", reason="the extra [serve] is not installed")


def failed(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["serve", *(str(word) for word in words)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("xreid: error: ")
    assert told.count("\n") == 1
    return told


def test_bad_input_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = tmp_path / "g"
    Gallery.create(gallery)
    assert "no gallery" in failed(capsys)
    assert "is no gallery" in failed(capsys, tmp_path / "none")
    assert "--token_file" in failed(capsys, gallery, "--host", "0.0.0.0")
    assert "--token_file" in failed(capsys, gallery, "--allow_host", "a.example")
    assert "new_token" in failed(capsys, gallery, "--token_file", tmp_path / "t")
    assert "0 to 65535" in failed(capsys, gallery, "--port", 70000)
    assert "does not exist" in failed(capsys, gallery, "--imports", tmp_path / "nowhere")
    assert "both" in failed(capsys, gallery, "--tls_cert", tmp_path)
    (tmp_path / "no.pem").write_text("no certificate")
    tls = ("--tls_cert", tmp_path / "no.pem", "--tls_key", tmp_path / "no.pem")
    assert "PEM" in failed(capsys, gallery, *tls)
    assert "limits.upload_mib" in failed(capsys, gallery, "--limits.upload_mib", 0)
    assert "viewer, operator or admin" in failed(
        capsys, "--new_token", "root", "--token_file", tmp_path / "t"
    )
    assert "--token_file" in failed(capsys, "--new_token", "admin")
    (tmp_path / "t").write_text("{")
    assert "not JSON" in failed(capsys, gallery, "--token_file", tmp_path / "t")


def test_a_wrong_checkpoint_is_told_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Gallery.create(tmp_path / "g")
    assert "checkpoint" in failed(capsys, tmp_path / "g", "--checkpoint", tmp_path)


def test_tokens_are_printed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "serve",
        "--new_token",
        "operator",
        "--token_name",
        "Anna B",
        "--token_file",
        str(tmp_path / "t.json"),
    ]
    assert main(words) == 0
    out = capsys.readouterr()
    token = out.out.strip()
    assert token.startswith("xreid_")
    assert token not in (tmp_path / "t.json").read_text()
    stored = json.loads((tmp_path / "t.json").read_text())["tokens"]
    assert [(one["name"], one["role"]) for one in stored] == [("Anna B", "operator")]
    assert main(words) == 2


def test_a_changed_log_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xreid.retrieval.audit import AuditLog

    log = AuditLog(tmp_path / "audit.jsonl")
    for i in range(3):
        log.write("anna", "search", {"found": i})
    assert main(["serve", "--check", str(tmp_path / "audit.jsonl")]) == 0
    assert f"3 entries, unbroken; head {log.head.hash}" in capsys.readouterr().out
    (tmp_path / "audit.jsonl").write_bytes(log.path.read_bytes().replace(b'"found":1', b'"found":0'))
    assert "line 2" in failed(capsys, "--check", tmp_path / "audit.jsonl")


def test_it_starts_answers_and_ends(tmp_path: Path) -> None:
    Gallery.create(tmp_path / "g").append(make_set(12), name="a")
    words = [sys.executable, "-m", "xreid.cli.main", "serve", str(tmp_path / "g"), "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serve: http://127.0.0.1:"), line
        url = line.split()[1]
        with urllib.request.urlopen(f"{url}api/v1/gallery", timeout=PATIENCE_S) as answer:
            assert json.load(answer)["tracklets"] == 12
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in (0, 130)
    assert "Traceback" not in told
    assert "everybody on this machine" in told
    assert (tmp_path / "g.serve" / "audit.jsonl").is_file()
