"""The ablation rows of docs/training.md are options that exist; its blocks are run by tests/docs."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from xreid.cli.train import parse
from xreid.methods.registry import build_objective

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", re.findall(r"^\| (?:Table|Fig).*?\| `(.*?)`.*\|$", PAGE, flags=re.M))
def test_rows_of_the_tables_are_runs(row: str) -> None:
    _, config = parse(["--data", "a", "--out", "b", *shlex.split(row)])
    assert config != parse(["--data", "a", "--out", "b"])[1]
    build_objective(config.objective, network=replace(config.network, num_identities=2))
