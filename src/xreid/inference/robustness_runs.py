"""Several training runs of a method, and two methods, through the same robustness measurement.

Each run's embeddings lie where one run's do, below its own folder: the first run's in OUT, the others' in
OUT/also/seedN, the other method's in OUT/against/seedN. A folder that holds another model's is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from xreid.core.errors import ConfigError
from xreid.core.records import differing
from xreid.core.tracklets import TrackletTable
from xreid.inference.checkpoint import Checkpoint, describe_checkpoint, load_checkpoint
from xreid.inference.embed import EmbedConfig, Tell
from xreid.inference.robustness import Card, RobustnessConfig, measure
from xreid.inference.robustness_study import RunScores, Study, study


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is to be measured.

    Attributes:
        folder: Of the run, or of its checkpoint.
        checkpoint: What is known about its model.
        sha256: Of its weights.
    """

    folder: Path
    checkpoint: Checkpoint
    sha256: str

    @property
    def seed(self) -> int | None:
        """Training seed, where the checkpoint says."""
        return self.checkpoint.provenance.get("seed")


@dataclass(frozen=True, kw_only=True)
class MethodRuns:
    """The runs of one method: one, or several that differ in nothing but their seed.

    Attributes:
        name: What the method is called.
        runs: In the order in which they were named.
    """

    name: str
    runs: tuple[Run, ...]


def read_methods(
    runs: Sequence[Path], *, against: Sequence[Path] = (), names: Sequence[str] = ()
) -> tuple[MethodRuns, ...]:
    """Read what the runs are and check that they can be put together.

    Args:
        runs: Of the method.
        against: Of another, as many and of the same seeds; none: there is no other.
        names: What the methods are called; default their presets.

    Raises:
        CheckpointError: One is no finished run or checkpoint.
        ConfigError: A run is named twice; runs of a method differ in more than their seed; the two methods'
            seeds or frame sizes differ; other than one name a method.
    """
    groups = [[_read(folder) for folder in group] for group in (runs, against) if group]
    if names and (len(names) != len(groups) or len(set(names)) < len(names)):
        raise ConfigError(
            "the methods' names do not fit", expected=f"{len(groups)}, unlike", got=" ".join(names)
        )
    for group in groups:
        _require_one_method(group)
    if len(groups) == 2:
        _require_pairs(*groups)
        order = [run.seed for run in groups[0]]
        groups[1].sort(key=lambda run: order.index(run.seed) if len(order) > 1 else 0)
    called = names or _presets(groups)
    return tuple(MethodRuns(name=name, runs=tuple(group)) for name, group in zip(called, groups, strict=True))


