"""Filters as expressions of Milvus.

No text of a user is ever part of an expression: texts are compared by a hash of theirs, so that an expression
holds names of columns, numbers and hexadecimal digits, whatever was asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence

from xreid.core.errors import ConfigError
from xreid.core.tracklets import Modality
from xreid.retrieval.columns import UNIX_FROM_S, Filter
from xreid.retrieval.gallery_rows import ID_DIGITS, StoredSet

UNKNOWN_START = 1e18  # later than any time: sorts last, and passes no "start <= t"
UNKNOWN_END = -1e18
UNKNOWN_QUALITY = -1.0
TOKEN_DIGITS = 16
_HEX = re.compile(r"[0-9a-f]+")


def token(text: str | None) -> str:
    """What stands for a text in a column: 16 hexadecimal digits, "" for none."""
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()[:TOKEN_DIGITS]


def expression(rules: Filter, *, sets: Sequence[StoredSet], hidden: Collection[str] = ()) -> str:
    """The filter as an expression; "" where all pass.

    Args:
        rules: The filter, resolved (see `Filter.of_query`).
        sets: The sets of the gallery that it may name.
        hidden: Keys of sets that are not there yet, or not any more.
    """
    parts: list[str] = []
    if rules.modality is not None:
        parts.append(f"infrared == {'true' if rules.modality is Modality.INFRARED else 'false'}")
    named = {"camera": rules.cameras, "place": rules.places, "identity": rules.identities}
    for column, texts in {**named, "name": rules.names, "source": rules.sources}.items():
        parts += [f"{column} in {listed(map(token, texts))}"] if texts else []
    if rules.except_cameras:
        parts.append(f"camera not in {listed(map(token, rules.except_cameras))}")
    parts += _between(rules)
    parts += ['identity != ""'] if rules.known else []
    parts += [f"quality >= {number(rules.min_quality)}"] if rules.min_quality is not None else []
    parts += [f'array_contains(labels, "{token(label)}")' for label in rules.labels]
    if rules.sets:
        keys = [stored.key for stored in sets if any(stored.is_called(text) for text in rules.sets)]
        parts.append(f"set_key in {listed(keys)}")
    if hidden:
        parts.append(f"set_key not in {listed(hidden)}")
    return both(*parts)


def _between(rules: Filter) -> list[str]:
    """The time range; dates and seconds of a recording are not compared."""
    parts = []
    if rules.from_s is not None:
        parts.append(f"end_s >= {number(rules.from_s)}")
        parts += [] if rules.from_s >= UNIX_FROM_S else [f"end_s < {number(UNIX_FROM_S)}"]
    if rules.to_s is not None:
        parts.append(f"start_s <= {number(rules.to_s)}")
        parts += [f"start_s >= {number(UNIX_FROM_S)}"] if rules.to_s >= UNIX_FROM_S else []
    return parts


def both(*parts: str) -> str:
    """The conjunction of expressions, empty ones apart."""
    return " and ".join(f"({part})" for part in parts if part)


def ids_in(ids: Iterable[str]) -> str:
    """The rows of these ids; what is no id is left out."""
    valid = [i for i in ids if len(i) == ID_DIGITS and _HEX.fullmatch(i)]
    return f"id in {listed(valid)}"


def ids_not_in(ids: Iterable[str]) -> str:
    """All rows but those of these ids; "" for all."""
    valid = [i for i in ids if len(i) == ID_DIGITS and _HEX.fullmatch(i)]
    return f"id not in {listed(valid)}" if valid else ""


def listed(words: Iterable[str]) -> str:
    """A list of hexadecimal words.

    Raises:
        ConfigError: One is something else.
    """
    found = list(words)
    for word in found:
        if not _HEX.fullmatch(word):
            raise ConfigError("that is no value of a filter", expected="hexadecimal digits", got=repr(word))
    return "[" + ", ".join(f'"{word}"' for word in found) + "]"


def number(value: float) -> str:
    """A finite number, exactly."""
    return repr(float(value))
