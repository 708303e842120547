"""`xreid gallery strangers GALLERY`: whether its calibration holds here, without a label."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from xreid.cli.gallery_options import AnswersOptions
from xreid.core.errors import ConfigError
from xreid.core.pacing import now_and_then
from xreid.evaluation.calibration import Calibration, read_calibration
from xreid.evaluation.site_check import KindCheck, Passed, SiteCheck, key_of

_WORDS = {
    "holds": "holds: surely not above three times the stated rate",
    "breaks": "BREAKS: surely above twice a stated rate; no probability is shown for such pairs",
    "unclear": "unclear: too few pairs to tell",
}
_NOT_KEPT = (
    "gallery strangers: not kept: the check that is there was made with a camera graph, and says more. "
    "Name it (--graph), or delete strangers*.json in {folder} first."
)


@dataclass(frozen=True, kw_only=True)
class StrangersOptions(AnswersOptions):
    """Hold the calibration against pairs of tracklets that cannot be of one person; nobody labels anything.

    Such pairs are seen at once by two cameras that do not overlap, twice in one picture, or nearer in time
    than the way between two cameras takes. What share of them passes a threshold is the false-accept rate
    here. The result is kept with the gallery: searches, alerts and the page use the thresholds of this place
    from then on, and where the calibration breaks they show no probability. Run it again as footage comes in.

    Attributes:
        graph: Camera graph (JSON or YAML); without one only pairs of one picture count, which are harder than
            pairs across cameras, and a check that was made with one is not replaced.
        calibration: Check this one before search and watch use it (their --calibration): calibration.json,
            a checkpoint or a run; default what the gallery's embeddings carry.
        dry_run: Only say; keep nothing.
        json: Print JSON instead of a table.
    """

    graph: Path | None = None
    calibration: Path | None = None
    dry_run: bool = False
    json: bool = False


def strangers(options: StrangersOptions) -> None:
    """Run `strangers`."""
    from xreid.retrieval.answers import answers_folder
    from xreid.retrieval.camera_graph_file import read_camera_graph
    from xreid.retrieval.gallery import Gallery
    from xreid.retrieval.strangers import check_gallery, keep_check, require_cameras

    graph = None if options.graph is None else read_camera_graph(options.graph)
    gallery = Gallery.open(options.gallery)
    require_cameras(gallery, graph)
    folder = None if options.dry_run else answers_folder(gallery, options.state)
    calibration = (
        gallery.calibration if options.calibration is None else read_calibration(options.calibration)
    )
    if calibration is None:
        raise ConfigError(
            f"{gallery.address} has no calibration that could be checked",
            todo="Calibrate the model (`xreid calibrate`), embed again and append; or name a calibration "
            "(--calibration RUN).",
        )
    lines = now_and_then(
        lambda done, total: print(f"gallery strangers: {done:,} of {total:,} pairs", file=sys.stderr)
    )
    check = check_gallery(gallery, calibration, graph=graph, progress=lines)
    if folder is not None:
        own = gallery.calibration is not None and key_of(gallery.calibration) == check.calibration
        if keep_check(folder, check, own=own) is None:
            print(_NOT_KEPT.format(folder=folder), file=sys.stderr)
    print(json.dumps(check.to_json(), indent=2) if options.json else _table(check, calibration))


def _table(check: SiteCheck, calibration: Calibration) -> str:
    lines = [f"{check.tracklets:,} tracklets; calibrated on {calibration.source}; 95% intervals", ""]
    for name in calibration.kinds:
        if name in check.kinds:
            lines.extend(_lines(name, check.kinds[name]))
        else:
            lines.append(f"{name}: too few pairs that cannot be of one person")
    return "\n".join(lines)


def _lines(name: str, kind: KindCheck) -> list[str]:
    where = "across cameras" if kind.across else "in one picture (harder than across cameras)"
    head = f"{name}: {kind.pairs:,} pairs of {kind.tracklets:,} tracklets, {where}: {_WORDS[kind.word]}"
    cuts = dict(kind.cuts)
    return [head, *(_line(one, cuts[one.far]) for one in kind.passed)]


def _line(one: Passed, cut: float) -> str:
    moved = "kept" if cut == one.cosine else f"here {cut:.3f}"
    return (
        f"    stated {100 * one.far:g}%: {100 * one.share:.2f}% [{100 * one.low:.2f}, {100 * one.high:.2f}] "
        f"pass ({one.pairs:,} pairs); threshold {one.cosine:.3f}, {moved}"
    )
