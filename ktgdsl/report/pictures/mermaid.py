"""Writes a diagram as Mermaid, which many Markdown viewers draw."""

from collections.abc import Iterator

from ktgdsl.diagnostics.render import printable
from ktgdsl.report.pictures.diagram import Diagram, Vertex
from ktgdsl.report.pictures.style import GREY, ROLE_COLOURS


def mermaid(diagram: Diagram) -> str:
    """The text of a Mermaid flow chart."""
    return "\n".join(["flowchart LR", *(f"    {line}" for line in _lines(diagram))]) + "\n"


def _lines(diagram: Diagram) -> Iterator[str]:
    numbers = {vertex.name: f"n{i}" for i, vertex in enumerate(diagram.vertices, 1)}
    for vertex in diagram.vertices:
        yield f'{numbers[vertex.name]}(("{_vertex(vertex)}")):::{vertex.role}'
    styles = []
    for index, arrow in enumerate(diagram.arrows):
        source = numbers[arrow.source] if arrow.source else f's{index}(["{_text(arrow.box)}"])'
        line = "-.->" if arrow.dashed else "-->"
        gate = f'|"{_text(arrow.text)}"|' if arrow.text else ""
        yield f"{source} {line}{gate} {numbers[arrow.destination]}"
        colour = arrow.key.colour if arrow.key else GREY
        styles.append(f"linkStyle {index} stroke:{colour},color:{colour}")
    yield from styles
    for vertex in diagram.vertices:
        if vertex.derived:
            yield f"style {numbers[vertex.name]} stroke-dasharray:5 3"
    for role in sorted({vertex.role for vertex in diagram.vertices}):
        fill, stroke, ink = ROLE_COLOURS[role]
        yield f"classDef {role} fill:{fill},stroke:{stroke},color:{ink}"
    for note in diagram.notes:
        yield f"%% {printable(note)}"


def _vertex(vertex: Vertex) -> str:
    accuracy = [] if vertex.accuracy is None else [f"({vertex.accuracy})"]
    lines = [vertex.name, " | ".join(vertex.networks), *accuracy]
    return "<br/>".join(map(_text, lines))


def _text(text: str) -> str:
    """Text with the characters escaped that mean something within quotes."""
    return printable(text).replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
