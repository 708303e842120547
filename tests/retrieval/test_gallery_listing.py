"""Rows in order of time out of a store that can only count and read, against a sort."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xreid.retrieval import gallery_listing as listing
from xreid.retrieval.gallery_expression import UNKNOWN_START
from xreid.retrieval.gallery_listing import Key, first_rows, skipped


class Rows:
    """Understands the conditions that are asked, and refuses to hand out more than it is allowed to."""

    def __init__(self, keys: list[Key], most: int) -> None:
        self.rows, self.most = keys, most

    def passing(self, condition: str) -> list[Key]:
        text = re.sub(r"start_s (<=|<|>=|>|==) ([-+0-9.e]+)", r"(start \1 \2)", condition)
        text = re.sub(r"id (<=|>) (\"[0-9a-f]+\")", r"(i \1 \2)", text)
        return [(start, i) for start, i in self.rows if eval(text or "True", {"start": start, "i": i})]

    def count(self, condition: str) -> int:
        return len(self.passing(condition))

    def keys(self, condition: str) -> list[Key]:
        found = self.passing(condition)
        assert len(found) <= self.most, "a server would cut this off"
        random.Random(0).shuffle(found)
        return found


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    starts=st.lists(
        st.sampled_from([0.0, 5.5, 1.7e9, 1.7e9 + 0.25, 1.8e9, -3.0, UNKNOWN_START]), max_size=60
    ),
    limit=st.integers(1, 8),
)
def test_pages_equal_a_sort(seed: int, starts: list[float], limit: int) -> None:
    rng = random.Random(seed)
    rows = [(start, f"{rng.getrandbits(80):020x}") for start in starts]
    store = Rows(rows, most=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "MOST", 8)
        read: list[Key] = []
        while page := first_rows(store.count, store.keys, "", after=read[-1] if read else None, limit=limit):
            assert len(page) <= limit
            read += page
    assert read == sorted(rows)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    starts=st.lists(
        st.sampled_from([0.0, 5.5, 1.7e9, 1.7e9 + 0.25, 1.8e9, -3.0, UNKNOWN_START]), max_size=60
    ),
    skip=st.integers(0, 70),
)
def test_a_list_is_entered_anywhere(seed: int, starts: list[float], skip: int) -> None:
    rng = random.Random(seed)
    rows = [(start, f"{rng.getrandbits(80):020x}") for start in starts]
    store = Rows(rows, most=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "MOST", 8)
        after, left = skipped(store.count, "", skip)
        assert left <= 8 or skip > len(rows)
    assert [row for row in sorted(rows) if after is None or row > after][left:] == sorted(rows)[skip:]
