"""`xreid ablate`: the tables and figures of the paper, or rows of one's own, with seeds and paired tests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xreid.cli.options import VerbParser, parse
from xreid.core.errors import ConfigError

if TYPE_CHECKING:
    from xreid.training.ablation import Ablation


@dataclass(frozen=True, kw_only=True)
class AblateOptions:
    """Train and score the rows of tables; every setting of `xreid train` may follow, for all rows alike.

    Attributes:
        tables: table3, table4, table5, fig4, fig5, rivals, all, or files NAME.yaml with rows of one's own.
        data: The archive.
        out: Folder for runs, tables, figures and index.html; the same command goes on where it was.
        scale: Size of every row: vit-b16 or tiny.
        seeds: Training seeds of every row.
        first_seed: The first of them.
        evaluate: Score on the test split, or on people held out of training (--selection.held_out), by whom
            choices may be made.
        settings: YAML file of settings for all rows, as `xreid train --config` reads it.
        weights: Pre-trained encoder of all rows: hub name, file, or none; default that of the scale.
        protocol: Evaluation protocol; auto decides by the archive.
        directions: I2V, V2I, or pairs such as 'vis->vis'.
        jobs: Runs side by side; default one per GPU, without GPUs one per core; 0 for this process alone.
        threads: Threads of each run; 0 for cores / jobs.
        device: auto, cpu or cuda; CUDA_VISIBLE_DEVICES says which GPUs.
        workers: Loader processes of each run; default 0 on a CPU, up to 8 with a GPU.
        cache_mib: Memory of each run for decoded frames in MiB.
        report_only: Train nothing; write tables and figures from the runs that are done.
        resamples: Bootstrap draws.
        confidence: Coverage of the intervals.
    """

    tables: list[str]
    data: Path
    out: Path
    scale: Literal["vit-b16", "tiny"] = "vit-b16"
    seeds: int = 3
    first_seed: int = 0
    evaluate: Literal["test", "held-out"] = "test"
    settings: Path | None = None
    weights: str | None = None
    protocol: str = "auto"
    directions: list[str] = field(default_factory=lambda: ["I2V", "V2I"])
    jobs: int | None = None
    threads: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int | None = None
    cache_mib: int = 1024
    report_only: bool = False
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, low in (("seeds", 1), ("first_seed", 0)):
            if getattr(self, name) < low:
                raise ConfigError(
                    f"--{name} is too small", expected=f"{low} or more", got=str(getattr(self, name))
                )
        if not self.tables or not self.directions:
            raise ConfigError("tables or directions are empty", todo="See `xreid ablate --help`.")


def main(argv: Sequence[str]) -> int:
    """Run the verb: 0, or 2 if a run failed."""
    options, overrides = _parse(argv)
    done = _ablate(options, overrides)
    for folder, results in zip(done.folders, done.tables, strict=True):
        print(_shown(results))
        print(f"wrote {folder}/results.json, table.md, table.tex, table.csv, figure.png, figure.svg")
    print(f"wrote {done.page}")
    for folder_name, problem in done.failures.items():
        print(f"xreid: error: {folder_name}: {problem}", file=sys.stderr)
    return 2 if done.failures else 0


def _parse(argv: Sequence[str]) -> tuple[AblateOptions, dict[str, Any]]:
    """Options, and the settings for all rows: those of the YAML file, then those of the command line.

    Raises:
        ConfigError: An option or setting is unknown, missing or of the wrong type.
    """
    own, settings = _split(argv)
    options = parse(AblateOptions, own, verb="ablate", positional=("tables",))
    overrides: dict[str, Any] = {}
    if options.settings is not None:
        from xreid.training.settings import read_settings

        overrides |= read_settings(options.settings)
    if options.weights is not None:
        absent = options.weights.lower() in ("none", "null")
        overrides["network.weights"] = None if absent else options.weights
    return options, overrides | _typed(settings)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words of the verb's own options, and words of settings, which have a dot in their name."""
    own: list[str] = []
    settings: list[str] = []
    mine = own
    for word in argv:
        if word.startswith("--"):
            mine = settings if "." in word.partition("=")[0] else own
        mine.append(word)
    return own, settings


def _typed(words: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted name, checked against their types; only those that were given."""
    if not words:
        return {}
    from xreid.training.settings import SECTIONS

    parser = VerbParser(prog="xreid ablate", allow_abbrev=False)
    for name, section in SECTIONS.items():
        parser.add_class_arguments(section, name)
    plain = [f"--{w[2:].replace('-', '_')}" if w.startswith("--") and "=" not in w else w for w in words]
    found = parser.parse_args(plain)
    names = [w.removeprefix("--").partition("=")[0].replace("-", "_") for w in words if w.startswith("--")]
    return {name: list(v) if isinstance(v := found[name], tuple) else v for name in names}


def _ablate(options: AblateOptions, overrides: dict[str, Any]) -> Ablation:
    from xreid.evaluation.intervals import Bootstrap
    from xreid.training.ablation import ablate
    from xreid.training.ablation_plan import AblationConfig
    from xreid.training.ablation_pool import Machine
    from xreid.training.ablation_tables import tables_named

    config = AblationConfig(
        scale=options.scale,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        overrides=overrides,
        on=options.evaluate,
        protocol=options.protocol,
        directions=tuple(dict.fromkeys(options.directions)),
        bootstrap=Bootstrap(resamples=options.resamples, confidence=options.confidence),
    )
    machine = Machine(**{f.name: getattr(options, f.name) for f in fields(Machine)})
    return ablate(
        tables_named(options.tables),
        config,
        data=options.data,
        out=options.out,
        machine=machine,
        train=not options.report_only,
    )


def _shown(results: dict[str, Any]) -> str:
    """A table for a terminal."""
    from xreid.training.ablation_text import difference_rows, facts, heads, score_rows

    lines = [["", *heads(results)], *([name, *cells] for name, cells in score_rows(results))]
    lines += [[f"{n} - {a}", *cells] for n, a, cells in difference_rows(results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    body = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([results["title"], *facts(results), *(f"! {note}" for note in results["notes"]), *body])
