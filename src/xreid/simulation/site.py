"""Writes a simulated site: videos, true tracks and identities, the camera graph; resumable after a kill.

The folder, once finished:
    site.json            configuration, encoder, counts
    graph.json           the cameras, the ways between them and how long these take
    people.csv           who passed which camera when and in which spectrum
    videos/NAME.mp4      a recording, NAME = camera and time of the first frame
    truth/NAME.txt       its true tracks, MOT ground truth (the last column is visibility)
    truth/NAME.json      its camera, time, spectra frame by frame and whose tracks these are
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xreid.core.files import atomic_file, write_json
from xreid.simulation.marker import begin
from xreid.simulation.pool import check_workers, spread
from xreid.simulation.site_config import SiteConfig
from xreid.simulation.site_map import graph
from xreid.simulation.site_plan import Recording, recordings
from xreid.simulation.site_truth import Witness, write_people, write_tracks, write_truth
from xreid.simulation.site_video import encoder_versions, write_video

FORMAT_VERSION = 1
MARKER, VIDEOS, TRUTH = "site.json", "videos", "truth"
NOTE = (
    "SYNTHETIC: every frame of these videos was computed by `xreid simulate --site`. They show no real "
    "person or place. Scores on them say nothing about real cameras."
)


@dataclass(frozen=True, kw_only=True)
class SiteSummary:
    """What a site holds.

    Attributes:
        out: Its folder.
        videos: Number of video files.
        frames: Frames in all of them.
        rendered: How many of them this run wrote.
    """

    out: Path
    videos: int
    frames: int
    rendered: int


def simulate_site(
    config: SiteConfig,
    out: Path,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SiteSummary:
    """Write a simulated site; a run that was killed is completed by the same call, video by video.

    The pictures are the same for any number of processes; the bytes of the video files also depend on the
    version of the encoder, which site.json names.

    Args:
        config: What to simulate.
        out: Folder to write; new, empty, or begun with the same configuration.
        workers: Processes; 0 = one per processor, 1 = in this process.
        progress: Called with (frames done, frames in all) now and then.

    Raises:
        ConfigError: The folder holds something else or was begun with another configuration.
        XReidError: It cannot be written, or there is no encoder.
    """
    check_workers(workers)
    description = {
        "format": FORMAT_VERSION,
        "note": NOTE,
        "config": config.resolved(),
        "written_by": encoder_versions(),
    }
    files = recordings(config)
    total = sum(file.frames for file in files)
    if begin(out, marker=MARKER, description=description):
        progress(total, total)
        return SiteSummary(out=out, videos=len(files), frames=total, rendered=0)
    for folder in (out / VIDEOS, out / TRUTH):
        for leftover in folder.glob(".*"):  # of a run that was killed while it wrote
            leftover.unlink(missing_ok=True)
    done = rendered = 0
    for count, new in spread(partial(_record, config, out), files, workers=workers):
        done, rendered = done + count, rendered + new
        progress(done, total)
    write_json(out / "graph.json", graph(config))
    write_people(out / "people.csv", [out / TRUTH / f"{file.name}.json" for file in files])
    counts = {"videos": len(files), "frames": total}
    write_json(out / MARKER, description | {"complete": True, "counts": counts})
    return SiteSummary(out=out, videos=len(files), frames=total, rendered=rendered)


def _record(config: SiteConfig, out: Path, recording: Recording) -> tuple[int, int]:
    """Write one video and its truth unless they are there; frames it has, frames written now."""
    from xreid.simulation.site_film import film

    truth = out / TRUTH / f"{recording.name}.json"
    if truth.is_file():  # written last
        return recording.frames, 0
    witness = Witness()
    with atomic_file(out / VIDEOS / f"{recording.name}.mp4") as temporary:
        images = (frame.image for frame in witness.watch(film(config, recording)))
        write_video(temporary, images, fps=config.fps, start_s=recording.start_s, crf=config.crf)
    write_tracks(out / TRUTH / f"{recording.name}.txt", witness.rows)
    write_truth(truth, config, recording, witness)
    return recording.frames, recording.frames


def read_site(out: Path) -> dict[str, Any]:
    """The contents of a finished site's marker.

    Raises:
        DataError: There is none.
    """
    from xreid.core.errors import DataError
    from xreid.core.files import read_json

    found = read_json(out / MARKER, what="site")
    if not isinstance(found, dict) or not found.get("complete"):
        raise DataError(f"{out} is no finished site", todo="Run the same `xreid simulate --site` again.")
    return found
