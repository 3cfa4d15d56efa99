"""A published table beside our numbers, in a terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ktgdsl.report.table import HEADINGS, NOTHING, TableReport, cells, notes

STYLES = {"done": "green", "failed": "red", "to do": "dim", "begun": "yellow"}

LABEL_WIDTH = 24
"""Columns of the terminal that labels get at least, where one is as long."""

DISPENSABLE = ("steps", "runs", "node-epochs", "time", "d", "difference")
"""Columns that a narrow terminal goes without, in this order; empty ones go first."""


def show(report: TableReport, console: Console) -> None:
    """Print the report, as wide as the terminal; a long label takes several lines."""
    lines = cells(report)
    head = lines[0]
    fitting = _fitting_columns(lines, console.width)
    grid = Grid(title=report.table.title, title_justify="left", title_style="bold")
    for column in fitting:
        name = head[column]
        grid.add_column(
            name, justify="left" if name in (HEADINGS[0], "state") else "right", no_wrap=column > 0
        )
    for status, line in zip(report.statuses, lines[1:], strict=True):
        style = STYLES.get(status.state, "")
        grid.add_row(
            *(Text(line[column], style if head[column] == "state" else "") for column in fitting)
        )
    console.print(grid)
    if hidden := [name for column, name in enumerate(head) if column not in fitting]:
        console.print(Text(f"Not shown, as there is no room: {', '.join(hidden)}. A pipe has all."))
    for note in notes(report):
        console.print(Text(note))


def _fitting_columns(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that fit beside the labels."""
    columns = {column[0]: column for column in zip(*lines, strict=True)}
    widths = [max(map(cell_len, column)) for column in columns.values()]
    widths[0] = min(widths[0], LABEL_WIDTH)
    fitting = [*range(len(widths))]
    dispensable = [name for name in DISPENSABLE if name in columns]
    for name in sorted(dispensable, key=lambda name: {*columns[name][1:]} != {NOTHING}):
        # Each column has a space on both sides, and lines are between and around them.
        if sum(widths[column] + 3 for column in fitting) + 1 <= width:
            break
        fitting = [column for column in fitting if lines[0][column] != name]
    return fitting