def measure_methods(
    methods: Sequence[MethodRuns],
    table: TrackletTable,
    *,
    out: Path,
    device: torch.device,
    config: RobustnessConfig,
    embed: EmbedConfig | None = None,
    workers: int = 0,
    tell: Tell = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> Study:
    """Measure every run, one after the other; killed and called again, it goes on where it was.

    Args:
        methods: One or two, as `read_methods` gives them.
        table: The test tracklets.
        out: Folder for the embeddings.
        device: Where models run.
        config: What to measure.
        embed: How tracklets are embedded.
        workers: Loader processes.
        tell: Called with tracklets done and to do, all runs together.
        note: Called with remarks, and with the scores of each level.

    Raises:
        ProtocolError: The table cannot answer both directions under the protocol.
        ConfigError: A folder holds something else.
        DataError: A frame cannot be read.
    """
    plan = [(m, run) for m, method in enumerate(methods) for run in method.runs]
    first: Card | None = None
    scores: list[list[RunScores]] = [[] for _ in methods]
    for number, (m, run) in enumerate(plan):
        head = f"{methods[m].name}, seed {run.seed}: " if len(plan) > 1 else ""
        card = measure(
            load_checkpoint(run.folder, device),
            table,
            out=_folder(out, m, run, first=number == 0),
            config=config,
            embed=embed,
            workers=workers,
            tell=lambda done, total, n=number: tell(n * total + done, len(plan) * total),  # type: ignore[misc]
            note=lambda text, head=head: note(head + text),  # type: ignore[misc]
        )
        first = first or card
        seed = plan[len(scores[m])][1].seed  # one run against one may be of other seeds
        scores[m].append(RunScores.of(card, seed=seed or 0))
    assert first is not None, "there is a run"
    return study(first, [(method.name, s) for method, s in zip(methods, scores, strict=True)])


def _folder(out: Path, method: int, run: Run, *, first: bool) -> Path:
    if first:
        return out
    return out / ("against" if method else "also") / ("run" if run.seed is None else f"seed{run.seed}")


def _read(folder: Path) -> Run:
    _, checkpoint, sha256 = describe_checkpoint(folder)
    return Run(folder=folder, checkpoint=checkpoint, sha256=sha256)


def _require_one_method(runs: Sequence[Run]) -> None:
    """Refuse runs that are no training seeds of one method."""
    first, todo = runs[0], "Name runs of one preset and archive, trained with other seeds."
    for number, run in enumerate(runs[1:], start=1):
        for earlier in runs[:number]:
            if earlier.sha256 == run.sha256:
                raise ConfigError(f"{run.folder} and {earlier.folder} are the same model", todo=todo)
            if run.seed is None or earlier.seed is None or run.seed == earlier.seed:
                raise ConfigError(
                    "the runs of a method need training seeds, each another",
                    got=f"{earlier.folder}: {earlier.seed}, {run.folder}: {run.seed}",
                    todo=todo,
                )
        unlike = _unlike(_asked(first), _asked(run))
        if unlike:
            raise ConfigError(
                f"{first.folder} and {run.folder} are of different methods, or of different data",
                got="; ".join(unlike[:4]),
                todo=f"{todo} Another method goes behind --against.",
            )


def _require_pairs(ours: Sequence[Run], theirs: Sequence[Run]) -> None:
    """Refuse two methods that cannot be compared run by run."""
    for other in theirs:
        for run in ours:
            if run.sha256 == other.sha256:
                raise ConfigError(f"{run.folder} and {other.folder} are the same model")
            sizes = [r.checkpoint.network.frame_size for r in (run, other)]
            if sizes[0] != sizes[1]:
                raise ConfigError(
                    "the methods see frames of different sizes, so the levels are not the same for both",
                    got=" and ".join(f"{height} x {width}" for height, width in sizes),
                )
    seeds = [sorted(str(run.seed) for run in group) for group in (ours, theirs)]
    if seeds[0] != seeds[1] and not len(ours) == len(theirs) == 1:
        raise ConfigError(
            "the runs behind --against are of other seeds, so they cannot be paired",
            expected=f"training seeds {', '.join(seeds[0])}",
            got=", ".join(seeds[1]),
        )


def _asked(run: Run) -> dict[str, Any]:
    """What runs of one method have in common: everything but the seed, and people that a seed holds out."""
    known = run.checkpoint.provenance
    config = {name: value for name, value in known.get("config", {}).items() if name != "train"}
    loop = {name: value for name, value in known.get("config", {}).get("train", {}).items() if name != "seed"}
    data = dict(known.get("data", {}))
    if config.get("selection", {}).get("held_out"):
        data = {"source": data.get("source")}
    network = replace(run.checkpoint.network, num_identities=0, cameras=())
    return {**config, "train": loop, "data": data, "method": network.method, "frames": network.frame_size}


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Settings that differ, by their names with dots."""

    def paths(values: Mapping[str, Any], head: str = "") -> list[str]:
        found = []
        for name, value in values.items():
            found += paths(value, f"{head}{name}.") if isinstance(value, Mapping) else [head + name]
        return found

    return sorted({*paths(differing(a, b)), *paths(differing(b, a))})


def _presets(groups: Sequence[Sequence[Run]]) -> list[str]:
    """The methods' presets, or their first runs' folders where these are the same."""
    names = [str(group[0].checkpoint.provenance.get("preset", "model")) for group in groups]
    if len(set(names)) == len(names):
        return names
    folders = [group[0].folder.resolve() for group in groups]
    named = [(f.parent if f.name in ("run", "checkpoint") else f).name for f in folders]
    return (
        named if len(set(named)) == len(named) else [f"{name} {n}" for n, name in enumerate(names, start=1)]
    )
