"""Which runs an ablation needs: one per configuration and seed, however many rows show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from xreid.core.errors import ConfigError, DataError
from xreid.core.files import sha256_of_file, sha256_of_value
from xreid.core.records import differing, to_plain
from xreid.core.tracklets import TrackletTable
from xreid.data.archive import open_archive
from xreid.evaluation.directions import Direction
from xreid.evaluation.intervals import Bootstrap
from xreid.evaluation.protocols import PROTOCOLS, protocol_named
from xreid.evaluation.selection import require_answers
from xreid.inference.growth import table_hash
from xreid.losses.config import PromptConfig
from xreid.training.ablation_prompts import RANDOM_TEXT, random_text_weights
from xreid.training.ablation_rows import Changes, Table, nested, resolve
from xreid.training.config import ArchiveConfig, TrainConfig
from xreid.training.material import held_out_identities, sampling_at_test, training_rows

RUNS = "runs"
On = Literal["test", "held-out"]


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """What an ablation computes.

    Attributes:
        scale: Scale of every row.
        seeds: Training seeds of every row.
        overrides: Settings of every row, over the row's own; nested or by dotted name.
        on: Score on the "test" split, or on the "held-out" training identities, by which choices may be made.
        protocol: Evaluation protocol; "auto" decides by the archive.
        directions: Directions to score, by name.
        bootstrap: How intervals are drawn.
    """

    scale: str = "vit-b16"
    seeds: tuple[int, ...] = (0, 1, 2)
    overrides: Changes = field(default_factory=dict)
    on: On = "test"
    protocol: str = "auto"
    directions: tuple[str, ...] = ("I2V", "V2I")
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ConfigError("seeds are out of range", expected="different whole numbers, 0 or more")
        if self.protocol != "auto" and self.protocol not in PROTOCOLS:
            raise ConfigError(
                f"no such protocol: {self.protocol!r}", expected=f"auto, {', '.join(PROTOCOLS)}"
            )
        for direction in self.directions:
            Direction.parse(direction)  # before anything is trained
        if "seed" in nested(self.overrides).get("train", {}):
            raise ConfigError("train.seed is set by the ablation", todo="Use --seeds and --first_seed.")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run and its scores.

    Attributes:
        key: Hash of configuration, data and seed.
        title: The first row that needs it.
        config: What to train, seed included.
        folder: FOLDER/runs/<title>-<seed>-<key>.
        label: What a reader must know of it; "" for nothing.
    """

    key: str
    title: str
    config: TrainConfig
    folder: Path
    label: str = ""

    @property
    def seed(self) -> int:
        """Its training seed."""
        return self.config.train.seed


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything to train and what it is for.

    Attributes:
        config: What was asked.
        tables: The tables.
        runs: The run of each (table, row, seed).
        data: The archive.
        archive: All of its tracklets.
    """

    config: AblationConfig
    tables: tuple[Table, ...]
    runs: Mapping[tuple[str, str, int], Run]
    data: Path
    archive: TrackletTable

    def unique(self) -> list[Run]:
        """Each run once; all rows with the first seed before any with the second."""
        ordered = sorted(self.runs, key=lambda place: self.config.seeds.index(place[2]))
        return list({self.runs[place].key: self.runs[place] for place in ordered}.values())


def make_plan(tables: Sequence[Table], config: AblationConfig, *, data: Path, out: Path) -> Plan:
    """Resolve every row, and give equal configurations one run.

    Raises:
        ConfigError: A row or an override is wrong, or there is nothing to score on.
        DataError: The archive cannot be read, or has no test split.
    """
    resolved = {
        (table.name, row.name): resolve(table, row, scale=config.scale, overrides=config.overrides)
        for table in tables
        for row in table.rows
    }
    archives: dict[ArchiveConfig, TrackletTable] = {}
    for found in resolved.values():
        if found.archive not in archives:
            archives[found.archive] = read_archive(data, found.archive)
    _require_scorable(config, resolved, archives)
    runs: dict[tuple[str, str, int], Run] = {}
    for (table_name, row_name), plain in resolved.items():
        listed = table_hash(archives[plain.archive])
        usable, label = _with_text_encoder(plain, config, out=out)
        for seed in config.seeds:
            seeded = replace(usable, train=replace(usable.train, seed=seed))
            title = f"{table_name} {row_name}"
            run = _run(seeded, title=title, listed=listed, out=out, label=label)
            known = next((r for r in runs.values() if r.key == run.key), run)
            runs[table_name, row_name, seed] = known
    return Plan(
        config=config,
        tables=tuple(tables),
        runs=runs,
        data=data,
        archive=next(iter(archives.values())),
    )


def read_archive(data: Path, archive: ArchiveConfig) -> TrackletTable:
    """The tracklets as training reads them."""
    return open_archive(
        data.absolute(),
        layout=archive.layout,
        min_frames=archive.min_frames,
        strict=archive.strict,
        fake_ir=archive.fake_ir,
    )


def test_rows(table: TrackletTable) -> TrackletTable:
    """The test split.

    Raises:
        DataError: The archive knows none; its rows are then those that training uses.
    """
    names = {"query", "gallery"} & {row.subset for row in table}
    if not names:
        raise DataError(
            f"{table.root} has no test split",
            expected="tracklets of subset query or gallery",
            todo="Score on people held out of training: --evaluate held-out --selection.held_out 0.2.",
        )
    return table.subset(*names)


def key_of(config: TrainConfig, *, listed: str) -> str:
    """Hash of what a run computes; settings that it does not read, and names, are left out.

    Only what differs from the defaults counts, so that a setting that xreid gains later changes no key.

    Args:
        config: The run's configuration, with its seed.
        listed: Hash of what the archive lists.
    """
    read = replace(config, preset="", scale="")
    if config.train.memory != "prompts":
        read = replace(read, prompts=PromptConfig())
    plain = differing(to_plain(read), to_plain(TrainConfig()))
    weights = Path(config.prompts.weights)
    if config.train.memory == "prompts" and weights.is_file():
        plain["prompts"] = {**plain.get("prompts", {}), "weights": sha256_of_file(weights)}
    return sha256_of_value({"config": plain, "data": listed})[:12]


def _run(config: TrainConfig, *, title: str, listed: str, out: Path, label: str) -> Run:
    key = key_of(config, listed=listed)
    readable = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    name = f"{readable}-seed{config.train.seed}-{key}"
    earlier = sorted((out / RUNS).glob(f"*-{key}"))
    folder = earlier[0] if earlier else out / RUNS / name
    return Run(key=key, title=title, config=config, folder=folder, label=label)


def _with_text_encoder(config: TrainConfig, asked: AblationConfig, *, out: Path) -> tuple[TrainConfig, str]:
    """At the tiny scale no CLIP fits: textual prompts get a random text encoder of the network's width."""
    given = "weights" in nested(asked.overrides).get("prompts", {})
    if config.train.memory != "prompts" or config.scale != "tiny" or given:
        return config, ""
    file = out / "random-text-encoder.safetensors"
    random_text_weights(file, width=config.network.projection)
    weights = str(file.absolute())
    return replace(config, prompts=replace(config.prompts, weights=weights)), RANDOM_TEXT


