"""A published table beside ours, in a terminal."""

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ktgdsl.report.table import HEAD, Report, cells, notes

STATE = HEAD.index("state")
STYLES = {"done": "green", "failed": "red", "missing": "dim", "unfinished": "yellow"}


def show(report: Report, console: Console) -> None:
    """Prints the report, as wide as the terminal."""
    head, *lines = cells(report)
    grid = Grid(title=report.table.title, title_justify="left", title_style="bold")
    for number, name in enumerate(head):
        left = number in (0, STATE)
        grid.add_column(name, justify="left" if left else "right", no_wrap=number > 0)
    for standing, line in zip(report.standings, lines, strict=True):
        style = STYLES.get(standing.state, "")
        grid.add_row(*(Text(cell, style if at == STATE else "") for at, cell in enumerate(line)))
    console.print(grid)
    for note in notes(report):
        console.print(Text(note))
