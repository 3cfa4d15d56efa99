"""Renders a plan as SVG, PNG, Mermaid or DOT, in memory or to a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import KtgError
from ktgdsl.plan.model import Plan
from ktgdsl.report.output import write_output
from ktgdsl.report.pictures.diagram import Diagram, diagram
from ktgdsl.report.pictures.dot import dot
from ktgdsl.report.pictures.layout import MAX_VERTICES, layout
from ktgdsl.report.pictures.mermaid import mermaid
from ktgdsl.report.pictures.shapes import Drawing
from ktgdsl.report.pictures.svg import svg


def picture(plan: Plan, suffix: str, accuracies: Mapping[str, str] | None = None) -> bytes:
    """The content of a picture file; `suffix` is one of `FORMATS`.

    `accuracies` are texts such as "72.88 ± 0.41" by the names of nodes. Raises KtgError (E504)
    where an SVG or PNG would have more than `MAX_VERTICES` nodes, or matplotlib is missing.
    """
    return FORMATS[suffix](diagram(plan, accuracies))


def notebook_svg(plan: Plan) -> str | None:
    """The picture of a plan as SVG text; None where the graph is too large for one."""
    graph = diagram(plan)
    return svg(layout(graph)) if len(graph.vertices) <= MAX_VERTICES else None


def write_picture(
    path: str | Path, plan: Plan, accuracies: Mapping[str, str] | None = None
) -> None:
    """Write the picture to a file, in the format of its suffix, whole or not at all.

    Raises what `picture` does, and KtgError (E001) where the file cannot be written.
    """
    write_output(path, picture(plan, Path(path).suffix, accuracies))


def drawn(drawing: Drawing, suffix: str) -> bytes:
    """The content of an `.svg` or `.png` file; KtgError (E504) for a PNG without matplotlib."""
    if suffix == ".svg":
        return svg(drawing).encode()
    from ktgdsl.report.pictures.png import png

    return png(drawing)


def _drawn(diagram: Diagram, suffix: str) -> bytes:
    _check_size(diagram)
    return drawn(layout(diagram), suffix)


def _check_size(diagram: Diagram) -> None:
    if (count := len(diagram.vertices)) > MAX_VERTICES:
        message = f"a drawing has room for {MAX_VERTICES} nodes, and this graph has {count}"
        fix = "x.mmd and x.dot take graphs of any size"
        raise KtgError([Diagnostic("E504", message, help=fix)])


FORMATS: dict[str, Callable[[Diagram], bytes]] = {
    ".svg": lambda diagram: _drawn(diagram, ".svg"),
    ".png": lambda diagram: _drawn(diagram, ".png"),
    ".mmd": lambda diagram: mermaid(diagram).encode(),
    ".dot": lambda diagram: dot(diagram).encode(),
}
