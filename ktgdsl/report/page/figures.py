"""Drawings inside a page: without a ground of their own, in colours that the page may change."""

from dataclasses import replace

from ktgdsl.plan.model import Plan
from ktgdsl.report.curves.charts import Chart
from ktgdsl.report.curves.drawing import FAINT, chart_drawing
from ktgdsl.report.curves.frame import GRID, MUTED
from ktgdsl.report.curves.series import Point
from ktgdsl.report.page.blocks import Figure, Table
from ktgdsl.report.pictures.diagram import diagram
from ktgdsl.report.pictures.layout import MAX_VERTICES, layout
from ktgdsl.report.pictures.style import GREY, INK
from ktgdsl.report.pictures.svg import inline_svg

DARK = {
    INK: "#ECEDEF",
    GREY: "#A9AFB8",
    MUTED: "#A9AFB8",
    GRID: "#343A43",
    FAINT: "#5A626D",
    "#333333": "#C9CDD3",
    "#0072B2": "#5CB8F2",
    "#C04F00": "#FF9C5B",
    "#8A3D8F": "#DC9CE0",
    "#00806A": "#45CDB1",
    "#7A6A00": "#D2C04C",
    "#B0305C": "#F58FB0",
    "#5B5FC7": "#A9ACF7",
    "#6B4A2B": "#CFA983",
    "#CFE3F5": "#1D3A57",
    "#1F5FA8": "#7DB4EA",
    "#8E1510": "#F0837B",
}
"""The colours of a drawing in dark mode, by those in light mode."""


def chart_figure(chart: Chart) -> Figure:
    """A chart, and its numbers as a table."""
    return Figure(inline_svg(chart_drawing(chart)), chart.title, numbers=_numbers(chart))


def _numbers(chart: Chart) -> Table:
    first, last = chart.epochs
    by_epoch = [{point.epoch: point for point in each.points} for each in chart.series]
    rows = [
        (f"{epoch:,}", *(_cell(points.get(epoch), chart.digits) for points in by_epoch))
        for epoch in range(first, last + 1)
    ]
    head = ("epoch", *(each.name for each in chart.series))
    return Table(chart.title, head, rows, frozenset(range(len(head))))


def _cell(point: Point | None, digits: int) -> str:
    if point is None:
        return ""
    spread = "" if point.std is None else f" ± {point.std:.{digits}f}"
    return f"{point.mean:.{digits}f}{spread}"


def graph_figure(plan: Plan, accuracies: dict[str, str], caption: str = "") -> Figure | None:
    """The picture of a graph; None where it has too many nodes for one."""
    graph = diagram(plan, accuracies)
    if len(graph.vertices) > MAX_VERTICES:
        return None
    drawing = layout(graph)
    title = f"graph {drawing.title}" + f", {caption}" * bool(caption)
    return Figure(inline_svg(replace(drawing, title=title)), title, caption, wide=True)
