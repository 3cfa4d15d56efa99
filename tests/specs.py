"""Specs as text for tests of the front end, with what is said about them in short."""

from collections.abc import Iterable
from pathlib import Path

from ktgdsl.compiler import Compiled, compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.plan.model import Edge, Plan


def compiled(text: str, settings: Iterable[str] = (), folder: Path | None = None) -> Compiled:
    """What becomes of a spec that lies in `folder`, by default where nothing else is."""
    return compile_source(Source("spec.ktg", text), folder or Path("/nowhere"), settings)


def graph(body: str, more: str = "") -> str:
    """A spec with a graph of these statements, and other blocks after it."""
    return f"graph g {{\n{body}\n}}\n{more}"


def sound(text: str, settings: Iterable[str] = ()) -> Plan:
    """The plan of a spec in which nothing is wrong; warnings are fine."""
    result = compiled(text, settings)
    assert result.plan is not None, [d.message for d in result.diagnostics]
    return result.plan


def of(body: str, more: str = "") -> Plan:
    """The plan of a graph of these statements."""
    return sound(graph(body, more))


def said(text: str, settings: Iterable[str] = (), folder: Path | None = None) -> list[str]:
    """All messages with their codes, in order."""
    found = compiled(text, settings, folder).diagnostics
    return [f"{diagnostic.code} {diagnostic.message}" for diagnostic in found]


def codes(text: str, settings: Iterable[str] = ()) -> list[str]:
    """The codes of all that is said, in order."""
    return [diagnostic.code for diagnostic in compiled(text, settings).diagnostics]


def pairs(plan: Plan) -> list[str]:
    """The live edges as `a -> b`, in order."""
    return [f"{edge.source} -> {edge.destination}" for edge in plan.graph.edges]


def edge(plan: Plan, source: str, destination: str) -> Edge:
    """The live edge of a pair."""
    (found,) = [edge for edge in plan.graph.edges if edge.key == (source, destination)]
    return found


def text_of(found: Edge) -> str:
    """An edge's terms as they would be written: `kl(T=1, scale=1) via through`."""
    return ", ".join(
        f"{' + '.join(str(part) for part in term.parts)} via {term.gate}" for term in found.terms
    )
