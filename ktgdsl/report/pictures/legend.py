"""The legend of a drawing: the gates' colours, the kinds of vertices, and the notes."""

from collections.abc import Iterator

from ktgdsl.report.pictures.diagram import Diagram, Key
from ktgdsl.report.pictures.shapes import Circle, Curve, Point, Shape, Text
from ktgdsl.report.pictures.style import GREY, INK, ROLES, SMALL, WHITE, width_of

_LINE = 18.0


def legend(diagram: Diagram, corner: Point, width: float) -> tuple[list[Shape], float]:
    """Entries from the upper left corner on, in lines of that width; also their height."""
    shapes: list[Shape] = []
    x, y = corner[0], corner[1] + _LINE / 2
    for sign, text in _entries(diagram):
        wide = 34 + width_of(text, SMALL) + 14
        if x > corner[0] and x + wide > corner[0] + width:
            x, y = corner[0], y + _LINE
        shapes += _sign(sign, (x, y))
        shapes.append(Text((x + 32, y), text, SMALL, INK, anchor="start"))
        x += wide
    for note in diagram.notes:
        y += _LINE
        shapes.append(Text((corner[0], y), note, SMALL, INK, anchor="start"))
    return shapes, y + _LINE - corner[1]


_Sign = Key | tuple[str, str, bool] | None
"""A gate's line, a vertex (fill, outline, whether it is dashed), or what others are made of."""


def _entries(diagram: Diagram) -> Iterator[tuple[_Sign, str]]:
    for key in diagram.keys:
        yield key, key.gate if key.tag == key.gate else f"{key.tag} = {key.gate}"
    for role in ("target", "frozen"):
        if any(vertex.role == role for vertex in diagram.vertices):
            yield (*ROLES[role][:2], False), role
    if any(vertex.derived for vertex in diagram.vertices):
        yield (WHITE, INK, True), "made from others"
        yield None, "goes into"


def _sign(sign: _Sign, at: Point) -> Iterator[Shape]:
    x, y = at
    if isinstance(sign, tuple):
        fill, stroke, dashed = sign
        yield Circle((x + 18, y), 7, fill, stroke, 1.5, dashed)
        return
    points = ((x, y), (x + 13, y), (x + 26, y))
    yield Curve(points, sign.colour if sign else GREY, 2.0, sign is None or sign.open)
