"""The options of `xreid simulate SITE --site`, and what it does: a site with videos and the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from xreid.simulation.site_config import SiteConfig


@dataclass(frozen=True, kw_only=True)
class SimulateSiteOptions(SiteConfig):
    """Write a simulated site: videos of several cameras, true tracks and identities, the camera graph.

    `--preset default|small|tiny` sets several options at once; others override it.

    Attributes:
        out: Folder to write; a run that was killed is completed by the same command.
        workers: Processes; 0 for one per core. The pictures are the same for any number.
        site: What this is; always given.
    """

    out: Path
    workers: int = 0
    site: bool = True

    def configuration(self) -> SiteConfig:
        """The part that decides what is in the site."""
        return SiteConfig(**{f.name: getattr(self, f.name) for f in fields(SiteConfig)})


def write_site(options: SimulateSiteOptions, *, tell: Callable[[int, int], None]) -> None:
    """Write the site; print what was written."""
    from xreid.simulation.site import simulate_site

    config = options.configuration()
    start = time.perf_counter()
    summary = simulate_site(config, options.out, workers=options.workers, progress=tell)
    seconds = time.perf_counter() - start
    rate = f", {summary.rendered / seconds:.0f} frames/s" if summary.rendered else ""
    size = f"{config.cameras} cameras, {config.people} people"
    print(f"{summary.out}: site of {size}, synthetic, seed {config.seed}")
    print(f"{summary.videos} videos, {summary.frames} frames")
    print(f"{summary.rendered} frames written in {seconds:.1f} s{rate}")
