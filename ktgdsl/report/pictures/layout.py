"""A diagram as shapes: vertices on a circle, arrows bent where a pair has several.

The gate of an arrow stands near its head, along it, where no other arrow comes near; labels
stand beside the vertices they supervise, outside of the circle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import atan2, cos, degrees, dist, pi, radians, sin, tan

from ktgdsl.report.pictures.diagram import Arrow, Diagram, Vertex
from ktgdsl.report.pictures.legend import legend
from ktgdsl.report.pictures.shapes import Box, Circle, Curve, Drawing, Point, Polygon, Shape, Text
from ktgdsl.report.pictures.style import GATE, GREY, INK, RADIUS, ROLES, SMALL, WHITE, cut, width_of

MOST = 24
"""How many vertices a drawing has room for; the text formats take any number."""

_MARGIN = 16.0
_HEAD = 9.0
_TAG = 3  # letters
_STEP = 230.0  # between neighbours, at least


def layout(diagram: Diagram) -> Drawing:
    """The shapes of a diagram of up to `MOST` vertices."""
    centres = _centres(diagram)
    lines: list[Shape] = []
    texts: list[Shape] = []
    for arrow, bend in _bent(diagram):
        start, end = centres[arrow.source or ""], centres[arrow.destination]
        _between(arrow, start, end, bend, lines, texts)
    for vertex in diagram.vertices:
        beside = [a for a in diagram.arrows if a.source is None and a.destination == vertex.name]
        side = pi if centres[vertex.name][0] < -1 or len(centres) == 1 else 0.0
        for number, arrow in enumerate(beside):
            _from_beside(arrow, centres[vertex.name], _fanned(side, number), lines, texts)
    for vertex in diagram.vertices:
        texts += _vertex(vertex, centres[vertex.name])
    return _on_a_sheet(diagram, [*lines, *texts])


def _centres(diagram: Diagram) -> dict[str, Point]:
    """On a circle around the origin, clockwise, the first at the top; two side by side."""
    names = [vertex.name for vertex in diagram.vertices]
    count = len(names)
    room = max((width_of(_shown(arrow), GATE) for arrow in diagram.arrows), default=0.0)
    step = max(_STEP, 2 * RADIUS + room + 3 * _HEAD + 20)
    radius = 0.0 if count == 1 else step / (2 * sin(pi / count))
    first = pi if count == 2 else -pi / 2
    turns = [first + 2 * pi * index / count for index in range(count)]
    return {n: (radius * cos(a), radius * sin(a)) for n, a in zip(names, turns, strict=True)}


def _bent(diagram: Diagram) -> Iterator[tuple[Arrow, float]]:
    """Each arrow between vertices, and by what angle it leaves the straight line.

    A pair's only arrow is straight. Others keep to their right, so that both directions
    stand apart, and evenly so between all neighbours on the circle.
    """
    pairs: dict[frozenset[str], list[Arrow]] = {}
    for arrow in diagram.arrows:
        if arrow.source is not None:
            pairs.setdefault(frozenset((arrow.source, arrow.destination)), []).append(arrow)
    most = min(radians(14), pi / max(3, len(diagram.vertices)) / 4)
    for arrows in pairs.values():
        seen: dict[str, int] = {}
        for arrow in arrows:
            number = seen.setdefault(arrow.destination, 0)
            seen[arrow.destination] += 1
            yield arrow, 0.0 if len(arrows) == 1 else most * (1 + number)


def _shown(arrow: Arrow) -> str:
    """What stands on an arrow."""
    return ": ".join(filter(None, [arrow.place, arrow.key.tag if arrow.key else ""]))


def _polar(centre: Point, length: float, angle: float) -> Point:
    return centre[0] + length * cos(angle), centre[1] + length * sin(angle)


def _between(
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
        _polar(end, RADIUS + _HEAD - 1, enters),
    )
    _drawn(arrow, points, tip, enters, lines)
    if _shown(arrow):
        at, along = _near_the_head(points, _HEAD / 2 + width_of(_shown(arrow), GATE) / 2 + 3)
        texts += _on_the_line(arrow, at, along)


def _drawn(
    arrow: Arrow,
    points: tuple[Point, Point, Point],
    tip: Point,
    enters: float,
    lines: list[Shape],
) -> None:
    """The line, and the head, which points to the tip from the direction `enters`."""
    key = arrow.key
    colour = key.colour if key else GREY
    dashed = key is None or key.open
    lines.append(Curve(points, colour, 1.6 if key else 1.2, dashed, arrow.about))
    base = _polar(tip, _HEAD, enters)
    corners = (tip, _polar(base, 3.6, enters + pi / 2), _polar(base, 3.6, enters - pi / 2))
    lines.append(Polygon(corners, colour))


def _near_the_head(points: tuple[Point, Point, Point], length: float) -> tuple[Point, float]:
    """The point of a curve so far before its end, or half-way, and the direction there."""
    (ax, ay), (bx, by), (cx, cy) = points
    steps = [step / 100 for step in range(100, -1, -1)]
    path = [
        (
            (1 - t) ** 2 * ax + 2 * t * (1 - t) * bx + t * t * cx,
            (1 - t) ** 2 * ay + 2 * t * (1 - t) * by + t * t * cy,
        )
        for t in steps
    ]
    gone = 0.0
    for later, earlier in pairwise(path):
        gone += dist(later, earlier)
        if gone >= length:
            return earlier, atan2(later[1] - earlier[1], later[0] - earlier[0])
    return path[50], atan2(cy - ay, cx - ax)


def _on_the_line(arrow: Arrow, at: Point, along: float) -> Iterator[Shape]:
    """The gate along the line, a tag across it, on a white ground that interrupts the line."""
    text = _shown(arrow)
    angle = degrees(along)
    angle -= 180 * round(angle / 180)  # never upside down
    if len(text) <= _TAG:
        angle = 0.0
    turned = radians(angle)
    half, high = width_of(text, GATE) / 2 + 2, GATE * 0.6
    ends = [_polar(at, sign * half, turned) for sign in (-1, 1)]
    corners = [
        _polar(end, sign * high, turned + pi / 2)
        for end, signs in zip(ends, ((-1, 1), (1, -1)), strict=True)
        for sign in signs
    ]
    yield Polygon(tuple(corners), WHITE)
    assert arrow.key is not None
    yield Text(at, text, GATE, arrow.key.colour, angle=angle)


def _fanned(side: float, number: int) -> float:
    """The direction of what stands beside a vertex: sideways, then above, then below."""
    return side + radians(38) * ((number + 1) // 2) * (1 if (number % 2) == (side == 0) else -1)


def _from_beside(
    arrow: Arrow, centre: Point, direction: float, lines: list[Shape], texts: list[Shape]
) -> None:
    """An arrow into a vertex from a small box outside of the circle, and the box."""
    text = cut(arrow.beside, 18)
    gate = width_of(_shown(arrow), GATE)
    width, height = width_of(text, SMALL) + 18, 22.0
    box = _polar(centre, RADIUS + _HEAD + gate + 24 + width / 2, direction)
    edge = min(
        width / 2 / max(abs(cos(direction)), 1e-9), height / 2 / max(abs(sin(direction)), 1e-9)
    )
    start = _polar(box, edge, direction + pi)
    tip = _polar(centre, RADIUS + 1.5, direction)
    end = _polar(centre, RADIUS + _HEAD - 1, direction)
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    _drawn(arrow, (start, middle, end), tip, direction, lines)
    at = _polar(centre, RADIUS + _HEAD + 7 + gate / 2, direction)
    texts += _on_the_line(arrow, at, direction)
    texts += [Box(box, width, height, WHITE, INK), Text(box, text, SMALL, INK)]


def _vertex(vertex: Vertex, centre: Point) -> Iterator[Shape]:
    """The circle with its name, its networks and its accuracy."""
    fill, stroke, ink = ROLES[vertex.role]
    networks = [cut(name, 13) for name in vertex.networks]
    if len(networks) > 3:
        networks = [f"{len(networks)} networks"]
    about = f"{vertex.name}: {' | '.join(vertex.networks)}"
    yield Circle(centre, RADIUS, fill, stroke, 2.0, vertex.derived, about)
    lines = [(cut(vertex.name, 10), 13.0, True), *((name, SMALL, False) for name in networks)]
    if vertex.accuracy is not None:
        lines.append((f"({vertex.accuracy})", SMALL, False))
    top = centre[1] - (len(lines) - 1) * 7
    for number, (text, size, bold) in enumerate(lines):
        yield Text((centre[0], top + 14 * number), text, size, ink, bold)


def _on_a_sheet(diagram: Diagram, shapes: Sequence[Shape]) -> Drawing:
    """All shapes moved onto a sheet that holds them, and the legend below."""
    corners = [corner for shape in shapes for corner in _corners(shape)]
    left, top = (min(corner[axis] for corner in corners) - _MARGIN for axis in (0, 1))
    right, bottom = (max(corner[axis] for corner in corners) + _MARGIN for axis in (0, 1))
    width = max(right - left, 320.0)
    left -= (width - (right - left)) / 2
    below, height = legend(diagram, (left + _MARGIN, bottom + 4), width - 2 * _MARGIN)
    moved = tuple(_moved(shape, -left, -top) for shape in (*shapes, *below))
    return Drawing(diagram.name, width, bottom + height - top, moved)


def _corners(shape: Shape) -> Iterator[Point]:
    match shape:
        case Circle(centre=(x, y), radius=r):
            yield from ((x - r, y - r), (x + r, y + r))
        case Box(centre=(x, y), width=w, height=h):
            yield from ((x - w / 2, y - h / 2), (x + w / 2, y + h / 2))
        case Curve(points=points):
            yield from (points[0], points[2])
        case Polygon(corners=corners):
            yield from corners


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    def to(point: Point) -> Point:
        return point[0] + dx, point[1] + dy

    match shape:
        case Circle() | Box():
            return replace(shape, centre=to(shape.centre))
        case Curve(points=(start, control, end)):
            return replace(shape, points=(to(start), to(control), to(end)))
        case Polygon():
            return replace(shape, corners=tuple(map(to, shape.corners)))
        case Text():
            return replace(shape, at=to(shape.at))
