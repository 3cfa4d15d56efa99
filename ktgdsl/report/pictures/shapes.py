"""Shapes of a drawing, in drawing order. Units are points, the origin is the upper left corner."""

from dataclasses import dataclass, replace

Point = tuple[float, float]


@dataclass(frozen=True)
class Circle:
    """A disc with an outline; SVG shows the tooltip under the pointer."""

    centre: Point
    radius: float
    fill: str
    stroke: str
    width: float
    dashed: bool = False
    tooltip: str = ""


@dataclass(frozen=True)
class Curve:
    """A quadratic Bézier curve: start, control point, end."""

    points: tuple[Point, Point, Point]
    stroke: str
    width: float
    dashed: bool = False
    tooltip: str = ""


@dataclass(frozen=True)
class Line:
    """Straight lines from point to point."""

    points: tuple[Point, ...]
    stroke: str
    width: float
    dashed: bool = False
    tooltip: str = ""


@dataclass(frozen=True)
class Polygon:
    """A filled polygon without an outline."""

    corners: tuple[Point, ...]
    fill: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Box:
    """A rectangle with round ends."""

    centre: Point
    width: float
    height: float
    fill: str
    stroke: str


@dataclass(frozen=True)
class Text:
    """One line, vertically centred on `at`, turned clockwise by `angle` degrees."""

    at: Point
    text: str
    size: float
    colour: str
    bold: bool = False
    anchor: str = "middle"
    angle: float = 0.0


Shape = Circle | Curve | Line | Polygon | Box | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on a white sheet."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def translated(shape: Shape, dx: float, dy: float) -> Shape:
    """The shape, moved to the right and down."""

    def to(point: Point) -> Point:
        return point[0] + dx, point[1] + dy

    match shape:
        case Circle() | Box():
            return replace(shape, centre=to(shape.centre))
        case Curve(points=(start, control, end)):
            return replace(shape, points=(to(start), to(control), to(end)))
        case Line():
            return replace(shape, points=tuple(map(to, shape.points)))
        case Polygon():
            return replace(shape, corners=tuple(map(to, shape.corners)))
        case Text():
            return replace(shape, at=to(shape.at))