def _require_scorable(
    config: AblationConfig,
    resolved: Mapping[tuple[str, str], TrainConfig],
    archives: Mapping[ArchiveConfig, TrackletTable],
) -> None:
    for (table_name, row_name), found in resolved.items():
        if config.on == "held-out" and not found.selection.held_out:
            raise ConfigError(
                f"row {row_name!r} of {table_name} holds nobody out to score on",
                todo="Set --selection.held_out, for instance to 0.2.",
            )
    asked = [
        (
            each.archive,
            each.selection.held_out,
            sampling_at_test(each.batch, source=archives[each.archive].source),
            each.batch.frames,
        )
        for each in resolved.values()
    ]
    for archive, share, sampling, frames in dict.fromkeys(asked):
        for rows in _scorable_rows(config, archive, archives[archive], share=share):
            require_answers(
                rows,
                protocol_named(config.protocol, table=rows),
                directions=tuple(map(Direction.parse, config.directions)),
                made={"sampling": sampling, "frames": frames},
            )


def _scorable_rows(
    config: AblationConfig, archive: ArchiveConfig, table: TrackletTable, *, share: float
) -> list[TrackletTable]:
    """The test split, or for each seed those whom it holds out."""
    if config.on == "test":
        return [test_rows(table)]
    rows = training_rows(table, auxiliary=archive.auxiliary)
    held = [held_out_identities(rows, share=share, seed=seed) for seed in config.seeds]
    return [rows.take(i for i, row in enumerate(rows) if row.identity in names) for names in held]
