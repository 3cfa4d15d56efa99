"""Unparses the edges of a plan; adjacent edges with equal terms become one statement."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from ktgdsl.lowering.passes import FROZEN
from ktgdsl.plan.model import LOGITS, Constant, Edge, Endpoint, NodeOutput, Plan, node_of, tap_of
from ktgdsl.space.unparse_calls import added, call_text, gate_text, weighted


def listed(places: Iterable[str], arrays: Mapping[str, int]) -> str:
    """Places with commas between them, all nodes of an array in a row as the array."""
    text = ", ".join(places)
    for base, size in arrays.items():
        run = ", ".join(f"{base}[{index}]" for index in range(size))
        text = re.sub(rf"(?<!\w){re.escape(run)}(?!\.)", base, text)
    return text


def edge_lines(plan: Plan) -> list[str]:
    """The edges of a plan as a spec writes them, without the word `edge`."""
    names = {node.name: node.name for node in plan.graph.nodes}
    names |= {node.name: node.name for node in plan.graph.derived}
    return [line.removeprefix("edge ") for line in edges_text(plan, names, {})]


class _Row(NamedTuple):
    """Edges from one source with equal terms; `alone` when no other source may join it."""

    source: str
    into: str
    terms: str
    alone: bool


def edges_text(plan: Plan, names: Mapping[str, str], arrays: Mapping[str, int]) -> Iterator[str]:
    """Neighbours with one source and equal terms stand together, then those into the same."""

    def key(row: _Row) -> tuple[str, ...]:
        return (row.source if row.alone else "", row.into, row.terms)

    for (_, into, terms), group in groupby(_rows(plan, names, arrays), key=key):
        rows = list(group)
        if not rows[0].source:
            yield f"edge {into} : {terms}"
            continue
        # Of an array into several places, the edges into the first would come first.
        one_by_one = rows[0].alone or "," in into
        source = listed((row.source for row in rows), {} if one_by_one else arrays)
        colon = " : " if terms and not terms.startswith(" via") else ""
        yield f"edge {source} -> {into}{colon}{terms}"


def _rows(plan: Plan, names: Mapping[str, str], arrays: Mapping[str, int]) -> Iterator[_Row]:
    learning = [node.name for node in plan.graph.nodes if node.frozen != FROZEN]

    def key(edge: Edge) -> tuple[str, str, bool]:
        # A list of nodes leaves out the source itself, so an edge to it stands for itself.
        return str(edge.source), _terms(edge, names), node_of(edge.source) == edge.destination.node

    for (_, terms, to_itself), group in groupby(plan.graph.edges, key=key):
        edges = list(group)
        first = edges[0]
        source = _endpoint(first.source, names)
        places = [_endpoint(edge.destination, names) for edge in edges]
        if to_itself:
            yield from (_Row(source, place, terms, alone=True) for place in places)
            continue
        into = [str(edge.destination) for edge in edges]
        if first.from_label and len(learning) > 1 and into[: len(learning)] == learning:
            yield _Row(source, "*", terms, alone=True)
            places = places[len(learning) :]
        if places:
            yield _Row(source, listed(places, arrays), terms, alone=not first.transfers)


def _endpoint(endpoint: Endpoint, names: Mapping[str, str]) -> str:
    if not isinstance(endpoint, NodeOutput):
        return str(endpoint)
    return str(endpoint.model_copy(update={"node": names[endpoint.node]}))


def _terms(edge: Edge, names: Mapping[str, str]) -> str:
    """The terms as written behind the colon; a default that stands alone is left out."""
    terms = []
    for term in edge.terms:
        parts = [
            weighted(part.coefficient, call_text("loss", part.loss, names)) for part in term.parts
        ]
        via = "" if term.gate == Constant(value=1.0) else f" via {gate_text(term.gate)}"
        terms.append((added(parts), via))
    default = "ce" if edge.from_label else "kl"
    tapped = {tap_of(edge.source), edge.destination.tap} != {LOGITS}
    if len(terms) == 1 and terms[0][0] == default and not tapped and not edge.unary:
        return terms[0][1]
    return ", ".join(loss + via for loss, via in terms)
