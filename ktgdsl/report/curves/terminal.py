"""Charts as lines for a terminal or a pipe: curves of Braille dots, or of ASCII characters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from string import ascii_lowercase, ascii_uppercase

from ktgdsl.diagnostics.render import printable
from ktgdsl.report.curves.axis import Axis, epoch_axis, value_axis
from ktgdsl.report.curves.charts import Chart
from ktgdsl.report.curves.series import Point, Series

HEIGHT = 12
"""Lines of a chart between its axes."""

_MARK_EVERY, _MARK_SHIFT = 14, 3
"""Columns between two letters on a curve, and between those of two curves."""

_SPREAD_EVERY = 4  # dots
_MIN_COLUMNS = 10
_EPOCH = "epoch"
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a Braille character by line and column of its dots."""

_Dot = tuple[int, int]
"""Column and line, from the upper left corner."""

Piece = tuple[str, int | None]
"""A text, and the number of the curve whose colour it has, if any."""


@dataclass(frozen=True)
class Glyphs:
    """The characters that a chart is drawn with. `dots` says that curves are of Braille dots."""

    dots: bool
    side: str
    tick: str
    corner: str
    below: str
    tick_below: str
    phase: str
    deviation: str
    cut: str

    def shortened(self, text: str, width: int) -> str:
        """At most so many columns of a text."""
        return text if len(text) <= width else text[: max(0, width - 1)] + self.cut


BRAILLE = Glyphs(True, "│", "┤", "└", "─", "┬", "┊", "±", "…")
ASCII = Glyphs(False, "|", "+", "+", "-", "+", ":", "+-", "~")


class _Canvas:
    """Cells of characters, each with the curve whose colour it has; later curves cover earlier."""

    def __init__(self, columns: int, glyphs: Glyphs) -> None:
        self._glyphs = glyphs
        self._bits = [[0] * columns for _ in range(HEIGHT)]
        self._loose = [[0] * columns for _ in range(HEIGHT)]
        self._text = [[""] * columns for _ in range(HEIGHT)]
        self._owner: list[list[int | None]] = [[None] * columns for _ in range(HEIGHT)]
        self._across, self._down = (2, 4) if glyphs.dots else (1, 1)
        self._right, self._bottom = columns * self._across - 1, HEIGHT * self._down - 1

    def at(self, x: float, y: float) -> _Dot:
        """The dot at shares of the width, from the left, and of the height, from below."""
        return round(x * self._right), round((1 - y) * self._bottom)

    @property
    def fine(self) -> bool:
        """Whether a cell has several dots."""
        return self._glyphs.dots

    def cell(self, dot: _Dot) -> tuple[int, int]:
        """The line and the column of a dot."""
        return dot[1] // self._down, dot[0] // self._across

    def dot(self, dot: _Dot, owner: int | None, *, loose: bool = False) -> None:
        """Draw a dot of a curve. A loose one is seen only where no other dots are."""
        row, column = self.cell(dot)
        layer = self._loose if loose else self._bits
        layer[row][column] |= _BITS[dot[1] % 4][dot[0] % 2] if self._glyphs.dots else 1
        self._owner[row][column] = owner

    def write(self, row: int, column: int, text: str, owner: int | None = None) -> None:
        """Write a character over what is in its cell."""
        self._text[row][column], self._owner[row][column] = text, owner

    def line(self, row: int) -> Iterator[Piece]:
        """The characters of a line."""
        layers = self._bits[row], self._loose[row], self._text[row], self._owner[row]
        for firm, loose, text, owner in zip(*layers, strict=True):
            bits = firm or loose
            drawn = (chr(0x2800 + bits) if self._glyphs.dots else ".") if bits else " "
            yield text or drawn, owner


