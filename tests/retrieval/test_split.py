"""Tracklets cut into pieces: what goes where, against a naive loop."""

from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval.crops import SHORT, Crop, frame_file, put_apart
from xreid.retrieval.split import cut_up, cuts_at, merged, move_crops


def _crops(frames: list[int]) -> list[Crop]:
    return [
        Crop(frame=f, x=0, y=0, width=1, height=1, score=1, time_s=f / 10, chroma=0)
        for f in sorted(set(frames))
    ]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=20), min_size=1, max_size=4),
    st.lists(st.integers(1, 61), unique=True, max_size=4),
)
def test_no_piece_lies_on_both_sides_of_a_cut(tracks: list[list[int]], at: list[int]) -> None:
    crops = {f"t-{i}": _crops(frames) for i, frames in enumerate(tracks)}
    numbers = count(100)
    pieces = cut_up(crops, cuts_at(crops, at), new_name=lambda: f"t-{next(numbers)}")
    for frames in pieces.crops.values():
        assert frames
        assert len({sum(cut <= crop.frame for cut in at) for crop in frames}) == 1
    for name in crops:
        parts = [name, *(new for new, old in pieces.origin.items() if old == name)]
        together = [crop.frame for part in parts for crop in pieces.crops[part]]
        assert together == [crop.frame for crop in crops[name]], "nothing lost, nothing twice, in order"


def test_merged() -> None:
    assert merged({"a": [5, 9]}, {"a": [7, 9], "b": [1]}, {}) == {"a": [5, 7, 9], "b": [1]}


def test_crops_move_with_their_piece_once(tmp_path: Path) -> None:
    crops = {"a": _crops([1, 2, 3, 4])}
    (tmp_path / "frames" / "a").mkdir(parents=True)
    for crop in crops["a"]:
        (tmp_path / frame_file("a", crop.frame)).write_text(str(crop.frame))
    pieces = cut_up(crops, {"a": [3]}, new_name=lambda: "b")
    for _ in range(2):
        move_crops(tmp_path, pieces)
        assert sorted(p.name for p in (tmp_path / "frames" / "a").iterdir()) == ["000001.jpg", "000002.jpg"]
        assert (tmp_path / "frames" / "b" / "000004.jpg").read_text() == "4"


def test_a_piece_that_was_put_apart_stays_there_when_it_is_killed_then(tmp_path: Path) -> None:
    crops = {"a": _crops([1, 2, 3, 4])}
    (tmp_path / "frames" / "a").mkdir(parents=True)
    for crop in crops["a"]:
        (tmp_path / frame_file("a", crop.frame)).write_text(str(crop.frame))
    pieces = cut_up(crops, {"a": [4]}, new_name=lambda: "b")
    for _ in range(2):
        move_crops(tmp_path, pieces)
        put_apart(tmp_path, "b")
        assert [path.name for path in (tmp_path / SHORT / "frames" / "b").iterdir()] == ["000004.jpg"]
        assert [path.name for path in (tmp_path / "frames").iterdir()] == ["a"]
