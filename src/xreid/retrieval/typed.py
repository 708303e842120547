"""Records from the JSON files of a gallery and its answers, with the types that their dataclasses state."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Read = Callable[[Any, str], Any]


def record(cls: type[T], plain: Any, *, where: str = "") -> T:
    """A dataclass from plain JSON values; what is not named keeps its default.

    Args:
        cls: Of texts, numbers, literals, enumerations, tuples, dictionaries, and dataclasses of these.
        plain: The values.
        where: Name of the field that holds them, for messages.

    Raises:
        ValueError: A field is missing, unknown, or of another type.
    """
    found: T = _reader(cast(Any, cls))(plain, where)
    return found


@cache
def _reader(hint: Any) -> _Read:
    """What reads one type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda value, where: value
    if is_dataclass(hint):
        return _of_dataclass(hint)
    if origin in (Union, types.UnionType):
        return _of_union(inner)
    if origin is Literal:
        return _of_choice({value: value for value in inner}, hint)
    if origin is tuple:
        return _of_tuple(inner)
    if origin is dict:
        return _of_dict(inner[1])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _of_choice({member.value: member for member in hint}, hint)
    return _of_scalar(hint)


def _of_dataclass(cls: Any) -> _Read:
    hints = get_type_hints(cls)
    readers = {field.name: _reader(hints[field.name]) for field in fields(cls)}
    needed = [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, where, "an object")
        for name in needed:
            if name not in value:
                raise ValueError(f"{_at(where, name)} is missing")
        for name in value:
            if name not in readers:
                raise ValueError(f"{_at(where, str(name))} is not known")
        return cls(**{name: readers[name](inner, _at(where, name)) for name, inner in value.items()})

    return read


def _of_scalar(kind: Any) -> _Read:
    def read(value: Any, where: str) -> Any:
        if type(value) is kind:
            if kind is not float or math.isfinite(value):
                return value
        elif kind is float and type(value) is int:
            return float(value)
        raise _wrong(value, where, {str: "a text", int: "a whole number", float: "a number"}.get(kind, kind))

    return read


def _of_union(hints: tuple[Any, ...]) -> _Read:
    readers = [_reader(hint) for hint in hints if hint is not type(None)]
    optional = type(None) in hints

    def read(value: Any, where: str) -> Any:
        if value is None and optional:
            return None
        for reader in readers[:-1]:
            try:
                return reader(value, where)
            except ValueError:
                continue
        return readers[-1](value, where)

    return read


def _of_choice(known: dict[Any, Any], hint: Any) -> _Read:
    def read(value: Any, where: str) -> Any:
        if not isinstance(value, str) or value not in known:
            raise _wrong(value, where, "one of " + ", ".join(map(str, known)))
        return known[value]

    return read


def _of_tuple(inner: tuple[Any, ...]) -> _Read:
    endless = inner[-1] is Ellipsis
    readers = [_reader(hint) for hint in inner if hint is not Ellipsis]

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, list | tuple) or not (endless or len(value) == len(readers)):
            raise _wrong(value, where, "a list" if endless else f"a list of {len(readers)}")
        each = readers * len(value) if endless else readers
        return tuple(
            reader(one, f"{where}[{number}]")
            for number, (reader, one) in enumerate(zip(each, value, strict=True))
        )

    return read


def _of_dict(values: Any) -> _Read:
    reader = _reader(values)

    def read(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, where, "an object")
        return {name: reader(one, _at(where, name)) for name, one in value.items()}

    return read


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(value: Any, where: str, expected: object) -> ValueError:
    return ValueError(f"{where or 'it'} is {str(value)[:40]!r}, and should be {expected}")
