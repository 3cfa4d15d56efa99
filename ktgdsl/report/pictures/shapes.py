"""Shapes of a drawing, in drawing order. Units are points, the origin is the upper left corner."""

from dataclasses import dataclass

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
class Polygon:
    """A filled polygon without an outline."""

    corners: tuple[Point, ...]
    fill: str


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


Shape = Circle | Curve | Polygon | Box | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes on a white sheet."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]
