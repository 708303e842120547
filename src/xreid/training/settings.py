"""Configurations as nested dictionaries: sections, YAML files, overrides. Unknown keys are errors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from xreid.core.errors import ConfigError
from xreid.core.files import atomic_file
from xreid.core.records import from_plain, require_format, to_plain
from xreid.training.config import TrainConfig
from xreid.training.presets import preset_named

FORMAT = 1
_NAMES = ("preset", "scale")

SECTIONS: dict[str, type] = {
    field.name: get_type_hints(TrainConfig)[field.name]
    for field in fields(TrainConfig)
    if field.name not in _NAMES
}


def configuration(
    *, preset: str | None = None, scale: str | None = None, file: Path | None = None
) -> TrainConfig:
    """A preset at a scale, changed by a YAML file.

    Args:
        preset: Default the file's, or "paper".
        scale: Default the file's, or "vit-b16".
        file: Sections and settings, of which it may name any.

    Raises:
        ConfigError: There is no such preset, scale or file, or a setting is unknown or wrong.
    """
    values = read_settings(file) if file is not None else {}
    named = {name: values.pop(name, None) for name in _NAMES}
    base = preset_named(
        str(preset or named["preset"] or "paper"), scale=str(scale or named["scale"] or "vit-b16")
    )
    return changed(base, values, what=f"configuration {file}") if values else base


def changed(config: TrainConfig, values: Mapping[str, Any], *, what: str = "configuration") -> TrainConfig:
    """The configuration with some settings replaced, given as nested dictionaries.

    Raises:
        ConfigError: A setting is unknown or wrong.
    """
    return from_plain(TrainConfig, _merged(to_plain(config), values, what=what), what=what)


def write_settings(path: Path, config: TrainConfig) -> None:
    """Write a configuration as YAML that `read_settings` and `xreid train --config` read."""
    text = yaml.safe_dump({"format": FORMAT, **to_plain(config)}, sort_keys=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a YAML file as nested dictionaries, its format number checked and taken off.

    Raises:
        ConfigError: It is missing, no YAML mapping, or of a newer format.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"configuration {path} is not YAML", got=reason) from error
    if not isinstance(values, dict):
        raise ConfigError(f"configuration {path} is no mapping", expected="sections such as `train:`")
    require_format(values.pop("format", FORMAT), supported=FORMAT, what=f"configuration {path}")
    return values


def differences(first: Mapping[str, Any], second: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """Dotted names of the settings in which two plain configurations differ, with both values."""
    found = []
    for key in dict.fromkeys([*first, *second]):
        a, b, name = first.get(key), second.get(key), f"{prefix}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            found += differences(a, b, prefix=f"{name}.")
        elif a != b:
            found.append(f"{name} {a} -> {b}")
    return found


def _merged(
    base: Mapping[str, Any], values: Mapping[str, Any], *, what: str, prefix: str = ""
) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in base:
            close = difflib.get_close_matches(str(key), list(base), n=1)
            raise ConfigError(
                f"{what} has an unknown setting {name}",
                expected=f"one of {', '.join(base)}",
                todo=f"Did you mean {prefix}{close[0]}?" if close else "",
            )
        if isinstance(base[key], dict):
            if not isinstance(value, dict):
                raise ConfigError(f"{what}: {name} is a section", got=str(value))
            value = _merged(base[key], value, what=what, prefix=f"{name}.")
        merged[key] = value
    return merged
