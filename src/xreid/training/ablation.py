"""Ablations: the tables and figures of the paper, or one's own rows, with seeds, intervals and paired tests.

OUT/runs/                one folder per configuration and seed, shared by all tables (see ablation_run)
OUT/<table>/             results.json, table.md, table.tex, table.csv, figure.png, figure.svg
OUT/<table>-held-out/    the same, scored on people held out of training
OUT/index.html           every table found in OUT
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError
from xreid.core.files import atomic_file, write_json
from xreid.training.ablation_figure import write_figure
from xreid.training.ablation_page import write_index
from xreid.training.ablation_plan import AblationConfig, Plan, make_plan
from xreid.training.ablation_pool import Machine, complete_all
from xreid.training.ablation_progress import Board
from xreid.training.ablation_results import table_results
from xreid.training.ablation_rows import Table
from xreid.training.ablation_run import Job, stored_scores
from xreid.training.ablation_text import comma_separated, latex, markdown


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What `ablate` did.

    Attributes:
        tables: results.json of each table, as values.
        folders: Where each lies.
        failures: What went wrong, by folder of the run; a run that only waits is none.
        page: The page.
    """

    tables: tuple[dict[str, Any], ...]
    folders: tuple[Path, ...]
    failures: dict[str, str]
    page: Path


def ablate(
    tables: Sequence[Table],
    config: AblationConfig,
    *,
    data: Path,
    out: Path,
    machine: Machine | None = None,
    train: bool = True,
) -> Ablation:
    """Train and score every row of the tables with every seed, and write tables, figures and a page.

    What is done is skipped, what was interrupted goes on, and a run that fails stops no other: its row is
    marked as missing.

    Args:
        tables: What to compare.
        config: Scale, seeds, overrides, what to score on.
        data: The archive.
        out: Folder for everything.
        machine: How many runs side by side, and where.
        train: False: write the outputs from the runs that are done.

    Raises:
        ConfigError: A row, a setting or the machine is wrong.
        DataError: The archive cannot be read, or has no test split.
        XReidError: `out` cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file", expected="a folder or a new name", todo="Choose another --out.")
    plan = make_plan(tables, config, data=data, out=out)
    failures = _complete(plan, machine=(machine or Machine()), out=out) if train else {}
    by_key = {run.key: failures[str(run.folder)] for run in plan.unique() if str(run.folder) in failures}
    results, folders = [], []
    for table in plan.tables:
        folder = out / (table.name if config.on == "test" else f"{table.name}-{config.on}")
        found = table_results(plan, table, failures=by_key)
        write_outputs(found, folder)
        results.append(found)
        folders.append(folder)
    page = write_index(out)
    return Ablation(tables=tuple(results), folders=tuple(folders), failures=failures, page=page)


def write_outputs(results: dict[str, Any], folder: Path) -> None:
    """Write all files of a table.

    Raises:
        XReidError: The folder cannot be written.
    """
    write_json(folder / "results.json", results)
    for name, text in (
        ("table.md", markdown(results)),
        ("table.tex", latex(results)),
        ("table.csv", comma_separated(results)),
    ):
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_figure(results, folder)


def _complete(plan: Plan, *, machine: Machine, out: Path) -> dict[str, str]:
    """Run what is not done; what went wrong by folder."""
    here = machine.resolved()
    jobs = [
        Job(
            folder=run.folder.absolute(),
            data=plan.data.absolute(),
            config=run.config,
            on=plan.config.on,
            protocol=plan.config.protocol,
            directions=plan.config.directions,
            device=here.device,
            workers=here.workers or 0,
            cache_mib=here.cache_mib,
        )
        for run in plan.unique()
    ]
    missing = [job for job in jobs if stored_scores(job.folder, on=job.on, asked=job.asked) is None]
    if not missing:
        return {}
    board = Board(total=len(jobs), done=len(jobs) - len(missing), jobs=here.jobs or 1)
    board.say(_beginning(plan, runs=len(jobs), missing=len(missing), machine=here))
    try:
        failures = complete_all(missing, machine=here, board=board, logs=out / "logs")
    finally:
        board.close()
    places = {run.folder.absolute(): str(run.folder) for run in plan.unique()}
    return {places[folder]: problem for folder, problem in failures.items()}


def _beginning(plan: Plan, *, runs: int, missing: int, machine: Machine) -> str:
    asked = len(plan.runs)
    shared = f" ({asked} rows x seeds, {asked - runs} of them shared)" if asked > runs else ""
    side = f"{machine.jobs} at a time, {machine.threads} thread{'s' if machine.threads != 1 else ''} each"
    return f"{runs} runs{shared}, {runs - missing} done before; {side if machine.jobs else 'one by one'}"
