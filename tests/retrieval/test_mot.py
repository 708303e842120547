"""MOT text: every malformed line is named, every good one survives a round trip."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xreid.core.errors import DataError
from xreid.retrieval.mot import TrackedBox, parse_line, read_tracks, write_tracks


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "3,7,11,21,30,60,0.5,-1,-1,-1",
            TrackedBox(frame=3, track=7, x=10, y=20, width=30, height=60, score=0.5),
        ),
        ("3,7,11,21,30,60", TrackedBox(frame=3, track=7, x=10, y=20, width=30, height=60)),
        ("3.0 7.0 11 21 30 60 -1", TrackedBox(frame=3, track=7, x=10, y=20, width=30, height=60)),
        ("1,1,-5.5,0,2,3,87.3,-1,-1,-1", TrackedBox(frame=1, track=1, x=-6.5, y=-1, width=2, height=3)),
    ],
)
def test_good_lines(line: str, expected: TrackedBox) -> None:
    assert parse_line(line, place="here") == (expected, True)


@pytest.mark.parametrize(
    ("line", "counts"),
    [("1,1,1,1,9,9,1,1,0.8", True), ("1,1,1,1,9,9,0,1,0.8", False), ("1,1,1,1,9,9,1,7,0.8", False)],
)
def test_ground_truth_flags_and_classes(line: str, counts: bool) -> None:
    assert parse_line(line, place="here")[1] is counts


@pytest.mark.parametrize(
    "line",
    [
        "1,2,3,4,5",
        "0,1,1,1,9,9",
        "1.5,1,1,1,9,9",
        "1,1.5,1,1,9,9",
        "1,1,1,1,0,9",
        "1,1,1,1,9,-2",
        "1,1,nan,1,9,9",
        "1,1,1,inf,9,9",
        "a,b,c,d,e,f",
        "frame,id,x,y,w,h",
        "1;1;1;1;9;9",
        "1e400,1,1,1,9,9",
    ],
)
def test_bad_lines_are_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text(f"1,1,1,1,9,9\n\n{line}\n")
    with pytest.raises(DataError, match=r"tracks\.txt, line 3 is malformed"):
        read_tracks(path)


def test_a_track_has_one_box_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text("1,1,1,1,9,9\n2,1,1,1,9,9\n1,1,3,3,9,9\n")
    with pytest.raises(DataError, match=r"line 3: track 1 has a second box in frame 1.*line 1"):
        read_tracks(path)


def test_rows_without_track_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text("\ufeff1,1,1,1,9,9\n1,-1,1,1,9,9\n1,-1,4,4,9,9\n5,1,1,1,9,9\n", encoding="utf-8")
    tracks = read_tracks(path)
    assert tracks.unconfirmed == 2
    assert tracks.last_frame == 5
    assert tracks.lengths() == {1: 2}
    assert tracks.lengths(every=3) == {1: 1}
    path.write_text("1,-1,1,1,9,9\n")
    with pytest.raises(DataError, match="no tracks.*1 rows without a track id"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no tracks"), (b"\xff\xfe1,1", "not text"), (None, "cannot read")]
)
def test_files_that_hold_no_tracks(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_tracks(path)


@given(st.text(max_size=60))
def test_no_line_raises_anything_else(line: str) -> None:
    try:
        box, _ = parse_line(line, place="here")
    except DataError:
        return
    assert box.frame >= 1
    assert min(box.width, box.height) > 0


_pixel = st.floats(-50, 5000).map(lambda value: round(value, 2))
_box = st.builds(
    TrackedBox,
    frame=st.integers(1, 10**6),
    track=st.integers(0, 10**6),
    x=_pixel,
    y=_pixel,
    width=st.floats(0.5, 5000).map(lambda value: round(value, 2)),
    height=st.floats(0.5, 5000).map(lambda value: round(value, 2)),
    score=st.floats(0.01, 1).map(lambda value: round(value, 4)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(boxes=st.lists(_box, min_size=1, max_size=20, unique_by=lambda box: (box.frame, box.track)))
def test_what_is_written_is_read(boxes: list[TrackedBox], tmp_path: Path) -> None:
    write_tracks(tmp_path / "tracks.txt", boxes)
    read = [box for rows in read_tracks(tmp_path / "tracks.txt").by_frame.values() for box in rows]
    expected = sorted(boxes, key=lambda box: (box.frame, box.track))
    for got, want in zip(sorted(read, key=lambda box: (box.frame, box.track)), expected, strict=True):
        assert (got.frame, got.track) == (want.frame, want.track)
        got_numbers = (got.x, got.y, got.width, got.height, got.score)
        want_numbers = (want.x, want.y, want.width, want.height, want.score)
        assert got_numbers == pytest.approx(want_numbers, abs=0.006)
