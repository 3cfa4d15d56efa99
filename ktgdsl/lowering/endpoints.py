"""Resolves the endpoints of edges: the nodes and taps that they mean, and the pairs they make."""

from dataclasses import replace
from typing import NamedTuple

from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.edge_kind import edge_kind
from ktgdsl.lowering.edge_pairs import EdgeTable, Pair
from ktgdsl.lowering.heads import plain_tap
from ktgdsl.lowering.taps import check_tap, tap_path
from ktgdsl.plan.model import LABEL, LOGITS, Endpoint, Labels, NodeOutput, NoSource
from ktgdsl.syntax.tree import All, Reference

_LABELS, _NO_SOURCE = Labels.model_construct(), NoSource.model_construct()


class EndpointPattern(NamedTuple):
    """A written endpoint: the nodes that a reference means, None for an edge without a source.

    The index of `reference` is closed; `drawn` tells that a draw decides it.
    """

    reference: Reference | None
    nodes: list[str]
    drawn: bool = False


def endpoint_pattern(
    context: DraftContext, reference: Reference, *, labels: bool = False
) -> EndpointPattern:
    """The nodes that a reference means, its index closed; `labels` as in `Names.nodes`."""
    drawn = reference.index is not None and context.substitution.is_open(reference.index)
    if reference.index is not None and drawn:
        assert not isinstance(reference.index, All)
        closed = context.substitution.substitute(reference.index, f"edge.{reference.name}.index")
        reference = replace(reference, index=closed)
    if reference.name == LABEL and reference.index is None:
        return EndpointPattern(reference, [LABEL])
    return EndpointPattern(reference, context.names.nodes(reference, labels=labels), drawn)


def make_pair(
    edges: EdgeTable,
    source: tuple[EndpointPattern, str],
    destination: tuple[EndpointPattern, str],
    *,
    by_name: bool,
) -> Pair | None:
    """The pair of two nodes, their taps looked up; None after a complaint."""
    paths = []
    drawn = False
    shown = [_draw_place(edges, end, node) for end, node in (source, destination)]
    place = "edge." + "->".join(name for name in shown if name)
    for (pattern, node), name in zip((source, destination), ("source", "destination"), strict=True):
        tap = pattern.reference.tap if pattern.reference is not None else None
        drawn = drawn or pattern.drawn
        if tap is not None and edges.context.substitution.is_open(tap):
            drawn = True
            tap = edges.context.substitution.substitute(tap, f"{place}.{name}")
        path = tap_path(edges.context, tap)
        if path is None:
            return None
        if tap is not None and path != LOGITS and (id(tap), node) not in edges.reported:
            edges.reported.add((id(tap), node))
            if not check_tap(edges.context, node, path, tap.span):
                return None
        paths.append(plain_tap(edges.context.draft, node, path))
    start, end = _source(edges, *source, paths[0]), _output(edges, destination[1], paths[1])
    return Pair(start, end, by_name, place, drawn, edge_kind(edges.context, start, end))


def _source(edges: EdgeTable, end: EndpointPattern, node: str, tap: str) -> Endpoint:
    if end.reference is None:
        return _NO_SOURCE
    if end.reference.name == LABEL:
        return _LABELS if tap == LOGITS else Labels.model_construct(tap=tap)
    return _output(edges, node, tap)


def _draw_place(edges: EdgeTable, end: EndpointPattern, node: str) -> str:
    """A node in the name of a draw: without an index or a tap that is drawn itself."""
    reference = end.reference
    if reference is None:
        return node
    node = reference.name if end.drawn else node
    if reference.tap is None or edges.context.substitution.is_open(reference.tap):
        return node
    path = tap_path(edges.context, reference.tap)
    return node if path is None else _output(edges, node, path).stable_name


def _output(edges: EdgeTable, node: str, tap: str) -> NodeOutput:
    key = node, tap
    if key not in edges.outputs:
        edges.outputs[key] = NodeOutput.model_construct(node=node, tap=tap)
    return edges.outputs[key]
