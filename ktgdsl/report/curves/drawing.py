"""Draws a chart as shapes, which `report.pictures` writes as SVG or PNG."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ktgdsl.report.curves.axis import Axis, epoch_axis, value_axis
from ktgdsl.report.curves.charts import Chart
from ktgdsl.report.curves.frame import MUTED, TEXT_SIZE, Frame, grid
from ktgdsl.report.curves.series import Point as Value
from ktgdsl.report.curves.series import Series
from ktgdsl.report.pictures.shapes import Circle, Drawing, Line, Polygon, Shape, Text, translated
from ktgdsl.report.pictures.style import INK, shortened, width_of

COLOURS = ("#0072B2", "#C04F00", "#00806A", "#8A3D8F", "#7A6A00", "#B0305C", "#5B5FC7", "#6B4A2B")
FAINT = "#B4B8BE"

WIDTH, PLOT_HEIGHT = 400.0, 170.0
_TITLE_SIZE = 13.0
_EPOCH = "epoch"
_ABOVE, _PHASE_NAMES, _BELOW = 34.0, 14.0, 34.0
_LABEL_LETTERS = 22
_LABEL_SPACING = 14.0
_MAX_DOTTED = 30
"""Epochs up to which each has a dot."""


def chart_drawing(chart: Chart) -> Drawing:
    """The chart, its curves in the order of their colours, each with its name at its end."""
    labels = [shortened(each.name, _LABEL_LETTERS) for each in chart.series]
    values = value_axis(chart, most=5)
    left = max(width_of(text, TEXT_SIZE) for text in values.texts) + 14
    right = WIDTH - max(width_of(text, TEXT_SIZE) for text in (_EPOCH, *labels)) - 26
    height = max(PLOT_HEIGHT, len(labels) * _LABEL_SPACING)
    top = _ABOVE + (_PHASE_NAMES if chart.phases else 0)
    frame = Frame(left, top, right, top + height, epoch_axis(chart, most=7), values)
    shapes: list[Shape] = [*_title(chart, values), *_axes(frame), *_phases(chart, frame)]
    shapes += _background(chart, frame)
    for number, curve in enumerate(chart.series):
        shapes += _spread(curve, frame, colour_of(number))
    for number, curve in enumerate(chart.series):
        dashed = number >= len(COLOURS)
        shapes += _curve(curve, frame, colour_of(number), chart.digits, dashed=dashed)
    shapes += _labels(chart, labels, frame)
    return Drawing(chart.title, WIDTH, frame.bottom + _BELOW, tuple(shapes))


def stacked(drawings: Sequence[Drawing], title: str) -> Drawing:
    """Drawings under one another."""
    shapes: list[Shape] = []
    top = 0.0
    for drawing in drawings:
        shapes += [translated(shape, 0, top) for shape in drawing.shapes]
        top += drawing.height
    return Drawing(title, max(each.width for each in drawings), top, tuple(shapes))


def colour_of(number: int) -> str:
    """The colour of a curve, counted from 0. From the ninth on it is dashed, in the same ones."""
    return COLOURS[number % len(COLOURS)]


def _title(chart: Chart, values: Axis) -> Iterator[Shape]:
    scale = " (logarithmic)" if values.logarithmic else ""
    text = shortened(chart.title + scale, int(WIDTH / width_of("x", _TITLE_SIZE)))
    yield Text((8, 16), text, _TITLE_SIZE, INK, bold=True, anchor="start")


def _axes(frame: Frame) -> Iterator[Shape]:
    yield from grid(frame)
    free = frame.left - 14.0
    for tick, text in zip(frame.across.ticks, frame.across.texts, strict=True):
        x, half = frame.x(tick), width_of(text, TEXT_SIZE) / 2 + 3
        if x - half >= free:
            yield Text((x, frame.bottom + 12), text, TEXT_SIZE, MUTED)
            free = x + half
    yield Text((free + 6, frame.bottom + 12), _EPOCH, TEXT_SIZE, MUTED, anchor="start")


def _phases(chart: Chart, frame: Frame) -> Iterator[Shape]:
    """A line between two phases, and their names above."""
    for phase, after in zip_longest(chart.phases, chart.phases[1:]):
        start = frame.left if phase is chart.phases[0] else frame.x(phase.first - 0.5)
        end = frame.right if after is None else frame.x(after.first - 0.5)
        letters = max(1, int((end - start) / width_of("x", TEXT_SIZE)))
        middle = (start + end) / 2, frame.top - 10
        yield Text(middle, shortened(phase.name, letters), TEXT_SIZE, MUTED)
        if start > frame.left:
            yield Line(((start, frame.top - 16), (start, frame.bottom)), MUTED, 1, dashed=True)


def _background(chart: Chart, frame: Frame) -> Iterator[Shape]:
    """Thin lines, and a small dot where one ends."""
    for curve in chart.background:
        points = tuple((frame.x(point.epoch), frame.y(point.mean)) for point in curve.points)
        yield Line(points, FAINT, 1.2, tooltip=curve.name)
        yield Circle(
            points[-1], 2, FAINT, FAINT, 0.5, tooltip=_tooltip(curve, curve.last, chart.digits)
        )


def _spread(curve: Series, frame: Frame, colour: str) -> Iterator[Shape]:
    """One deviation around the mean."""
    for piece in curve.pieces:
        above = [(frame.x(point.epoch), frame.y(point.high)) for point in piece]
        below = [(frame.x(point.epoch), frame.y(point.low)) for point in reversed(piece)]
        if len(piece) > 1 and any(point.std for point in piece):
            yield Polygon((*above, *below), colour, opacity=0.16)


def _curve(
    curve: Series, frame: Frame, colour: str, digits: int, *, dashed: bool
) -> Iterator[Shape]:
    """The means; with a dot for each epoch, which says its value, where these are not too many."""
    for piece in curve.pieces:
        points = tuple((frame.x(point.epoch), frame.y(point.mean)) for point in piece)
        if len(points) > 1:
            yield Line(points, colour, 1.8, dashed, curve.name)
        if len(points) == 1 or len(curve.points) <= _MAX_DOTTED:
            for at, value in zip(points, piece, strict=True):
                yield Circle(at, 2.2, colour, colour, 0.8, tooltip=_tooltip(curve, value, digits))


def _tooltip(curve: Series, value: Value, digits: int) -> str:
    spread = "" if value.std is None else f" ± {value.std:.{digits}f} (n = {value.n})"
    return f"{curve.name}, epoch {value.epoch}: {value.mean:.{digits}f}{spread}"


def _labels(chart: Chart, labels: Sequence[str], frame: Frame) -> Iterator[Shape]:
    """The name of each curve at its end; as near to it as others that end there leave."""
    by_epoch: dict[int, list[int]] = {}
    for number, curve in enumerate(chart.series):
        by_epoch.setdefault(curve.last.epoch, []).append(number)
    for epoch, numbers in by_epoch.items():
        heights = {number: frame.y(chart.series[number].last.mean) for number in numbers}
        numbers.sort(key=heights.__getitem__)
        places = _without_overlap([heights[number] for number in numbers], frame.top, frame.bottom)
        for number, y in zip(numbers, places, strict=True):
            at, colour = (frame.x(epoch) + 8, y), colour_of(number)
            yield Text(at, labels[number], TEXT_SIZE, colour, bold=True, anchor="start")


def _without_overlap(heights: Sequence[float], top: float, bottom: float) -> list[float]:
    """The heights, in order, each moved until none is too near to the next."""
    places: list[float] = []
    for height in heights:
        places.append(max(height, places[-1] + _LABEL_SPACING if places else top))
    limit = bottom
    for number in range(len(places) - 1, -1, -1):
        places[number] = min(places[number], limit)
        limit = places[number] - _LABEL_SPACING
    return places
