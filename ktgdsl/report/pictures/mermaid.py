"""A diagram as Mermaid, which many Markdown viewers draw."""

from collections.abc import Iterator

from ktgdsl.report.pictures.diagram import Arrow, Diagram, Vertex
from ktgdsl.report.pictures.style import GREY, ROLES


def mermaid(diagram: Diagram) -> str:
    """The text of a Mermaid flow chart."""
    return "\n".join(["flowchart LR", *(f"    {line}" for line in _lines(diagram))]) + "\n"


def _lines(diagram: Diagram) -> Iterator[str]:
    numbers = {vertex.name: f"n{i}" for i, vertex in enumerate(diagram.vertices, 1)}
    for vertex in diagram.vertices:
        yield f'{numbers[vertex.name]}(("{_vertex(vertex)}")):::{vertex.role}'
    styles = []
    for index, arrow in enumerate(diagram.arrows):
        source = numbers[arrow.source] if arrow.source else f's{index}(["{_text(arrow.beside)}"])'
        line = "-.->" if arrow.key is None or arrow.key.open else "-->"
        gate = f'|"{_text(shown)}"|' if (shown := _shown(arrow)) else ""
        yield f"{source} {line}{gate} {numbers[arrow.destination]}"
        colour = arrow.key.colour if arrow.key else GREY
        styles.append(f"linkStyle {index} stroke:{colour},color:{colour}")
    yield from styles
    for vertex in diagram.vertices:
        if vertex.derived:
            yield f"style {numbers[vertex.name]} stroke-dasharray:5 3"
    for role in sorted({vertex.role for vertex in diagram.vertices}):
        fill, stroke, ink = ROLES[role]
        yield f"classDef {role} fill:{fill},stroke:{stroke},color:{ink}"
    for note in diagram.notes:
        yield f"%% {note}"


def _vertex(vertex: Vertex) -> str:
    accuracy = [] if vertex.accuracy is None else [f"({vertex.accuracy})"]
    lines = [vertex.name, " | ".join(vertex.networks), *accuracy]
    return "<br/>".join(map(_text, lines))


def _shown(arrow: Arrow) -> str:
    return ": ".join(filter(None, [arrow.place, arrow.key.gate if arrow.key else ""]))


def _text(text: str) -> str:
    """Text as it may stand in quotes; Mermaid names characters by `#`."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
