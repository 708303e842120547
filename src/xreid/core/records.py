"""Frozen dataclasses to plain values (JSON, YAML) and back; unknown keys and wrong types are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from jsonargparse import ArgumentParser

T = TypeVar("T")
_PARSING = RLock()  # parsers are shared by threads


def to_plain(value: DataclassInstance) -> dict[str, Any]:
    """A dataclass as nested dictionaries of JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    return plain


def differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What of nested plain values is not the default: the rest may gain settings without changing it."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        usual = defaults.get(name)
        if isinstance(value, dict) and isinstance(usual, dict):
            inner = differing(value, usual)
            if inner:
                found[name] = inner
        elif value != usual:
            found[name] = value
    return found


def from_plain(cls: type[T], values: Mapping[str, Any], *, what: str) -> T:
    """A dataclass from nested dictionaries; fields that are not named keep their defaults.

    Raises:
        ConfigError: A key is unknown, a value has the wrong type or is out of range.
    """
    from jsonargparse import ArgumentError

    try:
        with _PARSING:
            parser = _parser(cls)  # type: ignore[arg-type]  # a class is hashable
            built = parser.instantiate(parser.parse_object(dict(values))).as_dict()
    except (ArgumentError, TypeError, ValueError, KeyError) as error:
        raise ConfigError(f"{what} does not fit: {' '.join(str(error).split())}") from error
    return cls(**built)


@cache
def _parser(cls: type) -> ArgumentParser:
    """Made once for each class: making it takes longer than using it."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls)
    return parser


def require_format(version: object, *, supported: int, what: str) -> None:
    """Refuse what a newer (or no) version of xreid wrote.

    Raises:
        ConfigError: The version is not one that this xreid reads.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(
            f"{what} has no valid format number", expected=f"1 to {supported}", got=str(version)
        )
    if version > supported:
        raise ConfigError(
            f"{what} was written by a newer xreid",
            expected=f"format {supported} or older",
            got=f"format {version}",
            todo="Update xreid.",
        )
