"""Own tables: CSV, Parquet of frames, Parquet of tracklets."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.tiny_archives import write_frames_csv
from xreid.core.embeddings import write_table
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality
from xreid.data import open_archive

HEAD = "tracklet,frame,identity,camera,modality,time,subset\n"


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "frames.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv(own_table: Path) -> None:
    table = open_archive(own_table)
    assert table.source == "table"
    assert len(table) == 6
    first = table[0]
    assert (first.name, first.identity, first.camera, first.modality) == (
        "anna-rgb",
        "anna",
        "gate",
        Modality.VISIBLE,
    )
    assert first.frames == tuple(f"crops/anna-rgb-{i}.jpg" for i in range(3))  # by time, not file order
    assert (first.start_s, first.end_s) == (10.0, 12.0)
    assert table[4].identity is None
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)
    assert open_archive(own_table / "frames.csv").rows == table.rows


def test_parquet_of_frames_equals_csv(own_table: Path, tmp_path: Path) -> None:
    lines = [line.split(",") for line in (own_table / "frames.csv").read_text().splitlines()]
    columns = {name: [line[i] or None for line in lines[1:]] for i, name in enumerate(lines[0])}
    columns["time"] = [float(value) for value in columns["time"]]  # type: ignore[misc, arg-type]
    pq.write_table(pa.table(columns), tmp_path / "frames.parquet")
    assert open_archive(tmp_path).rows == open_archive(own_table).rows


def test_identities_of_a_column_with_gaps_are_whole_numbers(tmp_path: Path) -> None:
    columns = {
        "tracklet": ["a", "b"],
        "frame": ["a.jpg", "b.jpg"],
        "modality": ["visible", "infrared"],
        "identity": [3.0, None],  # as pandas writes 3 beside a missing value
        "camera": [2.0, 2.5],
    }
    pq.write_table(pa.table(columns), tmp_path / "frames.parquet")
    assert [(row.identity, row.camera) for row in open_archive(tmp_path)] == [("3", "2"), (None, "2.5")]


def test_parquet_of_tracklets_as_ingest_writes_it(own_table: Path, tmp_path: Path) -> None:
    table = open_archive(own_table)
    write_table(table, tmp_path / "tracklets.parquet")
    again = open_archive(tmp_path)
    assert again.rows == table.rows
    assert again.root == tmp_path


def test_identity_camera_time_and_subset_are_optional(tmp_path: Path) -> None:
    table = open_archive(_csv(tmp_path, "frame,modality,tracklet\nb.jpg,thermal,x\na.jpg,thermal,x\n"))
    row = table[0]
    assert row.frames == ("b.jpg", "a.jpg")  # file order without times
    assert (row.identity, row.camera, row.start_s, row.subset) == (None, None, None, "")
    assert row.modality is Modality.INFRARED


def test_iso_times_become_unix_seconds(tmp_path: Path) -> None:
    text = HEAD + "x,a.jpg,1,g,ir,2026-11-20T10:00:00+01:00,query\nx,b.jpg,1,g,ir,2026-11-20T09:00:01,query\n"
    row = open_archive(_csv(tmp_path, text))[0]
    assert row.end_s is not None
    assert row.start_s == 1795165200.0  # 2026-11-20 09:00 UTC
    assert row.end_s - row.start_s == 1.0
    assert row.subset == "query"


def test_strict_drops_frames_that_mix_people(tmp_path: Path) -> None:
    path = _csv(tmp_path, HEAD + "x,a.jpg,1,g,ir,0,\nx,b.jpg,2,g,ir,1,\nx,c.jpg,1,g,ir,2,\n")
    with pytest.raises(DataError, match=r"line 3: tracklet x mixes people"):
        open_archive(path)
    assert open_archive(path, strict=True)[0].frames == ("a.jpg", "c.jpg")


BAD = {
    "no header": ("", "lacks the column tracklet and frame and modality"),
    "column missing": ("tracklet,frame\nx,a.jpg\n", "lacks the column modality"),
    "header only": (HEAD, "no tracklet of 1 frames or more"),
    "short line": (HEAD + "x,a.jpg,1,g,ir,0,\ny,b.jpg\n", "line 3 is malformed; expected 7 fields"),
    "long line": (HEAD + "x,a.jpg,1,g,ir,0,,,\n", "line 2 is malformed"),
    "unknown modality": (HEAD + "x,a.jpg,1,g,sonar,0,\n", "line 2: unknown modality"),
    "unknown subset": (HEAD + "x,a.jpg,1,g,ir,0,probe\n", "line 2: unknown subset"),
    "zero byte": (HEAD + "x,a\0.jpg,1,g,ir,0,\n", "line 2: the frame's path holds a zero byte"),
    "empty frame": (HEAD + "x,,1,g,ir,0,\n", "line 2: frame is empty"),
    "time is no time": (HEAD + "x,a.jpg,1,g,ir,noon,\n", "line 2: time is wrong"),
    "time is infinite": (HEAD + "x,a.jpg,1,g,ir,inf,\n", "line 2: time is wrong"),
    "some times missing": (HEAD + "x,a.jpg,1,g,ir,0,\nx,b.jpg,1,g,ir,,\n", "line 3: no time, but"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(DataError, match=message):
        open_archive(_csv(tmp_path, text))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="expected Parquet"):
        open_archive(tmp_path / "a.parquet")
    pq.write_table(pa.table(FRAMES), tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:40] = b"\xff" * 36  # the first page, behind a sound schema
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(DataError, match="expected Parquet"):
        open_archive(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_bytes(b"tracklet,frame,modality\n\xff\xfe,a,ir\n")
    with pytest.raises(DataError, match="expected CSV in UTF-8"):
        open_archive(tmp_path / "b.csv")
    (tmp_path / "c.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match="is no table"):
        open_archive(tmp_path / "c.xlsx")
    with pytest.raises(DataError, match="holds no tracklet table"):
        open_archive(tmp_path, layout="table")


FRAMES = {"tracklet": ["a", "a"], "frame": ["x.jpg", "y.jpg"], "modality": ["ir", "ir"]}
NO_TRACKLETS = {
    "frames are a number": ({**FRAMES, "frames": [5, 5]}, "no list of paths: 5"),
    "frames are missing": ({"name": ["a"], "frames": [None], "modality": ["vis"]}, "no list of paths: None"),
    "unknown modality": ({"name": ["a"], "frames": [["x"]], "modality": ["sonar"]}, "'sonar'"),
    "no modality": ({"name": ["a"], "frames": [["x"]]}, "'modality'"),
    "another column": ({"name": ["a"], "frames": [["x"]], "modality": ["ir"], "speed": [1]}, "speed"),
}


@pytest.mark.parametrize("case", NO_TRACKLETS)
def test_parquet_that_holds_no_tracklets(tmp_path: Path, case: str) -> None:
    columns, message = NO_TRACKLETS[case]
    pq.write_table(pa.table(columns), tmp_path / "tracklets.parquet")
    with pytest.raises(DataError, match=rf"row 1 is no tracklet.*{message}.*one row per frame"):
        open_archive(tmp_path)


def test_times_in_nanoseconds(tmp_path: Path) -> None:
    times = pa.array([1_500_000_000, 500_000_001], pa.timestamp("ns", tz="UTC"))
    pq.write_table(pa.table({**FRAMES, "time": times}), tmp_path / "frames.parquet")
    row = open_archive(tmp_path)[0]
    assert (row.frames, row.start_s, row.end_s) == (("y.jpg", "x.jpg"), 0.5, 1.5)  # microseconds


def test_min_frames(tmp_path: Path) -> None:
    root = write_frames_csv(tmp_path, images=False)
    with pytest.raises(DataError, match="no tracklet of 4 frames"):
        open_archive(root, min_frames=4)
