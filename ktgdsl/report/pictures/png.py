"""Writes a drawing as PNG with matplotlib."""

from io import BytesIO
from typing import TYPE_CHECKING

from ktgdsl.extras import missing
from ktgdsl.report.pictures.shapes import (
    Box,
    Circle,
    Curve,
    Drawing,
    Line,
    Polygon,
    Shape,
    Text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 72  # to an inch, so that a unit of a drawing is a point
_PIXELS = 2  # to a point


def png(drawing: Drawing) -> bytes:
    """The bytes of a PNG file. Raises RunError (E504) where there is no matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        instead = "write an SVG, which needs nothing: `-o x.svg`"
        raise missing("a PNG", "plot", error, instead=instead) from None
    size = drawing.width / _POINTS, drawing.height / _POINTS
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    for depth, shape in enumerate(drawing.shapes):
        _add(axes, shape, depth)
    written = BytesIO()
    figure.savefig(written, format="png", dpi=_POINTS * _PIXELS)
    return written.getvalue()


def _add(axes: "Axes", shape: Shape, depth: int) -> None:
    from matplotlib import patches
    from matplotlib.path import Path

    if isinstance(shape, Text):
        axes.text(
            *shape.at,
            shape.text,
            fontsize=shape.size,
            color=shape.colour,
            fontweight="bold" if shape.bold else "normal",
            ha={"middle": "center", "start": "left", "end": "right"}[shape.anchor],
            va="center_baseline",
            rotation=-shape.angle,
            rotation_mode="anchor",
            parse_math=False,
            zorder=depth,
        )
        return
    patch: patches.Patch
    match shape:
        case Circle():
            patch = patches.Circle(shape.centre, shape.radius, fc=shape.fill, ec=shape.stroke)
        case Curve():
            path = Path(list(shape.points), [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            patch = patches.PathPatch(path, fc="none", ec=shape.stroke)
        case Line():
            patch = patches.PathPatch(Path(list(shape.points)), fc="none", ec=shape.stroke)
        case Polygon():
            patch = patches.Polygon(
                list(shape.corners), fc=shape.fill, ec="none", alpha=shape.opacity
            )
        case Box():
            (x, y), half = shape.centre, shape.height / 2
            patch = patches.FancyBboxPatch(
                (x - shape.width / 2, y - half),
                shape.width,
                shape.height,
                boxstyle=f"round,pad=0,rounding_size={half}",
                fc=shape.fill,
                ec=shape.stroke,
            )
    if isinstance(shape, Circle | Curve | Line):
        patch.set_linewidth(shape.width)
        patch.set_linestyle((0, (5 / shape.width, 3 / shape.width)) if shape.dashed else "-")
    patch.set_zorder(depth)
    axes.add_patch(patch)
