"""What each camera has seen, against a loop over all tracklets."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.sets import make_set
from xreid.core.tracklets import Modality, Tracklet
from xreid.retrieval.gallery_seen import Seen, added, plain_seen, seen_by, seen_from

TIMES = st.sampled_from([None, 0.0, 12.5, 1.8e9, 1.8e9 + 3599, 1.8e9 + 3600, 1.8e9 + 9000.5])
ROWS = st.lists(
    st.builds(
        Tracklet,
        name=st.just("t"),
        frames=st.just(("1.jpg",)),
        modality=st.sampled_from(Modality),
        camera=st.sampled_from([None, "A", "B", "Tür"]),
        place=st.sampled_from([None, "door", "gate"]),
        start_s=TIMES,
        end_s=TIMES,
    ),
    max_size=12,
)


def by_loop(rows: list[Tracklet]) -> list[Seen]:
    """The definition, row by row."""
    found = []
    for camera in sorted({r.camera for r in rows}, key=lambda name: (name is None, name or "")):
        mine = [r for r in rows if r.camera == camera]
        places: dict[str, int] = {}
        hours: dict[int, int] = {}
        for r in mine:
            if r.place is not None:
                places[r.place] = places.get(r.place, 0) + 1
            if r.start_s is not None and r.start_s >= 1e9:
                hour = int(r.start_s // 3600) * 3600
                hours[hour] = hours.get(hour, 0) + 1
        timed = [(r.start_s, r) for r in mine if r.start_s is not None]
        dated = [(start, r) for start, r in timed if start >= 1e9]
        starts = [start for start, _ in dated or timed]
        ends = [start if r.end_s is None else r.end_s for start, r in dated or timed]
        found.append(
            Seen(
                camera=camera,
                places=places,
                visible=sum(r.modality is Modality.VISIBLE for r in mine),
                infrared=sum(r.modality is Modality.INFRARED for r in mine),
                first_s=min(starts, default=None),
                last_s=max(ends, default=None),
                hours=hours,
            )
        )
    return found


@settings(max_examples=150, deadline=None)
@given(ROWS, ROWS)
def test_counting_by_columns_and_adding_up_equal_a_loop(
    first: list[Tracklet], second: list[Tracklet]
) -> None:
    assert seen_by(first) == by_loop(first)
    assert added([*seen_by(first), *seen_by(second)]) == by_loop([*first, *second])


def test_the_place_is_what_most_tracklets_say() -> None:
    row = replace(make_set(1).table[0], camera="A")
    rows = [replace(row, place=place) for place in ("gate", "door", "door", None, "gate", "arch")]
    (seen,) = seen_by(rows)
    assert seen.place == "door", "of two as often said, the first by name"
    assert seen_by([replace(row, place=None)])[0].place is None
    assert seen_from(plain_seen([seen])) == [seen]
