"""Plain values to dataclasses: each reading is its own, whatever was read or refused before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from xreid.core.errors import ConfigError
from xreid.core.records import from_plain, to_plain


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int = 3
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    notes: dict[str, int] = field(default_factory=dict)
    word: str | None = None


def test_there_and_back() -> None:
    made = Outer(inner=Inner(size=5, names=("a", "b")), notes={"x": 1}, word="y")
    assert from_plain(Outer, to_plain(made), what="it") == made
    assert from_plain(Outer, {}, what="it") == Outer()


def test_nothing_of_one_reading_is_in_the_next() -> None:
    first = from_plain(Outer, {"inner": {"size": 9}, "notes": {"x": 1}}, what="it")
    first.notes["y"] = 2
    empty = from_plain(Outer, {}, what="it")
    empty.notes["z"] = 3
    assert from_plain(Outer, {}, what="it") == Outer()
    assert from_plain(Outer, {"inner": {"names": ["a"]}}, what="it").inner == Inner(names=("a",))


@pytest.mark.parametrize("wrong", [{"inner": {"size": "many"}}, {"else": 1}, {"inner": {"else": 1}}])
def test_what_does_not_fit_is_one_message_each_time(wrong: dict[str, object]) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match="it does not fit") as told:
            from_plain(Outer, wrong, what="it")
        assert "\n" not in str(told.value)
    assert from_plain(Outer, {}, what="it") == Outer()


def test_threads_read_side_by_side() -> None:
    with ThreadPoolExecutor(4) as pool:
        sizes = pool.map(lambda n: from_plain(Outer, {"inner": {"size": n}}, what="it").inner.size, range(40))
        assert list(sizes) == list(range(40))
