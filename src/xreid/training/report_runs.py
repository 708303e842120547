"""Finished runs as a report needs them: what they were asked, how they went, what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import read_json
from xreid.core.records import require_format
from xreid.inference.checkpoint import LoadedModel, load_checkpoint, selection_rule
from xreid.methods.registry import method_named
from xreid.training.run_folder import FORMAT

_KEYS = ("config", "config_sha256", "seed", "data", "versions", "commit")


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run that has its result.

    Attributes:
        name: Short, unique among the runs of one report.
        path: Its folder.
        record: What run.json says.
        metrics: Lines of metrics.jsonl, in order; empty where the file is missing.
        model: Its result.
    """

    name: str
    path: Path
    record: dict[str, Any]
    metrics: tuple[dict[str, Any], ...]
    model: LoadedModel

    @property
    def data_root(self) -> Path:
        """Where the archive lay that it was trained on."""
        return Path(self.record["data"]["root"])


def read_runs(folders: Sequence[Path], *, device: str = "cpu") -> tuple[FinishedRun, ...]:
    """Read the folders of finished runs, in order.

    Raises:
        ConfigError: One is no run of `xreid train`, or is named twice.
        DataError: A file of it is damaged.
        CheckpointError: It is not finished, or its model is missing or damaged.
    """
    names = _names(folders)
    return tuple(
        _read_run(folder, name=name, device=device) for folder, name in zip(folders, names, strict=True)
    )


def _read_run(folder: Path, *, name: str, device: str) -> FinishedRun:
    if not (folder / "run.json").is_file():
        raise ConfigError(
            f"{folder} {'holds no run' if folder.exists() else 'does not exist'}",
            expected="the folder of a finished `xreid train` (run.json, metrics.jsonl, checkpoint)",
            todo="A checkpoint alone has no curves: `xreid evaluate` shows its scores.",
        )
    record = read_json(folder / "run.json", what="run")
    require_format(record.get("format"), supported=FORMAT, what=f"run {folder}")
    missing = [key for key in _KEYS if key not in record]
    if missing:
        raise DataError(f"{folder / 'run.json'} lacks {missing[0]}", todo="Copy the run folder again.")
    model = load_checkpoint(folder, device)
    metrics = read_metrics(folder / "metrics.jsonl")
    return FinishedRun(name=name, path=folder, record=record, metrics=metrics, model=model)


def read_metrics(path: Path) -> tuple[dict[str, Any], ...]:
    """Lines of a metrics.jsonl; none where there is no such file.

    Raises:
        DataError: A line is no JSON object with a kind and a step.
    """
    if not path.is_file():
        return ()
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or "kind" not in line or not isinstance(line.get("step"), int):
            raise DataError(
                f"{path}, line {number} is damaged",
                expected="a JSON object with kind and step, as `xreid train` writes",
                got=text[:60],
                todo="Copy the file again, or remove the line.",
            )
        lines.append(line)
    return tuple(lines)


def facts_of(run: FinishedRun) -> list[tuple[str, str]]:
    """What one must know before believing a score of the run, as names and values."""
    record, checkpoint = run.record, run.model.checkpoint
    method = method_named(checkpoint.network.method)
    data, versions = record["data"], record["versions"]
    parameters = sum(p.numel() for p in run.model.network.parameters())
    return [
        ("method", f"{method.title} ({method.reference})"),
        ("preset, scale", f"{record['config'].get('preset', '?')}, {record['config'].get('scale', '?')}"),
        ("parameters", f"{parameters:,}, classifiers included"),
        ("trained on", f"{data['source']}: {data['identities']:,} people, {data['tracklets']:,} tracklets"),
        ("epoch chosen", selection_rule(checkpoint.provenance.get("selection", {}))),
        ("seed", str(record["seed"])),
        ("commit", record["commit"] or "unknown (not run from a checkout)"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("licence", checkpoint.licence),
        ("checkpoint (SHA-256)", run.model.sha256),
        ("run's settings (SHA-256)", record["config_sha256"]),
        ("training data (SHA-256)", data["sha256"]),
    ]


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, or as much of their paths as tells them apart.

    `xreid ablate` trains in KEY/run; that last part names nothing and is left out.
    """
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        twice = next(folder for folder in resolved if resolved.count(folder) > 1)
        raise ConfigError(f"{twice} is named twice", expected="different runs")
    parts = [f.parts[:-1] if f.name == "run" and len(f.parts) > 2 else f.parts for f in resolved]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in resolved]
