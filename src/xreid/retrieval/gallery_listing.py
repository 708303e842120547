"""The first rows of a server's collection in an order that Milvus cannot sort by: by time, then by id."""

from __future__ import annotations

from collections.abc import Callable

from xreid.retrieval.gallery_expression import UNKNOWN_START, both, number

Key = tuple[float, str]  # start, id
Count = Callable[[str], int]
Keys = Callable[[str], list[Key]]

MOST = 4096  # most keys read at once
_TIMES = (-1e12, 1e12)  # seconds; no recording is older or newer
_LAST_ID = "f" * 20  # ids are hexadecimal


def first_rows(count: Count, keys: Keys, condition: str, *, after: Key | None, limit: int) -> list[Key]:
    """The keys of the first rows that pass, in order of (start, id).

    A range of time that holds enough rows, and not many more, is found by counting; only its keys are read.

    Args:
        count: How many rows pass a condition.
        keys: The keys of the rows that pass a condition, at most 16,384.
        condition: Which rows.
        after: The key before the first.
        limit: Most rows, up to 4,096.
    """
    if after is None:
        return _first(count, keys, condition, limit)
    same = both(condition, f"start_s == {number(after[0])}", f'id > "{after[1]}"')
    found = _first_of_ids(count, keys, same, limit)
    if len(found) < limit:
        later = both(condition, f"start_s > {number(after[0])}")
        found += _first(count, keys, later, limit - len(found))
    return found


def skipped(count: Count, condition: str, skip: int) -> tuple[Key | None, int]:
    """Where to begin so that few of the rows to be skipped are left to be read.

    Args:
        count: How many rows pass a condition.
        condition: Which rows.
        skip: How many of them come before those that are wanted.

    Returns:
        A key, not of a row perhaps, to begin after (None: at the first row), and how many rows to skip from
        there: at most MOST.
    """
    if skip <= MOST:
        return None, skip
    low, high, passed = *_TIMES, 0
    if (dated := count(both(condition, f"start_s < {number(UNKNOWN_START)}"))) <= skip:
        low, high, passed = high, UNKNOWN_START, dated  # all of them
    while skip - passed > MOST and high < UNKNOWN_START and low < (middle := (low + high) / 2) < high:
        held = count(both(condition, f"start_s <= {number(middle)}"))
        low, high, passed = (middle, high, held) if held <= skip else (low, middle, passed)
    if skip - passed <= MOST:
        return (low, _LAST_ID), skip - passed
    first, last, before = 0, 1 << 80, passed  # more rows than can be read start at one moment
    while skip - passed > MOST and last - first > 1:
        middle_id = (first + last) // 2
        same = both(condition, f"start_s == {number(high)}", f'id <= "{middle_id:020x}"')
        held = before + count(same)
        first, last, passed = (middle_id, last, held) if held <= skip else (first, middle_id, passed)
    return (high, f"{first:020x}"), skip - passed


def _first(count: Count, keys: Keys, condition: str, limit: int) -> list[Key]:
    if count(condition) <= MOST:
        return sorted(keys(condition))[:limit]
    dated = both(condition, f"start_s < {number(UNKNOWN_START)}")
    found = _first_dated(count, keys, dated, limit)
    if len(found) < limit:
        undated = both(condition, f"start_s == {number(UNKNOWN_START)}")
        found += _first_of_ids(count, keys, undated, limit - len(found))
    return found


def _first_dated(count: Count, keys: Keys, condition: str, limit: int) -> list[Key]:
    if count(condition) <= MOST:
        return sorted(keys(condition))[:limit]
    low, high = _TIMES  # fewer than `limit` rows start at `low` or before, more than MOST at `high` or before
    while low < (middle := (low + high) / 2) < high:
        until = both(condition, f"start_s <= {number(middle)}")
        held = count(until)
        if limit <= held <= MOST:
            return sorted(keys(until))[:limit]
        low, high = (middle, high) if held < limit else (low, middle)
    # More rows than can be read start at one moment.
    before = sorted(keys(both(condition, f"start_s <= {number(low)}")))
    at_once = both(condition, f"start_s == {number(high)}")
    return before + _first_of_ids(count, keys, at_once, limit - len(before))


def _first_of_ids(count: Count, keys: Keys, condition: str, limit: int) -> list[Key]:
    """The first rows in order of ids alone; ids are hexadecimal and evenly spread."""
    if count(condition) <= MOST:
        return sorted(keys(condition), key=_id)[:limit]
    low, high = 0, 1 << 80
    while high - low > 1:
        middle = (low + high) // 2
        narrowed = both(condition, f'id <= "{middle:020x}"')
        held = count(narrowed)
        if limit <= held <= MOST:
            return sorted(keys(narrowed), key=_id)[:limit]
        low, high = (middle, high) if held < limit else (low, middle)
    return []


def _id(key: Key) -> str:
    return key[1]
