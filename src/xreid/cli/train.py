"""`xreid train`: an archive and a preset -> a run folder with a checkpoint, resumed by the same command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xreid.cli.options import VerbParser
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.training.config import TrainConfig
    from xreid.training.loop import TrainResult
    from xreid.training.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Train a model; killed and started again by the same command, it goes on where it was.

    Attributes:
        data: The archive: HITSZ-VCM, BUPTCampus, own table or folder tree, real or simulated.
        out: Folder of the run.
        preset: Where the configuration starts: paper (default), official or baseline.
        scale: Its size: vit-b16 (default; CLIP, 288 x 144 pixels) or tiny (from scratch, 64 x 32, for CPUs).
        config: YAML file of settings, over the preset; every run writes one.
        weights: Pre-trained encoder: hub name, file, or none; default that of the scale.
        device: auto, cpu, cuda or cuda:N; under torchrun each process takes its own.
        workers: Loader processes; 0 loads in a thread; default 0 on a CPU, up to 8 with a GPU.
        cache_mib: Memory for decoded frames in MiB.
        threads: Threads for arithmetic on the CPU; 0 for torch's own choice.
    """

    data: Path
    out: Path
    preset: str | None = None
    scale: str | None = None
    config: Path | None = None
    weights: str | None = None
    device: str = "auto"
    workers: int | None = None
    cache_mib: int = 1024
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ConfigError("threads must not be negative", got=str(self.threads))


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options, config = parse(argv)
    result = _train(options, config)
    if int(os.environ.get("RANK", "0")) == 0:
        print(_summary(options, result))
    return 0


def parse(argv: Sequence[str]) -> tuple[TrainOptions, TrainConfig]:
    """Options, and the configuration: preset, then YAML file, then command line.

    Raises:
        ConfigError: An option or setting is unknown, missing, of the wrong type or out of range.
    """
    from xreid.training.settings import SECTIONS, configuration

    words = _spelled(argv)
    early = _early(words)
    base = configuration(
        preset=early.preset, scale=early.scale, file=Path(early.config) if early.config else None
    )
    parser = VerbParser(
        prog="xreid train", description=(TrainOptions.__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    parser.add_class_arguments(TrainOptions)
    for name, section in SECTIONS.items():
        parser.add_class_arguments(section, name)
    parser.set_defaults(_flat(base, SECTIONS))
    built: dict[str, Any] = parser.instantiate(parser.parse_args(words)).as_dict()
    options = TrainOptions(**{field.name: built[field.name] for field in fields(TrainOptions)})
    config = replace(base, **{name: built[name] for name in SECTIONS})
    if options.weights is not None:
        weights = None if options.weights.lower() in ("none", "null") else options.weights
        config = replace(config, network=replace(config.network, weights=weights))
    return options, config


def _train(options: TrainOptions, config: TrainConfig) -> TrainResult:
    import torch

    from xreid.inference.processes import job, loader_workers
    from xreid.training.loop import train
    from xreid.training.pieces import Runtime

    if options.threads:
        torch.set_num_threads(options.threads)
    with job(options.device) as processes, _reporter(show=processes.is_first) as reporter:
        workers = loader_workers(options.workers, processes.device)
        return train(
            config,
            data=options.data,
            out=options.out,
            processes=processes,
            runtime=Runtime(workers=workers, cache_mib=options.cache_mib),
            reporter=reporter,
        )


@contextmanager
def _reporter(*, show: bool) -> Iterator[Reporter]:
    """A bar on a terminal, lines elsewhere, nothing on processes other than the first."""
    from rich.console import Console

    from xreid.training.progress import LineReporter, LiveReporter, Silent

    console = Console(file=sys.stderr)
    if not show:
        yield Silent()
    elif console.is_terminal:
        with LiveReporter(console) as live:
            yield live
    else:
        yield LineReporter()


def _summary(options: TrainOptions, result: TrainResult) -> str:
    if result.was_finished:
        return f"{options.out} was finished before; its model is {result.checkpoint}"
    kept = result.selection
    scores = ", ".join(f"{name} {100 * value:.1f}%" for name, value in kept["held_out_scores"].items())
    how = f" ({kept['keep']} epoch{', held-out ' + scores if scores else ''})"
    return f"model of epoch {kept['epoch']} of {kept['of_epochs']}{how}: {result.checkpoint}"


def _spelled(argv: Sequence[str]) -> list[str]:
    """The archive and the run may be given by place; hyphens in option names stand for underscores."""
    words, placed = list(argv), []
    for name in ("data", "out"):
        if words and not words[0].startswith("-"):
            placed.append(f"--{name}={words.pop(0)}")
    parts = [word.partition("=") for word in words]
    return placed + [
        (f"--{name[2:].replace('-', '_')}" if name.startswith("--") else name) + equals + value
        for name, equals, value in parts
    ]


def _early(words: Sequence[str]) -> argparse.Namespace:
    """The options that decide the defaults of all others."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("preset", "scale", "config"):
        parser.add_argument(f"--{name}")
    try:
        return parser.parse_known_args(list(words))[0]
    except argparse.ArgumentError as error:
        raise ConfigError(str(error), todo="See `xreid train --help`.") from error


def _flat(config: TrainConfig, sections: dict[str, type]) -> dict[str, Any]:
    """Settings by dotted name."""
    from xreid.core.records import to_plain

    flat: dict[str, Any] = {}

    def walk(values: dict[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk({name: values for name, values in to_plain(config).items() if name in sections}, "")
    return flat
