"""The file that says what a folder of simulated things is, and whether it is complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError
from xreid.core.files import read_json, write_json


def begin(out: Path, *, marker: str, description: dict[str, Any]) -> bool:
    """Check or mark a folder before it is filled.

    Args:
        out: The folder; new, empty, or begun with the same configuration.
        marker: Name of the file that says what is in it.
        description: What the file shall say: format, config and more.

    Returns:
        Whether it is complete already.

    Raises:
        ConfigError: It holds something else, or was begun with another configuration or version.
    """
    file = out / marker
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is not a folder", todo="Choose another name.")
    if not file.exists():
        if out.is_dir() and any(not entry.name.startswith(f".{marker}") for entry in out.iterdir()):
            raise ConfigError(
                f"{out} is not empty and holds no simulation", todo="Choose a new folder, or empty this one."
            )
        write_json(file, description | {"complete": False})
        return False
    begun = read_json(file, what="simulation")
    if (
        not isinstance(begun, dict)
        or begun.get("format") != description["format"]
        or not isinstance(begun.get("config"), dict)
    ):
        raise ConfigError(
            f"{file} is of another version",
            todo="Choose a new folder, or delete this one and simulate again.",
        )
    wanted = json.loads(json.dumps(description["config"]))
    if begun["config"] != wanted:
        names = sorted({*begun["config"], *wanted})
        differing = [name for name in names if begun["config"].get(name) != wanted.get(name)]
        raise ConfigError(
            f"{out} was simulated with another configuration",
            expected=", ".join(f"{name}={begun['config'].get(name)}" for name in differing),
            got=", ".join(f"{name}={wanted.get(name)}" for name in differing),
            todo="Choose a new folder, or delete this one.",
        )
    return bool(begun.get("complete"))
