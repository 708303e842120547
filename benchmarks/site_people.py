"""The people of simulated sites, cut by their true tracks, as own data to train or to calibrate on.

    xreid simulate SITE11 --site --seed 11 --workers 2      # other seeds than the site that is measured
    python -m benchmarks.site_people OUT SITE11 SITE12      # killed, it goes on where it was
    xreid train OUT RUN --archive.single_modality skip ...

This is what an operator has who labelled some footage of their own cameras. People and cameras are named by
the site's seed; no two seeds share any.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from benchmarks.site import cuts_of, filmed, ingest_true, with_identities
from xreid.core.embeddings import write_table
from xreid.core.tracklets import Tracklet, TrackletTable
from xreid.simulation.site import read_site


def people_of(site: Path, out: Path, *, subset: str) -> list[Tracklet]:
    """The tracklets of a site, ingested into out/SEED; frames relative to `out`."""
    seed = str(read_site(site)["config"]["seed"])
    folder, videos = out / seed, filmed(site)
    ingest_true(videos, folder)
    table = with_identities(folder, cuts_of(folder, videos), videos)
    return [
        dataclasses.replace(
            row,
            name=f"{seed}-{row.name}",
            identity=f"{seed}-{row.identity}",
            camera=f"{seed}-{row.camera}",
            subset=subset,
            frames=tuple(f"{seed}/{frame}" for frame in row.frames),
        )
        for row in table.rows
        if row.identity and not row.identity.startswith("stranger-")
    ]


def main() -> None:
    """Cut the sites' people out of the videos and write them as one archive with a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("sites", type=Path, nargs="+")
    parser.add_argument("--subset", default="train")
    options = parser.parse_args()
    rows = [row for site in options.sites for row in people_of(site, options.out, subset=options.subset)]
    table = TrackletTable(root=options.out, rows=tuple(rows), source="simulated sites", licence="synthetic")
    write_table(table, options.out / "tracklets.parquet")
    print(f"{len({row.identity for row in rows})} people, {len(rows)} tracklets: {options.out}")


if __name__ == "__main__":
    main()
