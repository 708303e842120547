"""The options of `xreid simulate SITE --site`, and what it does: a site with videos and the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from xreid.core.errors import ConfigError
from xreid.simulation.site_config import SiteConfig


@dataclass(frozen=True, kw_only=True)
class SimulateSiteOptions(SiteConfig):
    """Write a simulated site: videos of several cameras, true tracks and identities, the camera graph.

    `--preset default|small|tiny` sets several options at once; others override it.

    Attributes:
        out: Folder to write; a run that was killed is completed by the same command.
        workers: Processes; 0 for one per core. The pictures are the same for any number.
        contact_sheet: Write a picture of a moment of each camera and session to this file (.jpg or .png);
            without OUT only the picture is made.
        site: What this is; always given.
    """

    out: Path | None = None
    workers: int = 0
    contact_sheet: Path | None = None
    site: bool = True

    def configuration(self) -> SiteConfig:
        """The part that decides what is in the site."""
        return SiteConfig(**{f.name: getattr(self, f.name) for f in fields(SiteConfig)})


def write_site(options: SimulateSiteOptions, *, tell: Callable[[int, int], None]) -> None:
    """Write the site, then the contact sheet; print what was written.

    Raises:
        ConfigError: Neither is asked for, or the sheet's name is of no picture.
    """
    if options.out is None and options.contact_sheet is None:
        raise ConfigError("nothing to write", expected="OUT or --contact-sheet FILE")
    if options.contact_sheet is not None:
        from xreid.simulation.sheet import require_picture

        require_picture(options.contact_sheet)  # before minutes of drawing
    config = options.configuration()
    if options.out is not None:
        _write(config, options.out, workers=options.workers, tell=tell)
    if options.contact_sheet is not None:
        from xreid.simulation.sheet import write_picture
        from xreid.simulation.site_sheet import site_sheet

        write_picture(site_sheet(config), options.contact_sheet)
        print(f"contact sheet: {options.contact_sheet}")


def _write(config: SiteConfig, out: Path, *, workers: int, tell: Callable[[int, int], None]) -> None:
    from xreid.simulation.site import simulate_site

    start = time.perf_counter()
    summary = simulate_site(config, out, workers=workers, progress=tell)
    seconds = time.perf_counter() - start
    rate = f", {summary.rendered / seconds:.0f} frames/s" if summary.rendered else ""
    size = f"{config.cameras} cameras, {config.people} people"
    print(f"{summary.out}: site of {size}, synthetic, seed {config.seed}")
    print(f"{summary.videos} videos, {summary.frames} frames")
    print(f"{summary.rendered} frames written in {seconds:.1f} s{rate}")
