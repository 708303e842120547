"""xreid verify: check an archive before using it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from xreid.cli.options import parse
from xreid.core.errors import ConfigError
from xreid.core.files import write_json
from xreid.data.archive import Layout
from xreid.data.verify import Counts, Frames, verify_archive


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Check an archive: counts, lists, identities, every frame. Exit code 0 fine, 1 problems, 2 cannot check.

    Attributes:
        root: The archive: HITSZ-VCM, BUPTCampus, an own table or a folder tree.
        layout: Its layout; "auto" decides by structure.
        counts: "official" demands the published counts, "any" only sound structure; "auto" is official for
            HITSZ-VCM and BUPTCampus unless the archive is simulated.
        frames: "decode" opens every listed frame, "exist" only looks for the files, "skip" neither.
        fake_ir: Also check the FakeIR frames of BUPTCampus.
        strict: Accept own tables whose tracklets mix people, since a strict reader drops those frames.
        workers: Processes that open frames; 0 for one per core.
        examples: Lines shown of each trouble; the report has all.
        report: Write everything found as JSON to this file.
    """

    root: Path
    layout: Layout = "auto"
    counts: Counts = "auto"
    frames: Frames = "decode"
    fake_ir: bool = False
    strict: bool = False
    workers: int = 0
    examples: int = 3
    report: Path | None = None

    def __post_init__(self) -> None:
        if self.workers < 0 or self.examples < 0:
            raise ConfigError("workers and examples must not be negative")


def main(argv: Sequence[str]) -> int:
    """Verify an archive and print what was found."""
    options = parse(VerifyOptions, argv, verb="verify", positional=("root",))
    console = Console(file=sys.stderr)
    columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("frames", total=None)
        report = verify_archive(
            options.root,
            layout=options.layout,
            counts=options.counts,
            frames=options.frames,
            fake_ir=options.fake_ir,
            strict=options.strict,
            workers=options.workers or None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print("\n".join(report.lines(examples=options.examples)))
    if options.report is not None:
        write_json(options.report, report.as_json())
        print(f"report: {options.report}")
    return 0 if report.ok else 1
