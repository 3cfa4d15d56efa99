"""A published table beside our numbers, in a terminal."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ktgdsl.report.narrow import blocks, fitting_columns
from ktgdsl.report.table import HEADINGS, NOTHING, TableReport, cells, notes

STYLES = {"done": "green", "failed": "red", "to do": "dim", "begun": "yellow"}

LABEL_WIDTH = 24
"""Columns of the terminal that labels get at least, where one is as long."""

DISPENSABLE = ("steps", "runs", "node-epochs", "time", "d", "difference")
"""Columns that a narrow terminal goes without, in this order; empty ones go first."""

Line = tuple[str, ...]


def show(report: TableReport, console: Console) -> None:
    """Print the report, as wide as the terminal; a long label takes several lines.

    Where the columns do not fit beside each other a row is a paragraph.
    """
    whole = cells(report)
    lines, fitting = _fitted(whole, console.width)
    if fitting:
        console.print(_grid(report, lines, fitting))
        if hidden := [name for column, name in enumerate(lines[0]) if column not in fitting]:
            names = ", ".join(hidden)
            console.print(Text(f"Not shown, as there is no room: {names}. A pipe has all."))
    else:
        console.print(Text(report.table.title, style="bold"))
        known = [["" if cell == NOTHING else cell for cell in line] for line in whole[1:]]
        console.print(Text("\n".join(blocks(whole[0], known, console.width))))
    for note in notes(report):
        console.print(Text(note))


def _fitted(lines: list[Line], width: int) -> tuple[list[Line], list[int]]:
    """The lines, with cells of two lines where that is needed, and the columns that fit, or none.

    A label has to have room for its longest word.
    """
    folded = [lines[0], *(tuple(c.replace(" (n", "\n(n") for c in line) for line in lines[1:])]
    longest = max(cell_len(word) for line in lines for word in line[0].split())
    for each, label in ((lines, LABEL_WIDTH), (lines, longest), (folded, longest)):
        fitting, needed = _columns(each, label, width)
        if needed <= width:
            return each, fitting
    return lines, []


def _columns(lines: Sequence[Line], label: int, width: int) -> tuple[list[int], int]:
    """The columns that fit beside labels of that width, and how wide the terminal has to be."""
    columns = [*zip(*lines, strict=True)]
    texts = [[text for cell in column for text in cell.split("\n")] for column in columns]
    widths = [max(map(cell_len, column)) for column in texts]
    widths[0] = min(widths[0], label)
    # Each column has a space on both sides, and lines are between and around them.
    widths = [each + 3 for each in widths]
    order = [lines[0].index(name) for name in DISPENSABLE if name in lines[0]]
    order.sort(key=lambda column: {*columns[column][1:]} != {NOTHING})
    fitting = fitting_columns(widths, order, width - 1)
    return fitting, sum(widths[column] for column in fitting) + 1


def _grid(report: TableReport, lines: Sequence[Line], fitting: Sequence[int]) -> Grid:
    head = lines[0]
    grid = Grid(title=report.table.title, title_justify="left", title_style="bold")
    for column in fitting:
        name = head[column]
        left = name in (HEADINGS[0], "state")
        grid.add_column(name, justify="left" if left else "right", no_wrap=column > 0)
    for status, line in zip(report.statuses, lines[1:], strict=True):
        style = STYLES.get(status.state, "")
        grid.add_row(
            *(Text(line[column], style if head[column] == "state" else "") for column in fitting)
        )
    return grid
