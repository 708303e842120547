"""Reading a camera graph from JSON or YAML (format: see `camera_graph`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xreid.core.errors import DataError
from xreid.retrieval.camera_graph import CameraGraph, Edge

_KEYS = {"cameras", "edges", "overlaps", "directed", "clock_s"}


def read_camera_graph(path: Path) -> CameraGraph:
    """Read a camera graph.

    Raises:
        DataError: The file is missing, neither JSON nor YAML, or says something that cannot be.
    """
    import yaml

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except OSError as error:
        raise DataError(f"cannot read camera graph {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        got = " ".join(str(error).split())[:120]
        raise DataError(f"camera graph {path} is neither JSON nor YAML", got=got) from error
    return camera_graph_from(plain, what=f"camera graph {path}")


def camera_graph_from(plain: Any, *, what: str = "camera graph") -> CameraGraph:
    """A camera graph from plain values, as a file holds them.

    Raises:
        DataError: They say something that cannot be.
    """
    _require(isinstance(plain, Mapping), what, expected="cameras and edges", got=type(plain).__name__)
    strangers = sorted(map(str, set(plain) - _KEYS))
    _require(not strangers, what, expected=", ".join(sorted(_KEYS)), got=", ".join(strangers))
    cameras = plain.get("cameras") or {}
    listed = isinstance(cameras, Mapping) or _is_list(cameras)
    _require(listed, f"cameras of {what}", expected="names with what is known of each", got=str(cameras)[:60])
    facts = cameras.items() if isinstance(cameras, Mapping) else ((name, {}) for name in cameras)
    places = {str(name): _place(fact) for name, fact in facts}
    _require(bool(places), what, expected="one camera or more under cameras", got="none")
    directed = plain.get("directed", False)
    _require(isinstance(directed, bool), f"directed of {what}", expected="true or false", got=str(directed))
    return CameraGraph(
        places=places,
        edges=tuple(
            _edge(entry, places, f"edge {number} of {what}")
            for number, entry in enumerate(_entries(plain, "edges", what), start=1)
        ),
        overlaps=tuple(
            _pair(entry, places, f"overlap {number} of {what}")
            for number, entry in enumerate(_entries(plain, "overlaps", what), start=1)
        ),
        directed=directed,
        clock_s=_seconds(plain.get("clock_s", 1.0), f"clock_s of {what}"),
    )


def _entries(plain: Mapping[str, Any], name: str, what: str) -> Sequence[Any]:
    entries = plain.get(name) or ()
    _require(_is_list(entries), f"{name} of {what}", expected="a list", got=str(entries)[:60])
    return list(entries)


def _edge(entry: Any, places: Mapping[str, str], what: str) -> Edge:
    names = {"from", "to", "least_s", "typical_s"}
    fits = isinstance(entry, Mapping) and {"from", "to", "least_s"} <= set(entry) <= names
    _require(fits, what, expected="from, to, least_s and typical_s", got=str(entry)[:80])
    start, end = _camera(entry["from"], places, what), _camera(entry["to"], places, what)
    least = _seconds(entry["least_s"], f"least_s of {what}")
    typical = _seconds(entry.get("typical_s", least), f"typical_s of {what}")
    _require(least <= typical, what, expected="least_s up to typical_s", got=f"{least:g} and {typical:g}")
    return Edge(start=start, end=end, least_s=least, typical_s=typical)


def _pair(entry: Any, places: Mapping[str, str], what: str) -> tuple[str, str]:
    _require(_is_list(entry) and len(entry) == 2, what, expected="two cameras", got=str(entry)[:60])
    return _camera(entry[0], places, what), _camera(entry[1], places, what)


def _camera(name: Any, places: Mapping[str, str], what: str) -> str:
    some = ", ".join(list(places)[:8]) + (", ..." if len(places) > 8 else "")
    _require(str(name) in places, what, expected=f"a camera of the graph: {some}", got=str(name)[:40])
    return str(name)


def _place(fact: Any) -> str:
    return str(fact.get("place") or "") if isinstance(fact, Mapping) else ""


def _seconds(value: Any, what: str) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    _require(
        fits and math.isfinite(value) and value >= 0, what, expected="seconds from 0", got=str(value)[:40]
    )
    return float(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _require(condition: bool, what: str, *, expected: str, got: str) -> None:
    if not condition:
        raise DataError(f"{what} does not fit", expected=expected, got=got)
