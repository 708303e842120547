"""The page of an ablation: every table and figure that a folder holds."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import xreid
from xreid.core.errors import DataError
from xreid.core.files import read_json
from xreid.core.pages import render_template, write_page
from xreid.training.ablation_results import FORMAT
from xreid.training.ablation_tables import TABLES
from xreid.training.ablation_text import (
    COST_HEAD,
    columns,
    cost_rows,
    difference_rows,
    facts,
    heads,
    paper_rows,
    problems,
    score_rows,
    seed_rows,
)


def write_index(out: Path) -> Path:
    """Write index.html for all results.json one folder down.

    Raises:
        XReidError: The folder cannot be written.
    """
    sections = [
        _section(results, file.parent)
        for file in sorted(out.glob("*/results.json"), key=_order)
        if (results := _read(file)) is not None
    ]
    shared = [n for n in sections[0]["notes"] if all(n in s["notes"] for s in sections)] if sections else []
    for section in sections:
        section["notes"] = [note for note in section["notes"] if note not in shared]
    page = out / "index.html"
    values = {"version": xreid.__version__, "sections": sections, "shared": shared}
    write_page(page, render_template("training/ablation.html", values))
    return page


def _order(file: Path) -> tuple[int, str]:
    names = list(TABLES)
    name = file.parent.name.removesuffix("-held-out")
    return names.index(name) if name in names else len(names), file.parent.name


def _read(file: Path) -> dict[str, Any] | None:
    try:
        results = read_json(file, what="results")
    except DataError:
        return None
    known = isinstance(results, dict) and results.get("format") == FORMAT and "table" in results
    return results if known else None


def _section(results: dict[str, Any], folder: Path) -> dict[str, Any]:
    image = folder / "figure.svg"
    coded = base64.b64encode(image.read_bytes()).decode() if image.is_file() else ""
    held_out = " (held-out identities)" if results["on"] == "held-out" else ""
    return {
        "id": folder.name,
        "title": results["title"] + held_out,
        "facts": facts(results),
        "notes": results["notes"],
        "figure": f"data:image/svg+xml;base64,{coded}" if coded else "",
        "heads": heads(results),
        "scores": [(name, [_split(cell) for cell in cells]) for name, cells in score_rows(results)],
        "differences": [
            (name, against, [_split(cell) for cell in cells])
            for name, against, cells in difference_rows(results)
        ],
        "paper": list(paper_rows(results)),
        "seeds": list(seed_rows(results)),
        "costs": list(cost_rows(results)),
        "cost_head": COST_HEAD,
        "problems": problems(results),
        "columns": len(columns(results)),
    }


def _split(cell: str) -> dict[str, Any]:
    """A cell as number, interval and whether it is marked."""
    number, _, rest = cell.partition(" ")
    return {"value": number, "range": rest.removesuffix(" *"), "marked": cell.endswith("*")}
