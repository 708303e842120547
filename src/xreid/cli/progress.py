"""What a verb tells on standard error while it works through tracklets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xreid.core.pacing import Tell, now_and_then


def tracklet_lines(verb: str) -> Tell:
    """A line every ten seconds."""
    return now_and_then(
        lambda done, total: print(f"{verb}: {done} of {total} tracklets", file=sys.stderr, flush=True)
    )


@contextmanager
def tracklet_progress(verb: str, *, show: bool = True) -> Iterator[tuple[Tell, Callable[[str], None]]]:
    """A bar on a terminal, elsewhere a line every ten seconds; and remarks above it.

    Args:
        verb: Begins every line.
        show: False on processes other than the first: nothing is told.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("tracklets"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    live = show and console.is_terminal
    line = tracklet_lines(verb)
    with Progress(*columns, console=console, transient=True, disable=not live) as bar:
        task = bar.add_task("tracklets", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if show and not live:
                line(done, total)

        def note(text: str) -> None:
            if show:
                bar.console.print(f"{verb}: {text}", highlight=False, markup=False)

        yield tell, note
