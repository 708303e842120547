"""Tracklets that are too short, of all recordings, as one table."""

from pathlib import Path

import pytest

from xreid.core.embeddings import write_table
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality, Tracklet, TrackletTable
from xreid.data.short import read_short


def _short(folder: Path, *names: str) -> None:
    rows = tuple(
        Tracklet(name=name, frames=(f"frames/{name}/1.jpg",), modality=Modality.VISIBLE) for name in names
    )
    folder.mkdir(parents=True)
    write_table(TrackletTable(root=folder, rows=rows), folder / "tracklets.parquet")


def test_of_all_finished_recordings_with_paths_below_the_folder(tmp_path: Path) -> None:
    _short(tmp_path / "recordings" / "gate_10" / "short", "gate_10-0001")
    _short(tmp_path / "recordings" / "gate_9" / "short", "gate_9-0003", "gate_9-0004")
    _short(tmp_path / "recordings" / "gate_11" / "short", "gate_11-0001")
    for name in ("gate_9", "gate_10"):
        (tmp_path / "recordings" / name / "ingest.json").write_text("{}")
    table = read_short(tmp_path)
    assert [row.name for row in table] == ["gate_9-0003", "gate_9-0004", "gate_10-0001"]
    assert table[0].frames == ("recordings/gate_9/short/frames/gate_9-0003/1.jpg",)
    assert table.root == tmp_path


def test_of_one_recording(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too short"):
        read_short(tmp_path)
    _short(tmp_path / "short", "gate-0002")
    assert read_short(tmp_path)[0].frames == ("short/frames/gate-0002/1.jpg",)
