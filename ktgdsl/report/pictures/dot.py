"""Writes a diagram as DOT, the language of Graphviz."""

from collections.abc import Iterator

from ktgdsl.diagnostics.render import printable_lines
from ktgdsl.report.pictures.diagram import Diagram
from ktgdsl.report.pictures.style import GREY, INK, ROLE_COLOURS


def dot(diagram: Diagram) -> str:
    """The text of a DOT file."""
    head = f"digraph {_quoted(diagram.name)} {{"
    return "\n".join([head, *(f"    {line}" for line in _lines(diagram)), "}"]) + "\n"


def _lines(diagram: Diagram) -> Iterator[str]:
    yield 'node [fontname="Helvetica" fontsize=11]'
    yield 'edge [fontname="Helvetica" fontsize=10]'
    for vertex in diagram.vertices:
        fill, stroke, ink = ROLE_COLOURS[vertex.role]
        accuracy = [] if vertex.accuracy is None else [f"({vertex.accuracy})"]
        label = "\n".join([vertex.name, " | ".join(vertex.networks), *accuracy])
        style = "filled,dashed" if vertex.derived else "filled"
        yield (
            f"{_quoted(vertex.name)} [label={_quoted(label)} shape=circle style={_quoted(style)} "
            f'fillcolor="{fill}" color="{stroke}" fontcolor="{ink}"]'
        )
    for index, arrow in enumerate(diagram.arrows):
        source = arrow.source
        if source is None:
            source = f"beside {index}"  # names of nodes have no space
            label = _quoted(arrow.box)
            yield f'{_quoted(source)} [label={label} shape=box style=rounded color="{INK}"]'
        key = arrow.key
        colour = key.colour if key else GREY
        label = _quoted(arrow.text)
        dashed = " style=dashed" if arrow.dashed else ""
        yield (
            f"{_quoted(source)} -> {_quoted(arrow.destination)} [label={label} "
            f'color="{colour}" fontcolor="{colour}" tooltip={_quoted(arrow.tooltip)}{dashed}]'
        )
    if diagram.notes:
        yield f"label={_quoted(chr(10).join(diagram.notes))}"


def _quoted(text: str) -> str:
    escaped = printable_lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
