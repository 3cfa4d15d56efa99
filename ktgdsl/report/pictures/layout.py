"""Layout: a diagram becomes shapes with positions.

Vertices stand on a circle; the arrows of a pair that has several are bent. The text of an
arrow is near its head and along it, where no other arrow comes near. Boxes such as "Label"
stand outside of the circle, beside their vertices.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import atan2, cos, degrees, dist, pi, radians, sin, tan

from ktgdsl.report.pictures.diagram import Arrow, Diagram, Vertex
from ktgdsl.report.pictures.legend import legend
from ktgdsl.report.pictures.shapes import (
    Box,
    Circle,
    Curve,
    Drawing,
    Point,
    Polygon,
    Shape,
    Text,
    translated,
)
from ktgdsl.report.pictures.style import (
    GATE_SIZE,
    GREY,
    INK,
    RADIUS,
    ROLE_COLOURS,
    SMALL_SIZE,
    WHITE,
    shortened,
    width_of,
)

MAX_VERTICES = 24
"""The most vertices of a readable drawing; Mermaid and DOT take any number."""

_MARGIN = 16.0
_HEAD_LENGTH = 9.0
_UPRIGHT_LETTERS = 3  # text as short as this is not turned along its arrow
_MIN_SPACING = 230.0  # between neighbours


def layout(diagram: Diagram) -> Drawing:
    """The shapes of a diagram of up to `MAX_VERTICES` vertices."""
    centres = _centres(diagram)
    lines: list[Shape] = []
    texts: list[Shape] = []
    for arrow, bend in _with_bends(diagram):
        start, end = centres[arrow.source or ""], centres[arrow.destination]
        _add_arrow_between(arrow, start, end, bend, lines, texts)
    for vertex in diagram.vertices:
        from_box = [a for a in diagram.arrows if a.source is None and a.destination == vertex.name]
        side = pi if centres[vertex.name][0] < -1 or len(centres) == 1 else 0.0
        for number, arrow in enumerate(from_box):
            _add_arrow_from_box(
                arrow, centres[vertex.name], _box_direction(side, number), lines, texts
            )
    for vertex in diagram.vertices:
        texts += _vertex_shapes(vertex, centres[vertex.name])
    return _fit_to_sheet(diagram, [*lines, *texts])


def _centres(diagram: Diagram) -> dict[str, Point]:
    """Centres on a circle around the origin, clockwise from the top; two stand side by side."""
    names = [vertex.name for vertex in diagram.vertices]
    count = len(names)
    widest = max((width_of(arrow.short_text, GATE_SIZE) for arrow in diagram.arrows), default=0.0)
    step = max(_MIN_SPACING, 2 * RADIUS + widest + 3 * _HEAD_LENGTH + 20)
    radius = 0.0 if count == 1 else step / (2 * sin(pi / count))
    first = pi if count == 2 else -pi / 2
    angles = [first + 2 * pi * index / count for index in range(count)]
    return {n: (radius * cos(a), radius * sin(a)) for n, a in zip(names, angles, strict=True)}


def _with_bends(diagram: Diagram) -> Iterator[tuple[Arrow, float]]:
    """Each arrow between vertices, with the angle between it and the straight line at its ends.

    A pair's only arrow is straight. Several bend to their right, so that the two directions
    do not overlap, and less so the more vertices there are.
    """
    pairs: dict[frozenset[str], list[Arrow]] = {}
    for arrow in diagram.arrows:
        if arrow.source is not None:
            pairs.setdefault(frozenset((arrow.source, arrow.destination)), []).append(arrow)
    most = min(radians(14), pi / max(3, len(diagram.vertices)) / 4)
    for arrows in pairs.values():
        drawn: dict[str, int] = {}
        for arrow in arrows:
            number = drawn.setdefault(arrow.destination, 0)
            drawn[arrow.destination] += 1
            yield arrow, 0.0 if len(arrows) == 1 else most * (1 + number)


def _polar(centre: Point, length: float, angle: float) -> Point:
    return centre[0] + length * cos(angle), centre[1] + length * sin(angle)


def _add_arrow_between(
    arrow: Arrow, start: Point, end: Point, bend: float, lines: list[Shape], texts: list[Shape]
) -> None:
    """An arrow that leaves and enters the circles of two vertices at right angles."""
    ahead = atan2(end[1] - start[1], end[0] - start[0])
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    control = _polar(middle, tan(bend) * dist(start, end) / 2, ahead + pi / 2)
    enters = ahead + pi - bend
    tip = _polar(end, RADIUS + 1.5, enters)
    points = (
        _polar(start, RADIUS, ahead + bend),
        control,
        _polar(end, RADIUS + _HEAD_LENGTH - 1, enters),
    )
    _add_line_and_head(arrow, points, tip, enters, lines)
    if arrow.short_text:
        at, along = _point_near_end(
            points, _HEAD_LENGTH / 2 + width_of(arrow.short_text, GATE_SIZE) / 2 + 3
        )
        texts += _label_on_line(arrow, at, along)


def _add_line_and_head(
    arrow: Arrow,
    points: tuple[Point, Point, Point],
    tip: Point,
    enters: float,
    lines: list[Shape],
) -> None:
    """The line of an arrow, and its head at `tip`, coming from the direction `enters`."""
    key = arrow.key
    colour = key.colour if key else GREY
    lines.append(Curve(points, colour, 1.6 if key else 1.2, arrow.dashed, arrow.tooltip))
    base = _polar(tip, _HEAD_LENGTH, enters)
    corners = (tip, _polar(base, 3.6, enters + pi / 2), _polar(base, 3.6, enters - pi / 2))
    lines.append(Polygon(corners, colour))


def _point_near_end(points: tuple[Point, Point, Point], length: float) -> tuple[Point, float]:
    """The point at `length` before the end of a curve, or half-way, and the direction there."""
    (ax, ay), (bx, by), (cx, cy) = points
    steps = [step / 100 for step in range(100, -1, -1)]
    path = [
        (
            (1 - t) ** 2 * ax + 2 * t * (1 - t) * bx + t * t * cx,
            (1 - t) ** 2 * ay + 2 * t * (1 - t) * by + t * t * cy,
        )
        for t in steps
    ]
    walked = 0.0
    for later, earlier in pairwise(path):
        walked += dist(later, earlier)
        if walked >= length:
            return earlier, atan2(later[1] - earlier[1], later[0] - earlier[0])
    return path[50], atan2(cy - ay, cx - ax)


def _label_on_line(arrow: Arrow, at: Point, along: float) -> Iterator[Shape]:
    """The text of an arrow along it, or upright where short, on a white ground."""
    text = arrow.short_text
    angle = degrees(along)
    angle -= 180 * round(angle / 180)  # never upside down
    if len(text) <= _UPRIGHT_LETTERS:
        angle = 0.0
    turned = radians(angle)
    half, high = width_of(text, GATE_SIZE) / 2 + 2, GATE_SIZE * 0.6
    sides = [_polar(at, sign * half, turned) for sign in (-1, 1)]
    corners = [
        _polar(end, sign * high, turned + pi / 2)
        for end, signs in zip(sides, ((-1, 1), (1, -1)), strict=True)
        for sign in signs
    ]
    yield Polygon(tuple(corners), WHITE)
    assert arrow.key is not None
    yield Text(at, text, GATE_SIZE, arrow.key.colour, angle=angle)


def _box_direction(side: float, number: int) -> float:
    """The direction from a vertex to its box of that number: sideways, then above, then below."""
    return side + radians(38) * ((number + 1) // 2) * (1 if (number % 2) == (side == 0) else -1)


def _add_arrow_from_box(
    arrow: Arrow, centre: Point, direction: float, lines: list[Shape], texts: list[Shape]
) -> None:
    """A box outside of the circle, and the arrow from it into a vertex."""
    text = shortened(arrow.box, 18)
    gate = width_of(arrow.short_text, GATE_SIZE)
    width, height = width_of(text, SMALL_SIZE) + 18, 22.0
    box = _polar(centre, RADIUS + _HEAD_LENGTH + gate + 24 + width / 2, direction)
    edge = min(
        width / 2 / max(abs(cos(direction)), 1e-9), height / 2 / max(abs(sin(direction)), 1e-9)
    )
    start = _polar(box, edge, direction + pi)
    tip = _polar(centre, RADIUS + 1.5, direction)
    end = _polar(centre, RADIUS + _HEAD_LENGTH - 1, direction)
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    _add_line_and_head(arrow, (start, middle, end), tip, direction, lines)
    at = _polar(centre, RADIUS + _HEAD_LENGTH + 7 + gate / 2, direction)
    texts += _label_on_line(arrow, at, direction)
    texts += [Box(box, width, height, WHITE, INK), Text(box, text, SMALL_SIZE, INK)]


def _vertex_shapes(vertex: Vertex, centre: Point) -> Iterator[Shape]:
    """The circle with its name, its networks and its accuracy."""
    fill, stroke, ink = ROLE_COLOURS[vertex.role]
    networks = [shortened(name, 13) for name in vertex.labels]
    if len(vertex.networks) > 3:
        networks = [f"{len(vertex.networks)} networks"]
    elif len(networks) > 4:
        networks = [*networks[:3], "…"]
    tooltip = f"{vertex.name}: {' | '.join(vertex.networks)}"
    yield Circle(centre, RADIUS, fill, stroke, 2.0, vertex.derived, tooltip)
    lines = [
        (shortened(vertex.name, 10), 13.0, True),
        *((name, SMALL_SIZE, False) for name in networks),
    ]
    if vertex.accuracy is not None:
        lines.append((f"({vertex.accuracy})", SMALL_SIZE, False))
    top = centre[1] - (len(lines) - 1) * 7
    for number, (text, size, bold) in enumerate(lines):
        yield Text((centre[0], top + 14 * number), text, size, ink, bold)


def _fit_to_sheet(diagram: Diagram, shapes: Sequence[Shape]) -> Drawing:
    """The drawing of all shapes, moved to positive coordinates, with the legend below."""
    corners = [corner for shape in shapes for corner in _extreme_points(shape)]
    left, top = (min(corner[axis] for corner in corners) - _MARGIN for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) + _MARGIN for axis in (0, 1))
    width = max(right - left, 320.0)
    left -= (width - (right - left)) / 2
    below, height = legend(diagram, (left + _MARGIN, bottom + 4), width - 2 * _MARGIN)
    moved = tuple(translated(shape, -left, -top) for shape in (*shapes, *below))
    return Drawing(diagram.name, width, bottom + height - top, moved)


def _extreme_points(shape: Shape) -> Iterator[Point]:
    match shape:
        case Circle(centre=(x, y), radius=r):
            yield from ((x - r, y - r), (x + r, y + r))
        case Box(centre=(x, y), width=w, height=h):
            yield from ((x - w / 2, y - h / 2), (x + w / 2, y + h / 2))
        case Curve(points=points):
            yield from (points[0], points[2])
        case Polygon(corners=corners):
            yield from corners