def terminal_chart(chart: Chart, width: int, glyphs: Glyphs = BRAILLE) -> list[list[Piece]]:
    """The lines of a chart: title, curves, axis, and what each curve has reached at its end.

    A letter on each curve is that of the line about it below the chart.

    Args:
        chart: what is drawn.
        width: columns that there are; a name that does not fit is cut.
        glyphs: `BRAILLE`, or `ASCII` where a terminal has only those.
    """
    values = value_axis(chart, most=5)
    gutter = max(len(_EPOCH) + 1, *(len(text) + 2 for text in values.texts))
    columns = max(_MIN_COLUMNS, width - gutter)
    epochs = epoch_axis(chart, most=max(2, columns // 10))
    canvas = _Canvas(columns, glyphs)
    _draw_phases(canvas, chart, epochs, glyphs)
    for curve in chart.background:
        _draw_curve(canvas, curve, values, epochs, None)
    marks = _marks([each.name for each in chart.series])
    for number, curve in enumerate(chart.series):
        _draw_spread(canvas, curve, values, epochs, number)
    cells = [
        _draw_curve(canvas, curve, values, epochs, number)
        for number, curve in enumerate(chart.series)
    ]
    for number, mark in enumerate(marks):
        for row, column in _marked(cells[number], number, len(marks)):
            canvas.write(row, column, mark, number)
    scale = ", logarithmic" if values.logarithmic else ""
    return [
        [(glyphs.shortened(printable(chart.title) + scale, width), None)],
        *_phase_names(chart, epochs, gutter, columns, glyphs),
        *_plot(canvas, values, gutter, glyphs),
        *_below(epochs, gutter, columns, glyphs),
        *_legend(chart, marks, width, glyphs),
    ]


def _draw_phases(canvas: _Canvas, chart: Chart, epochs: Axis, glyphs: Glyphs) -> None:
    """A line between two phases."""
    for phase in chart.phases[1:]:
        _, column = canvas.cell(canvas.at(epochs.place(phase.first - 0.5), 0))
        for row in range(HEIGHT):
            canvas.write(row, column, glyphs.phase)


def _draw_spread(canvas: _Canvas, curve: Series, values: Axis, epochs: Axis, number: int) -> None:
    """Loose dots one deviation above and below the mean; ASCII has no room for them."""
    if not canvas.fine:
        return
    for piece in curve.pieces:
        for bound in ("low", "high"):
            ends = [
                canvas.at(epochs.place(p.epoch), values.place(getattr(p, bound))) for p in piece
            ]
            for start, end in pairwise(ends):
                for dot in list(_between(start, end))[::_SPREAD_EVERY]:
                    canvas.dot(dot, number, loose=True)


def _draw_curve(
    canvas: _Canvas, curve: Series, values: Axis, epochs: Axis, number: int | None
) -> list[tuple[int, int]]:
    """The line of the means; its cells."""
    dots: list[_Dot] = []
    for piece in curve.pieces:
        ends = [canvas.at(epochs.place(p.epoch), values.place(p.mean)) for p in piece]
        dots += ends[:1]
        for start, end in pairwise(ends):
            dots += _between(start, end)
    for dot in dots:
        canvas.dot(dot, number)
    return [canvas.cell(dot) for dot in dots]


def _between(start: _Dot, end: _Dot) -> Iterator[_Dot]:
    """The dots of a straight line."""
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        share = step / steps
        yield round(x0 + (x1 - x0) * share), round(y0 + (y1 - y0) * share)


def _marked(
    cells: Sequence[tuple[int, int]], number: int, curves: int
) -> Iterator[tuple[int, int]]:
    """The cells of a curve that get its letter: for each curve others, and its last one."""
    every = max(_MARK_EVERY, _MARK_SHIFT * curves)
    wanted = {column for _, column in cells if (column - _MARK_SHIFT * number) % every == 2}
    for row, column in cells:
        if column in wanted:
            wanted.remove(column)
            yield row, column
    yield cells[-1]


def _marks(names: Sequence[str]) -> list[str]:
    """A letter for each curve: the first of its name where all of these differ."""
    first = [name[:1] for name in names]
    if len(set(first)) == len(first) and all(each.isascii() and each.isalnum() for each in first):
        return first
    letters = ascii_lowercase + ascii_uppercase
    return [letters[number % len(letters)] for number in range(len(names))]


def _phase_names(
    chart: Chart, epochs: Axis, gutter: int, columns: int, glyphs: Glyphs
) -> Iterator[list[Piece]]:
    """The names of the phases over their epochs."""
    line = ""
    for phase, after in zip_longest(chart.phases, chart.phases[1:]):
        start = round(epochs.place(phase.first - 0.5) * (columns - 1)) + 1
        end = columns if after is None else round(epochs.place(after.first - 0.5) * (columns - 1))
        start = 0 if phase is chart.phases[0] else start
        line = f"{line:<{start}}{glyphs.shortened(printable(phase.name), end - start)}"
    if line:
        yield [(" " * gutter + line, None)]


def _plot(canvas: _Canvas, values: Axis, gutter: int, glyphs: Glyphs) -> Iterator[list[Piece]]:
    """The curves, behind the axis of their values."""
    texts = {
        canvas.cell(canvas.at(0, values.place(tick)))[0]: text
        for tick, text in zip(values.ticks, values.texts, strict=True)
    }
    for row in range(HEIGHT):
        text = texts.get(row, "")
        side = glyphs.tick if text else glyphs.side
        yield [(f"{text:>{gutter - 2}} {side}", None), *canvas.line(row)]


def _below(epochs: Axis, gutter: int, columns: int, glyphs: Glyphs) -> Iterator[list[Piece]]:
    """The axis of the epochs, and its texts, as many as there is room for."""
    places = [round(epochs.place(tick) * (columns - 1)) for tick in epochs.ticks]
    axis = [glyphs.below] * columns
    texts = ""
    for place, text in zip(places, epochs.texts, strict=True):
        axis[place] = glyphs.tick_below
        start = min(max(0, place - len(text) // 2), columns - len(text))
        if not texts or start > len(texts):
            texts = f"{texts:<{start}}{text}"
    yield [(" " * (gutter - 1) + glyphs.corner + "".join(axis), None)]
    yield [(f"{_EPOCH:<{gutter}}{texts}", None)]


def _legend(
    chart: Chart, marks: Sequence[str], width: int, glyphs: Glyphs
) -> Iterator[list[Piece]]:
    """The legend: the title of the values, then the letter, name and last value of each curve."""
    last = [each.last for each in chart.series]
    together = len({(each.epoch, each.n) for each in last}) == 1
    if together:
        repeats = f", mean and deviation of {last[0].n} repeats" if last[0].n > 1 else ""
        head = f"after epoch {last[0].epoch:,}{repeats}"
        yield [(glyphs.shortened(head, width), None)]
    names = [printable(each.name) for each in chart.series]
    names = [""] * len(names) if names == list(marks) else names
    values = [
        _value_text(each, chart.digits, glyphs) + ("" if together else f"  {_end_text(each)}")
        for each in last
    ]
    widest = min(max(map(len, names)), max(4, width - 7 - max(map(len, values))))
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        cut = glyphs.shortened(name, widest)
        between = "  " if widest else ""
        yield [(f"  {marks[number]}", number), (f"  {cut:<{widest}}{between}{value}", None)]


def _end_text(last: Point) -> str:
    return f"after epoch {last.epoch:,}{f', n = {last.n}' if last.n > 1 else ''}"


def _value_text(last: Point, digits: int, glyphs: Glyphs) -> str:
    spread = "" if last.std is None else f" {glyphs.deviation} {last.std:.{digits}f}"
    return f"{last.mean:.{digits}f}{spread}"
