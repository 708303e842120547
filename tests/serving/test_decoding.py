"""A decoder that is ended, by a limit or by the file, is a refusal and not a fault of the server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from xreid.serving.config import Limits
from xreid.serving.decoding import decode
from xreid.serving.problems import Refusal
from xreid.serving.sniff import kind_of


def _decode(path: Path) -> None:
    kind = kind_of(b"\x89PNG\r\n\x1a\n" + bytes(400))
    assert kind is not None
    decode(path, kind, limits=Limits())


def _refusal(path: Path) -> Refusal:
    with pytest.raises(Refusal) as refused:
        _decode(path)
    return refused.value


def test_a_decoder_that_dies_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        assert options["start_new_session"], "a signal to the server's group does not reach it"
        assert options["timeout"] == 2 * Limits().decode_seconds
        return subprocess.CompletedProcess(args=[], returncode=-9, stdout=b"", stderr=b"")

    def hung(*args: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        raise subprocess.TimeoutExpired(cmd="", timeout=1)

    monkeypatch.setattr(subprocess, "run", killed)
    assert "within the server's limits" in str(_refusal(tmp_path / "a.png"))
    monkeypatch.setattr(subprocess, "run", hung)
    assert "takes too long" in str(_refusal(tmp_path / "a.png"))
