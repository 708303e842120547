"""What an ablation compares: tables of rows, each row a preset with settings changed.

A row names the rows that it extends; the report tests it against each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError
from xreid.training.config import TrainConfig
from xreid.training.presets import preset_named
from xreid.training.settings import changed, read_settings

Changes = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration of a table.

    Attributes:
        name: Unique in its table.
        preset: Where it starts.
        changes: Settings over the preset, nested as in a YAML file or by dotted name.
        extends: Names of the rows it is tested against, the most telling first.
        x: Its place on the axis of a figure.
    """

    name: str
    preset: str = "paper"
    changes: Changes = field(default_factory=dict)
    extends: tuple[str, ...] = ()
    x: float | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that belong together.

    Attributes:
        name: What the command line calls it; also the name of its folder.
        title: Heading.
        rows: In the order of the paper.
        axis: What `Row.x` counts; "" for a table.
        at_scale: Settings of all rows alike at a scale, below the row's own.
        notes: What a reader must know, by scale; "" for every scale.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    axis: str = ""
    at_scale: Mapping[str, Changes] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ConfigError(
                f"table {self.name} " + (f"has two rows {twice[0]!r}" if twice else "has no rows")
            )
        for row in self.rows:
            unknown = [name for name in row.extends if name not in names or name == row.name]
            if unknown:
                raise ConfigError(
                    f"row {row.name!r} of table {self.name} extends {unknown[0]!r}",
                    expected=f"another of {', '.join(names)}",
                )

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)


def resolve(table: Table, row: Row, *, scale: str, overrides: Changes | None = None) -> TrainConfig:
    """The configuration of a row: preset at a scale, the table's changes, the row's, then the user's.

    Raises:
        ConfigError: There is no such preset or scale, or a setting is unknown or wrong.
    """
    varied = {name for each in table.rows for name in _names(nested(each.changes))}
    clash = sorted(varied & set(_names(nested(overrides or {}))))
    if clash:
        raise ConfigError(
            f"{clash[0]} is what rows of {table.name} differ in", todo=f"Leave out --{clash[0]}."
        )
    merged: dict[str, Any] = {}
    for changes in (table.at_scale.get(scale, {}), row.changes, overrides or {}):
        _merge(merged, nested(changes))
    what = f"row {row.name!r} of {table.name}"
    try:
        return changed(preset_named(row.preset, scale=scale), merged, what=what)
    except ConfigError as error:
        if what in error.what:
            raise
        raise ConfigError(
            f"{what}: {error.what}", expected=error.expected, got=error.got, todo=error.todo
        ) from error


def nested(changes: Changes) -> dict[str, Any]:
    """Settings by dotted name, or partly so, as nested dictionaries."""
    result: dict[str, Any] = {}
    for key, value in changes.items():
        inner: Any = nested(value) if isinstance(value, Mapping) else value
        for part in reversed(str(key).split(".")):
            inner = {part: inner}
        _merge(result, inner)
    return result


def _names(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the settings in nested dictionaries."""
    found: list[str] = []
    for key, value in changes.items():
        name = f"{prefix}{key}"
        found += _names(value, f"{name}.") if isinstance(value, Mapping) else [name]
    return found


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def read_table(path: Path) -> Table:
    """A table of one's own, from a YAML file; docs/ablations.md shows one.

    Raises:
        ConfigError: It is missing, no YAML, or says something unknown.
    """
    values = read_settings(path)
    _require_keys(values, ("title", "rows", "axis", "notes"), what=str(path))
    rows = values.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path} has no rows", expected="a list `rows:` of mappings with a name")
    return Table(
        name=path.stem,
        title=str(values.get("title", path.stem)),
        rows=tuple(_row(row, what=f"{path}, row {number}") for number, row in enumerate(rows, 1)),
        axis=str(values.get("axis", "")),
        notes={"": str(values["notes"])} if values.get("notes") else {},
    )


def _row(values: Mapping[str, Any], *, what: str) -> Row:
    _require_keys(values, ("name", "preset", "overrides", "extends", "x"), what=what)
    overrides, extends = values.get("overrides") or {}, values.get("extends") or ()
    if not values.get("name") or not isinstance(overrides, dict):
        raise ConfigError(f"{what} is malformed", expected="a name, and overrides as a mapping")
    x = values.get("x")
    if x is not None and not isinstance(x, int | float):
        raise ConfigError(f"{what}: x is no number", got=str(x))
    return Row(
        name=str(values["name"]),
        preset=str(values.get("preset") or "paper"),
        changes=overrides,
        extends=(extends,) if isinstance(extends, str) else tuple(map(str, extends)),
        x=x,
    )


def _require_keys(values: Mapping[str, Any], known: Sequence[str], *, what: str) -> None:
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise ConfigError(f"{what} has an unknown key {unknown[0]}", expected=", ".join(known))
