"""The legend of a drawing: colours of gates, kinds of vertices, notes."""

from collections.abc import Iterator
from textwrap import wrap

from ktgdsl.report.pictures.diagram import Diagram, GateKey
from ktgdsl.report.pictures.shapes import Circle, Curve, Point, Shape, Text
from ktgdsl.report.pictures.style import GREY, INK, ROLE_COLOURS, SMALL_SIZE, WHITE, width_of

_LINE_HEIGHT = 18.0


def legend(diagram: Diagram, corner: Point, width: float) -> tuple[list[Shape], float]:
    """The legend's shapes, in lines of `width` from the upper left corner on, and its height."""
    shapes: list[Shape] = []
    x, y = corner[0], corner[1] + _LINE_HEIGHT / 2
    for symbol, text in _entries(diagram):
        entry_width = 34 + width_of(text, SMALL_SIZE) + 14
        if x > corner[0] and x + entry_width > corner[0] + width:
            x, y = corner[0], y + _LINE_HEIGHT
        shapes += _symbol_shapes(symbol, (x, y))
        shapes.append(Text((x + 32, y), text, SMALL_SIZE, INK, anchor="start"))
        x += entry_width
    letters = max(20, int(width / width_of("x", SMALL_SIZE)))
    for note in (line for text in diagram.notes for line in wrap(text, letters)):
        y += _LINE_HEIGHT
        shapes.append(Text((corner[0], y), note, SMALL_SIZE, INK, anchor="start"))
    return shapes, y + _LINE_HEIGHT - corner[1]


_Symbol = GateKey | tuple[str, str, bool] | None
"""A gate, a vertex (fill, outline, whether dashed), or None for an arrow into a derived vertex."""


def _entries(diagram: Diagram) -> Iterator[tuple[_Symbol, str]]:
    for key in diagram.keys:
        yield key, key.gate if key.tag == key.gate else f"{key.tag} = {key.gate}"
    for role in ("target", "frozen"):
        if any(vertex.role == role for vertex in diagram.vertices):
            yield (*ROLE_COLOURS[role][:2], False), role
    if any(vertex.derived for vertex in diagram.vertices):
        yield (WHITE, INK, True), "made from others"
        yield None, "goes into"


def _symbol_shapes(symbol: _Symbol, at: Point) -> Iterator[Shape]:
    x, y = at
    if isinstance(symbol, tuple):
        fill, stroke, dashed = symbol
        yield Circle((x + 18, y), 7, fill, stroke, 1.5, dashed)
        return
    points = ((x, y), (x + 13, y), (x + 26, y))
    yield Curve(points, symbol.colour if symbol else GREY, 2.0, symbol is None or symbol.open)
