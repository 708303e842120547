"""HITSZ-VCM: trees, rules of the lists, traps, and malformed lines."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.data.tiny_archives import write_hitsz
from xreid.core.errors import DataError
from xreid.core.tracklets import Modality
from xreid.data import open_archive
from xreid.data.hitsz_vcm import (
    LICENCE,
    FrameName,
    TrackRow,
    parse_frame_name,
    parse_names,
    parse_query,
    parse_rows,
)
from xreid.data.names import SIMULATION_LICENCE

numbers = st.integers(0, 10**6)
in_tmp = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
# Anything str.splitlines would break at is left out: a list line never holds it.
text_lines = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=30)


@pytest.mark.parametrize("tree", ["A", "B", "C"])
def test_all_trees_give_one_table(tmp_path: Path, tree: str) -> None:
    table = open_archive(write_hitsz(tmp_path, tree=tree))
    assert table.source == "hitsz-vcm"
    assert table.licence == LICENCE
    assert table.cameras() == ["D1", "D12"]  # one numbering, two digits decode
    assert table.identities() == ["0001", "0002", "0003", "0501", "0503"]
    assert all(table.frame_path(frame).is_file() for row in table for frame in row.frames)
    first = table[0]
    assert (first.name, first.identity, first.camera, first.modality, first.subset) == (
        "train-00001",
        "0001",
        "D1",
        Modality.INFRARED,
        "train",
    )
    top = "Train/" if tree == "A" else ""
    assert first.frames[:3] == tuple(f"{top}0001/ir/D1/{n}.jpg" for n in (1, 6, 11))


def test_twelve_frame_filter_applies_to_training_query_and_gallery(hitsz: Path) -> None:
    table, everything = open_archive(hitsz), open_archive(hitsz, min_frames=1)
    for subset in ("train", "query", "gallery"):
        assert 2 * len(table.subset(subset)) == len(everything.subset(subset))
    assert min(len(row.frames) for row in table) == 14
    names = {row.name for row in everything}
    assert {row.name for row in table} < names  # a name is its line number, whatever the filter


def test_query_rows_are_those_of_query_idx(hitsz: Path) -> None:
    table = open_archive(hitsz)
    assert {row.modality for row in table.subset("query")} == {Modality.INFRARED}
    assert {row.modality for row in table.subset("gallery")} == {Modality.VISIBLE}
    assert table.subset("query")[0].identity == "0503"  # rows are not sorted by identity


def test_simulated_archive_has_no_restriction(tmp_path: Path) -> None:
    write_hitsz(tmp_path, images=True)
    (tmp_path / "simulation.json").write_text("{}")
    assert open_archive(tmp_path).licence == SIMULATION_LICENCE


def test_rows_that_mix_people_load_with_a_warning_and_strict_drops_the_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_hitsz(tmp_path)
    rows = tmp_path / "info" / "track_train_info.txt"
    lines = rows.read_text().splitlines()
    lines[0] = "1 1 23 1 1"  # runs over the short infrared tracklet (5) into visible frames (4)
    rows.write_text("\n".join(lines))
    with caplog.at_level(logging.WARNING):
        loose = open_archive(tmp_path)
    assert len(loose[0].frames) == 23
    assert loose[0].frames[-1].startswith("Train/0001/rgb/")
    assert "1 rows hold frames of another person" in caplog.text
    strict = open_archive(tmp_path, strict=True)
    assert len(strict[0].frames) == 19
    assert all("/ir/" in frame for frame in strict[0].frames)


def test_query_list_over_several_lines_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "query_IDX.txt"
    path.write_text("1 2 3\r\n4  5 \n6\n")
    assert parse_query(path) == [1, 2, 3, 4, 5, 6]  # the published readers keep the last line only


@given(pid=numbers, m=numbers, camera=numbers, tracklet=numbers, frame=numbers)
@example(pid=1, m=2, camera=12, tracklet=10, frame=116)
def test_frame_names_round_trip(pid: int, m: int, camera: int, tracklet: int, frame: int) -> None:
    name = parse_frame_name(f"{pid:04d}M{m}D{camera}T{tracklet}F{frame}.jpg")
    assert name == FrameName(f"{pid:04d}", m, camera, tracklet, str(frame), "jpg")
    assert name.path == f"{pid:04d}/{'ir' if m == 1 else 'rgb'}/D{camera}/{frame}.jpg"


@given(line=st.text())
def test_frame_name_parser_never_raises(line: str) -> None:
    name = parse_frame_name(line)
    if name is not None:
        again = f"{name.identity}M{name.modality}D{name.camera}T{name.tracklet}F{name.frame}.{name.suffix}"
        assert parse_frame_name(again) == name


@in_tmp
@given(rows=st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=20))
def test_rows_round_trip(tmp_path: Path, rows: list[tuple[int, int, int, int, int]]) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("".join(f"{m} {s} {e}  {pid:04d} {c} \r\n" for m, s, e, pid, c in rows))
    assert parse_rows(path) == [TrackRow(*row) for row in rows]


@in_tmp
@given(line=text_lines.filter(str.strip), before=st.integers(0, 5))
def test_a_malformed_row_is_named_by_file_and_line(tmp_path: Path, line: str, before: int) -> None:
    fields = line.split()
    if len(fields) == 5 and all(f.isascii() and f.isdecimal() for f in fields):
        return
    path = tmp_path / "rows.txt"
    path.write_text("1 1 24 1 3\n" * before + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"rows\.txt, line {before + 1} is malformed"):
        parse_rows(path)


@in_tmp
@given(line=text_lines.filter(str.strip), before=st.integers(0, 5))
def test_a_malformed_name_is_named_by_file_and_line(tmp_path: Path, line: str, before: int) -> None:
    if parse_frame_name(line.rstrip()) is not None:
        return
    path = tmp_path / "names.txt"
    path.write_text("0001M2D3T1F1.jpg\n" * before + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"names\.txt, line {before + 1} is malformed"):
        parse_names(path)


def _edit(root: Path, name: str, number: int, line: str) -> None:
    path = root / "info" / name
    lines = path.read_text().splitlines()
    lines[number - 1] = line
    path.write_text("\n".join(lines) + "\n")


DAMAGES = {
    "row ends after the list": (
        ("track_train_info.txt", 3, "1 1 999 1 1"),
        r"track_train_info\.txt, line 3: 1\.\.999 leaves the \d+ lines of train_name\.txt",
    ),
    "row starts at 0 (MEVID counts from 0)": (
        ("track_test_info.txt", 1, "1 0 5 503 1"),
        "line 1: 0..5 leaves",
    ),
    "zero-frame row": (("track_train_info.txt", 2, "1 20 19 1 1"), "line 2: start 20 > end 19"),
    "scientific notation": (("track_train_info.txt", 1, "1.0e+00 1 2 1 1"), "line 1 is malformed"),
    "six fields": (("track_test_info.txt", 4, "0 1 2 3 4 5"), "track_test_info.txt, line 4 is malformed"),
    "empty line inside": (("train_name.txt", 7, ""), "train_name.txt, line 7 is malformed"),
    "query beyond the rows": (("query_IDX.txt", 1, "1 2 17"), "query 17 is out of range; expected 1..16"),
    "query 0": (("query_IDX.txt", 1, "0 1"), "query 0 is out of range"),
    "query of 5,000 digits": (("query_IDX.txt", 1, "9" * 5000), "query_IDX.txt, line 1 is malformed"),
    "row of 5,000 digits": (("track_test_info.txt", 2, f"1 {'9' * 5000} 2 3 4"), "line 2 is malformed"),
    "name of 5,000 digits": (("train_name.txt", 7, f"{'9' * 5000}M1D1T1F1.jpg"), "line 7 is malformed"),
    "query not a number": (("query_IDX.txt", 1, "1 x"), "query_IDX.txt, line 1 is malformed"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_lists(tmp_path: Path, damage: str) -> None:
    (name, number, line), message = DAMAGES[damage]
    _edit(write_hitsz(tmp_path, images=False), name, number, line)
    (tmp_path / "Train").mkdir()
    (tmp_path / "Test").mkdir()
    with pytest.raises(DataError, match=message):
        open_archive(tmp_path)


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    root = write_hitsz(tmp_path / "a", images=False)
    with pytest.raises(DataError, match="but no images"):
        open_archive(root)
    (root / "Train").mkdir()
    with pytest.raises(DataError, match="Test is missing"):
        open_archive(root)
    (root / "Test").mkdir()
    (root / "info" / "query_IDX.txt").unlink()
    with pytest.raises(DataError, match=r"query_IDX\.txt is missing"):
        open_archive(root, layout="hitsz-vcm")
    with pytest.raises(DataError, match="some of HITSZ-VCM's lists are missing"):
        open_archive(root)
    with pytest.raises(DataError, match="no tracklet of 100 frames or more"):
        open_archive(write_hitsz(tmp_path / "b"), min_frames=100)
