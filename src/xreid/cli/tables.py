"""Tables on the command line: names are to be copied, so nothing of them is cut off."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def print_table(table: Table, console: Console | None = None) -> None:
    """Print a table: in files and pipes rows stay rows, however wide; a terminal folds what does not fit."""
    console = console or Console(markup=False, highlight=False)
    for column in table.columns:
        column.overflow = "fold"
    width = console.width
    if not console.is_terminal:
        console.width = max(
            width, console.measure(table, options=console.options.update(width=10_000)).maximum
        )
    console.print(table)
    console.width = width
