"""Writes a drawing as SVG, deterministically."""

from collections.abc import Iterator
from xml.sax.saxutils import escape as escape_markup
from xml.sax.saxutils import quoteattr

from ktgdsl.diagnostics.render import printable
from ktgdsl.report.pictures.shapes import (
    Box,
    Circle,
    Curve,
    Drawing,
    Line,
    Point,
    Polygon,
    Shape,
    Text,
)

_DASHES = ' stroke-dasharray="5 3"'


def svg(drawing: Drawing) -> str:
    """The text of an SVG file. Edges and nodes have tooltips with their full text."""
    width, height = _n(drawing.width), _n(drawing.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">'
    )
    ground = '<rect width="100%" height="100%" fill="#FFFFFF"/>'
    lines = [f"<title>{_escaped(drawing.title)}</title>", ground, *map(_element, drawing.shapes)]
    return "\n".join([head, *lines, "</svg>"]) + "\n"


def inline_svg(drawing: Drawing) -> str:
    """The drawing as an element of a page, on the ground and in the font of the page."""
    width, height = _n(drawing.width), _n(drawing.height)
    head = (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f"aria-label={quoteattr(printable(drawing.title))}>"
    )
    return "\n".join([head, *map(_element, drawing.shapes), "</svg>"])


def _element(shape: Shape) -> str:
    match shape:
        case Circle():
            (x, y), dashes = shape.centre, _DASHES if shape.dashed else ""
            return _with_tooltip(
                "circle",
                f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(shape.radius)}" fill="{shape.fill}" '
                f'stroke="{shape.stroke}" stroke-width="{_n(shape.width)}"{dashes}',
                shape.tooltip,
            )
        case Curve():
            start, control, end = map(_point, shape.points)
            return _with_tooltip(
                "path",
                f'd="M{start} Q{control} {end}" fill="none" stroke="{shape.stroke}" '
                f'stroke-width="{_n(shape.width)}"{_DASHES if shape.dashed else ""}',
                shape.tooltip,
            )
        case Line():
            points, dashes = " ".join(map(_point, shape.points)), _DASHES if shape.dashed else ""
            return _with_tooltip(
                "polyline",
                f'points="{points}" fill="none" stroke="{shape.stroke}" '
                f'stroke-width="{_n(shape.width)}" stroke-linejoin="round"{dashes}',
                shape.tooltip,
            )
        case Polygon():
            corners = " ".join(map(_point, shape.corners))
            opacity = "" if shape.opacity == 1 else f' fill-opacity="{shape.opacity:g}"'
            return f'<polygon points="{corners}" fill="{shape.fill}"{opacity}/>'
        case Box():
            (x, y), half = shape.centre, shape.height / 2
            return (
                f'<rect x="{_n(x - shape.width / 2)}" y="{_n(y - half)}" '
                f'width="{_n(shape.width)}" height="{_n(shape.height)}" rx="{_n(half)}" '
                f'fill="{shape.fill}" stroke="{shape.stroke}"/>'
            )
        case Text():
            return f"<text {' '.join(_text(shape))}>{_escaped(shape.text)}</text>"


def _text(shape: Text) -> Iterator[str]:
    x, y = shape.at
    # A third of the size below the middle is where letters stand to be centred there.
    yield f'x="{_n(x)}" y="{_n(y)}" dy="{_n(shape.size * 0.35)}" font-size="{_n(shape.size)}"'
    yield f'fill="{shape.colour}" text-anchor={quoteattr(shape.anchor)}'
    if shape.bold:
        yield 'font-weight="bold"'
    if shape.angle:
        yield f'transform="rotate({_n(shape.angle)} {_point(shape.at)})"'


def _with_tooltip(tag: str, attributes: str, tooltip: str) -> str:
    if not tooltip:
        return f"<{tag} {attributes}/>"
    return f"<{tag} {attributes}><title>{_escaped(tooltip)}</title></{tag}>"


def _escaped(text: str) -> str:
    """Text for XML, which can hold no control character in any form."""
    return escape_markup(printable(text))


def _point(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(number: float) -> str:
    """A number as text, to a tenth of a point."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")
