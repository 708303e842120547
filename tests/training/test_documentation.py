"""docs/training.md is executed, and its ablation rows are options that exist."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from xreid.cli.train import parse
from xreid.methods.registry import build_objective

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, flags=re.S))
def test_python_runs(code: str) -> None:
    exec(compile(code, "training.md", "exec"), {})


@pytest.mark.parametrize("command", re.findall(r"train (--.*?)(?:  #.*)?\n", PAGE.partition("## What")[0]))
def test_commands_parse(command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize("row", re.findall(r"^\| (?:Table|Fig).*?\| `(.*?)`.*\|$", PAGE, flags=re.M))
def test_rows_of_the_tables_are_runs(row: str) -> None:
    _, config = parse(["--data", "a", "--out", "b", *shlex.split(row)])
    assert config != parse(["--data", "a", "--out", "b"])[1]
    build_objective(config.objective, network=replace(config.network, num_identities=2))
