from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xreid.core.errors import DataError
from xreid.evaluation.tracking import Owner, overlap, owners, track_scores


def truth_file(path: Path, rows: list[tuple[int, int, int]], flag: int = 1) -> Path:
    """Rows of (frame, track, left): boxes 20 wide and 50 high, as ground truth."""
    path.write_text("".join(f"{f},{t},{x},10,20,50,{flag},1,1.0\n" for f, t, x in rows))
    return path


def found_file(path: Path, rows: list[tuple[int, int, int]]) -> Path:
    path.write_text("".join(f"{f},{t},{x},10,20,50,0.9,-1,-1,-1\n" for f, t, x in rows))
    return path


def test_perfect_tracks(tmp_path: Path) -> None:
    rows = [(f, t, 100 * t + f) for f in range(1, 11) for t in (1, 2)]
    scores = track_scores({"a": truth_file(tmp_path / "t", rows)}, {"a": found_file(tmp_path / "f", rows)})
    assert (scores.hota, scores.idf1, scores.recall, scores.precision, scores.switches) == (1, 1, 1, 1, 0)


def test_a_track_in_two_halves_by_hand(tmp_path: Path) -> None:
    """All boxes found, but half of them under a second number: IDTP 5, IDFN 5, IDFP 5 of 10 boxes."""
    true = [(f, 1, 100 + f) for f in range(1, 11)]
    halves = [(f, 1 if f <= 5 else 2, 100 + f) for f in range(1, 11)]
    scores = track_scores({"a": truth_file(tmp_path / "t", true)}, {"a": found_file(tmp_path / "f", halves)})
    assert scores.recall == scores.precision == scores.detection == 1
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.switches == 1
    assert scores.association == pytest.approx(0.5)  # each box: 5 shared of 10 in either of the two tracks
    assert scores.hota == pytest.approx(0.5**0.5)


def test_videos_with_nobody_in_them_or_nobody_found(tmp_path: Path) -> None:
    rows = [(f, 1, 100 + f) for f in range(1, 11)]
    truth = {
        "a": truth_file(tmp_path / "a", rows),
        "b": truth_file(tmp_path / "b", rows),
        "empty": truth_file(tmp_path / "e", []),
        "ghost": truth_file(tmp_path / "g", []),
    }
    found = {"a": found_file(tmp_path / "fa", rows), "ghost": found_file(tmp_path / "fg", rows)}
    scores = track_scores(truth, found)
    assert scores.recall == pytest.approx(0.5)  # 10 of 20
    assert scores.precision == pytest.approx(0.5)  # 10 of 20
    assert scores.videos == 4


def test_rows_of_flag_0_are_nobody(tmp_path: Path) -> None:
    rows = [(f, 1, 100 + f) for f in range(1, 11)]
    extra = truth_file(tmp_path / "t", [(f, 2, 400) for f in range(1, 11)], flag=0)
    both = tmp_path / "both"
    both.write_text(truth_file(tmp_path / "u", rows).read_text() + extra.read_text())
    scores = track_scores({"a": both}, {"a": found_file(tmp_path / "f", rows)})
    assert scores.recall == scores.precision == 1


def test_bad_files_are_named(tmp_path: Path) -> None:
    true = {"a": truth_file(tmp_path / "t", [(1, 1, 5)])}
    with pytest.raises(DataError, match="missing"):
        track_scores(true, {"a": tmp_path / "missing"})
    with pytest.raises(DataError, match="without truth; got b"):
        track_scores(true, {"b": tmp_path / "t"})
    (tmp_path / "bad").write_text("1,2,three,4,5,6,7\n")
    with pytest.raises(DataError, match="cannot be scored"):
        track_scores(true, {"a": tmp_path / "bad"})


def test_owners_by_hand() -> None:
    box, far = (100.0, 10.0, 20.0, 50.0), (300.0, 10.0, 20.0, 50.0)
    truth = {f: {7: box, 8: far} for f in range(10)}
    found = {f: {1: box if f < 6 else far, 2: far, 3: (500.0, 10.0, 20.0, 50.0)} for f in range(10)}
    assert owners(truth, found) == {1: Owner(track=7, share=0.6), 2: Owner(track=8, share=1.0)}


def test_a_box_over_two_people_votes_for_the_one_it_covers_best() -> None:
    truth = {1: {5: (0.0, 0.0, 20.0, 50.0), 6: (18.0, 0.0, 20.0, 40.0)}}
    assert owners(truth, {1: {1: (0.0, 0.0, 38.0, 50.0)}}) == {1: Owner(track=5, share=1.0)}
    assert owners(truth, {1: {1: (0.0, 0.0, 90.0, 50.0)}}) == {}


SIDES = st.integers(0, 12)


@given(
    st.tuples(SIDES, SIDES, st.integers(1, 9), st.integers(1, 9)),
    st.tuples(SIDES, SIDES, st.integers(1, 9), st.integers(1, 9)),
)
def test_overlap_is_what_counted_pixels_say(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    def cells(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        x, y, w, h = box
        return {(i, j) for i in range(x, x + w) for j in range(y, y + h)}

    assert overlap(a, b) == pytest.approx(len(cells(a) & cells(b)) / len(cells(a) | cells(b)))
