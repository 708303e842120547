"""`xreid ingest VIDEO OUT`: a video file or a folder of images -> tracklets, resumed by the same command."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from xreid.cli.options import parse
from xreid.retrieval.ingest_config import IngestConfig, IngestReport

_LINE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class IngestOptions(IngestConfig):
    """Cut tracklets from a video; killed and started again by the same command, it goes on where it was.

    Attributes:
        video: A video file of any container, or a folder of images in natural order.
        out: Folder to write: crops, tracklets.parquet, tracks.txt, ingest.json.
    """

    video: Path
    out: Path


def main(argv: Sequence[str]) -> int:
    """Run the verb."""
    options = parse(IngestOptions, argv, verb="ingest", positional=("video", "out"))
    from xreid.retrieval.ingest import ingest_video

    config = IngestConfig(**{field.name: getattr(options, field.name) for field in fields(IngestConfig)})
    start = time.perf_counter()
    with _progress() as (tell, note):
        report = ingest_video(options.video, options.out, config=config, tell=tell, note=note)
    _print(report, options.out, seconds=time.perf_counter() - start)
    return 0


def _print(report: IngestReport, out: Path, *, seconds: float) -> None:
    infrared = report.tracklets - report.visible
    spectra = " and ".join(
        f"{count} {name}" for count, name in ((report.visible, "visible"), (infrared, "infrared")) if count
    )
    rate = report.frames / max(seconds, 1e-9)
    print(f"{out}: {report.tracklets} tracklets ({spectra}), {report.crops} pictures")
    print(f"{report.frames} frames in {seconds:.1f} s ({rate:.0f} frames/s)")
    for text, count in report.left_out().items():
        print(f"left out or mended: {count} {text}")


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int, int | None], None], Callable[[str], None]]]:
    """A bar with the time left on a terminal, elsewhere a line every ten seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    live, first = console.is_terminal, time.perf_counter()
    last = first
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        task = bar.add_task("frames", total=None)
        started = 0

        def tell(done: int, total: int | None) -> None:
            nonlocal last, started
            started = started or done  # a resumed ingest starts late
            bar.update(task, completed=done, total=total)
            now = time.perf_counter()
            if not live and now > last + _LINE_SECONDS:
                last = now
                pace = (now - first) / max(done - started, 1)
                left = f", {(total - done) * pace:.0f} s left" if total else ""
                print(f"ingest: frame {done} of {total or '?'}{left}", file=sys.stderr, flush=True)

        def note(text: str) -> None:
            bar.console.print(f"ingest: {text}", highlight=False)

        yield tell, note
