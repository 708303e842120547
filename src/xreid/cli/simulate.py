"""`xreid simulate OUT`: write a simulated archive, a contact sheet of it, or both; with `--site` a site."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from xreid.cli.options import parse
from xreid.core.errors import ConfigError
from xreid.simulation.config import SimulationConfig, preset_options


@dataclass(frozen=True, kw_only=True)
class SimulateOptions(SimulationConfig):
    """Write a simulated archive in the tree of HITSZ-VCM or BUPTCampus. Everything in it is synthetic.

    `--preset default|large|small|tiny|clean|hard|uniform` sets several options at once; others override it.

    Attributes:
        out: Folder to write; a run that was killed is completed by the same command.
        workers: Processes; 0 for one per core. The files are the same for any number.
        contact_sheet: Write a picture of some people in both spectra to this file (.jpg or .png); without
            OUT only the picture is made.
        site: Write a site instead: cameras, videos, true tracks; see `xreid simulate --site --help`.
    """

    out: Path | None = None
    workers: int = 0
    contact_sheet: Path | None = None
    site: bool = False

    def configuration(self) -> SimulationConfig:
        """The part that decides what is in the archive."""
        return SimulationConfig(**{f.name: getattr(self, f.name) for f in fields(SimulationConfig)})


def main(argv: Sequence[str]) -> int:
    """Write the archive, then the contact sheet; print what was written."""
    if any(word in ("--site", "--site=true") for word in argv):
        return _site(argv)
    options = parse(
        SimulateOptions, _expand_preset(argv, preset_options), verb="simulate", positional=("out",)
    )
    if options.out is None and options.contact_sheet is None:
        raise ConfigError("nothing to write", expected="OUT or --contact-sheet FILE")
    if options.contact_sheet is not None:
        from xreid.simulation.sheet import require_picture

        require_picture(options.contact_sheet)  # before minutes of drawing
    config = options.configuration()
    if options.out is not None:
        from xreid.simulation.generate import simulate

        start = time.perf_counter()
        with _frame_progress() as tell:
            summary = simulate(config, options.out, workers=options.workers, progress=tell)
        seconds = time.perf_counter() - start
        rate = f", {summary.rendered / seconds:.0f} frames/s" if summary.rendered else ""
        print(f"{summary.out}: {config.layout}, synthetic, seed {config.seed}")
        print(f"{summary.identities} people, {summary.walks} walks, {summary.frames} frames")
        print(f"{summary.rendered} frames written in {seconds:.1f} s{rate}")
    if options.contact_sheet is not None:
        from xreid.simulation.sheet import write_contact_sheet

        write_contact_sheet(config, options.contact_sheet)
        print(f"contact sheet: {options.contact_sheet}")
    return 0


def _site(argv: Sequence[str]) -> int:
    """Write a site instead."""
    from xreid.cli.simulate_site import SimulateSiteOptions, write_site
    from xreid.simulation.site_config import site_preset_options

    words = _expand_preset(argv, site_preset_options)
    options = parse(SimulateSiteOptions, words, verb="simulate --site", positional=("out",))
    with _frame_progress() as tell:
        write_site(options, tell=tell)
    return 0


def _expand_preset(argv: Sequence[str], options_of: Callable[[str], list[str]]) -> list[str]:
    """Replace `--preset NAME` by the options it stands for, before all others, so that those override it."""
    words, preset = list(argv), None
    for i, word in enumerate(words):
        if word == "--preset":
            if i + 1 == len(words):
                raise ConfigError("--preset needs a name")
            preset = words[i + 1]
            del words[i : i + 2]
            break
        if word.startswith("--preset="):
            preset = word.partition("=")[2]
            del words[i]
            break
    if preset is None:
        return words
    place = 1 if words and not words[0].startswith("-") else 0
    return words[:place] + options_of(preset) + words[place:]


@contextmanager
def _frame_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line for every tenth."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        tenths = 0

        def line(done: int, total: int) -> None:
            nonlocal tenths
            if done * 10 // total > tenths:
                tenths = done * 10 // total
                print(f"simulate: {done} of {total} frames", file=sys.stderr, flush=True)

        yield line
        return
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("frames", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
