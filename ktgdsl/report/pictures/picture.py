"""Renders a plan as SVG, PNG, Mermaid or DOT, in memory or to a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import KtgError
from ktgdsl.files import write_whole
from ktgdsl.plan.model import Plan
from ktgdsl.report.pictures.diagram import Diagram, diagram
from ktgdsl.report.pictures.dot import dot
from ktgdsl.report.pictures.layout import MAX_VERTICES, layout
from ktgdsl.report.pictures.mermaid import mermaid
from ktgdsl.report.pictures.svg import svg


def picture(plan: Plan, suffix: str, accuracies: Mapping[str, str] | None = None) -> bytes:
    """The content of a picture file; `suffix` is one of `FORMATS`.

    `accuracies` are texts such as "72.88 ± 0.41" by the names of nodes. Raises KtgError (E504)
    where an SVG or PNG would have more than `MAX_VERTICES` nodes, or matplotlib is missing.
    """
    return FORMATS[suffix](diagram(plan, accuracies))


def notebook_svg(plan: Plan) -> str | None:
    """The picture of a plan as SVG text; None where the graph is too large for one."""
    drawn = diagram(plan)
    return svg(layout(drawn)) if len(drawn.vertices) <= MAX_VERTICES else None


def write_picture(
    path: str | Path, plan: Plan, accuracies: Mapping[str, str] | None = None
) -> None:
    """Write the picture to a file, in the format of its suffix, whole or not at all.

    Raises what `picture` does, and KtgError (E001) where the file cannot be written.
    """
    content = picture(plan, Path(path).suffix, accuracies)
    try:
        write_whole(Path(path).resolve(), content)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL character
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        message = f"`{path}` cannot be written: {reason}"
        raise KtgError([Diagnostic("E001", message, path=str(path))]) from None


def _svg(drawn: Diagram) -> bytes:
    _check_size(drawn)
    return svg(layout(drawn)).encode()


def _png(drawn: Diagram) -> bytes:
    from ktgdsl.report.pictures.png import png

    _check_size(drawn)
    return png(layout(drawn))


def _check_size(drawn: Diagram) -> None:
    if (count := len(drawn.vertices)) > MAX_VERTICES:
        message = f"a drawing has room for {MAX_VERTICES} nodes, and this graph has {count}"
        fix = "x.mmd and x.dot take graphs of any size"
        raise KtgError([Diagnostic("E504", message, help=fix)])


FORMATS: dict[str, Callable[[Diagram], bytes]] = {
    ".svg": _svg,
    ".png": _png,
    ".mmd": lambda drawn: mermaid(drawn).encode(),
    ".dot": lambda drawn: dot(drawn).encode(),
}
