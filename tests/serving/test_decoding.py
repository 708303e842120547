"""A decoder that is ended, by a limit or by the file, is a refusal and not a fault of the server."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.serving.test_moments import FPS, number_of, recording
from xreid.retrieval.frames import Anchor, open_frames
from xreid.serving.config import Limits
from xreid.serving.decode_worker import video
from xreid.serving.decoding import Request, decode
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


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for ending in ("avi", "mp4", "mkv", "ts"):
        recording(folder / f"a.{ending}")
    return folder


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("frame", [0, 1, 7, 24, 26, 40, 58])
def test_a_second_is_the_frame_that_ingest_has_there(
    name: str, frame: int, recordings: Path, tmp_path: Path
) -> None:
    """Also in an AVI file, whose timestamps follow the order of decoding: its frames are counted."""
    path, limits = recordings / name, Limits()
    kind = kind_of(path.read_bytes()[:400])
    assert kind is not None
    reading = open_frames(path).read(Anchor(), count=60, warmup_s=0.0)
    offset_s = next(one.time_s for one in reading if one.number == frame + 1)
    at = max(0.0, offset_s - 0.5 / FPS)
    request = Request(
        path=str(path),
        what="video",
        decoder=kind.decoder,
        out=str(tmp_path),
        pixels=10**6,
        longest_s=0.0,
        from_s=at,
        to_s=at,
        memory_mib=limits.decode_mib,
        cpu_s=limits.decode_seconds,
    )
    seen = video(asdict(request))  # in this process: it is quicker
    with Image.open(tmp_path / seen["files"][0]) as image:
        assert number_of(np.asarray(image)) == frame
    assert seen["times"][0] == pytest.approx(offset_s, abs=2e-3)
