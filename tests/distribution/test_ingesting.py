"""Ingest on Ray gives what one process gives, also when a worker is killed in the middle of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.distribution.dying import die_once
from tests.retrieval.footage import walkers, write_video
from xreid.cli.main import main
from xreid.core.embeddings import read_table
from xreid.distribution.ingesting import RecordingIngester


class Mortal(RecordingIngester):
    """Dies once, at the end of the first recording that it has ingested, before anybody hears of it."""

    def do(self, item: int) -> dict[str, Any]:
        given = super().do(item)
        die_once(self.chains[item][0].out.parents[2] / "killed")
        return given


@pytest.mark.usefixtures("local_cluster")
def test_the_same_tracklets_with_a_killed_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "footage").mkdir()
    for name in ("gate", "yard", "door"):
        write_video(tmp_path / "footage" / f"{name}_20261120T213000Z.mp4", walkers(100))
    (tmp_path / "footage" / "broken_20261120T213000Z.mp4").write_bytes(b"no video")
    assert main(["ingest", "footage", "one"]) == 2  # for the broken one; the rest is there
    monkeypatch.setattr("xreid.distribution.ingesting.RecordingIngester", Mortal)
    assert main(["ingest", "footage", "many", "--ray", "2", "--ray_cpus", "0.5"]) == 2
    assert "1 of 4 recordings cannot be ingested" in capsys.readouterr().err
    assert (tmp_path / "killed").exists()
    one, many = (
        read_table(tmp_path / name / "tracklets.parquet", root=tmp_path / name, source="").rows
        for name in ("one", "many")
    )
    assert len(one) == 3
    assert one == many
    assert all((tmp_path / "many" / frame).is_file() for row in many for frame in row.frames)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ray_address", "auto"], "--ray_address needs workers"),
        (["--ray", "2", "--jobs", "2"], "--ray and --jobs exclude each other"),
        (["--ray", "-1"], "ray is out of range"),
    ],
)
def test_bad_options_are_one_message(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", "nothing.mp4", "out", *words]) == 2
    assert message in capsys.readouterr().err
