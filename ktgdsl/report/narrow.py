"""Fits tables and lines into narrow terminals: leaves out less important columns, cuts no word."""

from collections.abc import Sequence

from ktgdsl.report.formatting import shortened, wrapped

BETWEEN = "  "
"""Between two parts of a line."""


def fitting_columns(widths: Sequence[int], dispensable: Sequence[int], room: int) -> list[int]:
    """The columns of a table that fit, in order.

    Args:
        widths: of each column, with what separates it from the next.
        dispensable: the columns to go without, the least important first.
        room: columns of the terminal. If what is not dispensable needs more, it is left all the
            same.
    """
    fitting = [*range(len(widths))]
    for column in dispensable:
        if sum(widths[each] for each in fitting) <= room:
            break
        fitting.remove(column)
    return fitting


def blocks(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table as lines, if its columns do not fit beside each other.

    The first cell of a row has a line of its own. Under it is each other one that is not empty,
    behind its heading.
    """
    names = max(map(len, head[1:]))
    lines: list[str] = []
    for first, *others in rows:
        lines += wrapped(first, width).split("\n")
        for name, cell in zip(head[1:], others, strict=True):
            if cell:
                lines += wrapped(f"  {name:<{names}}{BETWEEN}{cell}", width).split("\n")
    return lines


def fitting_parts(parts: Sequence[str], width: int) -> str:
    """A line of as many of the parts as fit, each with what is before it.

    The first two are there at any rate, cut at a word where they do not fit.
    """
    line = "".join(parts[:2])
    for part in parts[2:]:
        if len(line) + len(part) > width:
            break
        line += part
    return shortened(line, width)
