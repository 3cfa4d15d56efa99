"""A published table beside ours, in a terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ktgdsl.report.table import HEAD, NOTHING, Report, cells, notes

STYLES = {"done": "green", "failed": "red", "to do": "dim", "begun": "yellow"}

LABEL = 24
"""Columns that are kept for labels, where one is as long."""

SPARED = ("steps", "runs", "node-epochs", "time", "d", "difference")
"""What a narrow terminal goes without, the first first; before them those that are empty."""


def show(report: Report, console: Console) -> None:
    """Prints the report, as wide as the terminal; a long label takes several lines."""
    lines = cells(report)
    head = lines[0]
    kept = _kept(lines, console.width)
    grid = Grid(title=report.table.title, title_justify="left", title_style="bold")
    for at in kept:
        name = head[at]
        grid.add_column(
            name, justify="left" if name in (HEAD[0], "state") else "right", no_wrap=at > 0
        )
    for standing, line in zip(report.standings, lines[1:], strict=True):
        style = STYLES.get(standing.state, "")
        grid.add_row(*(Text(line[at], style if head[at] == "state" else "") for at in kept))
    console.print(grid)
    if spared := [name for at, name in enumerate(head) if at not in kept]:
        console.print(Text(f"Not shown, as there is no room: {', '.join(spared)}. A pipe has all."))
    for note in notes(report):
        console.print(Text(note))


def _kept(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Which columns fit beside the labels."""
    columns = {column[0]: column for column in zip(*lines, strict=True)}
    widths = [max(map(cell_len, column)) for column in columns.values()]
    widths[0] = min(widths[0], LABEL)
    kept = [*range(len(widths))]
    spared = [name for name in SPARED if name in columns]
    for name in sorted(spared, key=lambda name: {*columns[name][1:]} != {NOTHING}):
        # Each column has a space on both sides, and lines are between and around them.
        if sum(widths[at] + 3 for at in kept) + 1 <= width:
            break
        kept = [at for at in kept if lines[0][at] != name]
    return kept
