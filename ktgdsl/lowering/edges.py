"""Lowers `edge` statements: the pairs that they expand to, and the terms of each."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Label
from ktgdsl.lowering.draft import DraftEdge, Drafting
from ktgdsl.lowering.edge_kind import EdgeKind, Source
from ktgdsl.lowering.edge_pairs import EdgeTable, Pair, add_pairs
from ktgdsl.lowering.taps import FLAT, check_tap, tap_path
from ktgdsl.lowering.terms import terms
from ktgdsl.plan.model import (
    LABEL,
    LOGITS,
    Endpoint,
    Labels,
    NodeOutput,
    NoSource,
    Term,
    node_of,
    tap_of,
)
from ktgdsl.syntax.tree import All, Edge, Reference

_SOURCES: dict[type[Endpoint], Source] = {
    NodeOutput: "node",
    Labels: "label",
    NoSource: "nothing",
}
_LABELS, _NO_SOURCE = Labels.model_construct(), NoSource.model_construct()

MOST_PAIRS = 262_144
"""How many pairs all edge statements may stand for: four times the 65,536 of 256 nodes."""


def add_edges(drafting: Drafting, statements: list[Edge]) -> None:
    """All edges of a graph; a later one replaces an earlier of the same pair as a whole."""
    edges = EdgeTable(drafting)
    for statement in statements:
        _add(edges, statement)
    written = [*edges.pairs.values(), *edges.elsewhere]
    if edges.elsewhere:  # in the order of the text, so that draws have the same names everywhere
        written.sort(key=lambda each: each.number)
    found = {each.number: _terms(edges, each.statement, each.pair) for each in written}
    for key, each in edges.pairs.items():
        pair, resolved = each.pair, found[each.number]
        if resolved is not None:
            drafting.draft.edges[key] = DraftEdge(
                pair.source, pair.destination, resolved, each.statement.span, pair.by_name
            )


def _add(edges: EdgeTable, statement: Edge) -> None:
    drafting = edges.drafting
    before = len(drafting.resolver.diagnostics)
    _check_label(drafting, statement)
    from_labels = statement.arrow == "->"
    sources = [_end(drafting, each, labels=from_labels) for each in statement.sources]
    destinations = [_end(drafting, each) for each in statement.destinations]
    if statement.arrow is None:
        sources, destinations = [_End(None, [""])], sources
    else:
        _check_self(drafting, statement, sources, destinations)
    if _too_many(edges, statement, sources, destinations):
        return
    pairs = list(_pairs(edges, statement, sources, destinations))
    if not pairs:
        # Its terms are looked at all the same.
        label = statement.sources[0].name == LABEL
        inside = any(r.tap is not None for r in (*statement.sources, *statement.destinations))
        if not inside and statement.arrow is not None and not _is_open(drafting, statement):
            edge_kind = EdgeKind("label" if label else "node")
            terms(drafting.resolver, drafting.substitution, statement, edge_kind, "edge")
        if len(drafting.resolver.diagnostics) == before:
            drafting.draft.empty.append(statement)
    if not _is_open(drafting, statement):
        # What is replaced by a later statement is looked at as well.
        for pair in {_edge_kind(drafting, pair): pair for pair in pairs}.values():
            _terms(edges, statement, pair)
    add_pairs(edges, statement, pairs)


class _End(NamedTuple):
    """A reference, its index closed, and the nodes that it means; `drawn` if a draw says which."""

    reference: Reference | None
    nodes: list[str]
    drawn: bool = False


def _end(drafting: Drafting, reference: Reference, *, labels: bool = False) -> _End:
    drawn = reference.index is not None and drafting.substitution.is_open(reference.index)
    if reference.index is not None and drawn:
        assert not isinstance(reference.index, All)
        closed = drafting.substitution.substitute(reference.index, f"edge.{reference.name}.index")
        reference = replace(reference, index=closed)
    if reference.name == LABEL and reference.index is None:
        return _End(reference, [LABEL])
    return _End(reference, drafting.names.nodes(reference, labels=labels), drawn)


def _check_label(drafting: Drafting, statement: Edge) -> None:
    """Knowledge flows from the labels only."""
    learning = statement.destinations
    if statement.arrow != "->":
        learning = (*statement.sources, *statement.destinations)
    for reference in learning:
        if reference.name == LABEL:
            drafting.resolver.complain(
                "E405",
                "the labels cannot learn, so no edge leads to `label`",
                reference.span,
                "write `edge label -> a`, with the labels as the source",
            )


def _check_self(
    drafting: Drafting, statement: Edge, sources: list[_End], destinations: list[_End]
) -> None:
    """An edge from one node to the same place is a mistake; a list or pattern leaves it out."""
    if len(sources) != 1 or len(destinations) != 1 or drafting.views > 1:
        return
    (source, nodes, _), (destination, others, _) = sources[0], destinations[0]
    assert source is not None
    assert destination is not None
    if nodes != others or nodes == [LABEL] or drafting.names.is_pattern(source):
        return
    if source.tap == destination.tap:
        for name in nodes:
            drafting.resolver.complain(
                "E405",
                f"an edge from `{name}` to itself transfers nothing",
                source.span.to(destination.span),
                "an edge leads from one node to another, or with `views = 2` from one view of "
                "the data to the other",
            )


def _too_many(
    edges: EdgeTable, statement: Edge, sources: list[_End], destinations: list[_End]
) -> bool:
    """Whether the statements so far stand for too many pairs; reported once."""
    before = edges.count
    edges.count += sum(len(s.nodes) for s in sources) * sum(len(d.nodes) for d in destinations)
    if before <= MOST_PAIRS < edges.count:
        message = f"the edges of this graph stand for more than {MOST_PAIRS:,} pairs"
        edges.drafting.resolver.complain("E003", message, statement.span, "write each pair once")
    return edges.count > MOST_PAIRS


def _pairs(
    edges: EdgeTable, statement: Edge, sources: list[_End], destinations: list[_End]
) -> Iterator[Pair]:
    """Every pair that a statement stands for."""
    drafting = edges.drafting
    alone = len(sources) == 1 and len(destinations) == 1
    directions = [(sources, destinations)]
    if statement.arrow == "<->":
        directions.append((destinations, sources))
    for several, others in directions:
        for start in several:
            for end in others:
                source, destination = start.reference, end.reference
                assert destination is not None
                pattern = drafting.names.is_pattern(destination)
                pattern = pattern or (source is not None and drafting.names.is_pattern(source))
                for s in start.nodes:
                    for d in end.nodes:
                        if destination.name == LABEL or (s == d and (pattern or not alone)):
                            continue
                        if destination.name == "*" and _frozen(drafting, d):
                            continue
                        if not _teachable(edges, statement, destination, d):
                            continue
                        pair = _pair(edges, (start, s), (end, d), by_name=not pattern)
                        if pair is not None and (s != d or _apart(drafting, pair)):
                            yield pair


def _frozen(drafting: Drafting, name: str) -> bool:
    return name in drafting.draft.nodes and drafting.draft.nodes[name].settings.frozen


def _apart(drafting: Drafting, pair: Pair) -> bool:
    """Whether an edge within one node joins two taps, or two views of the data."""
    return drafting.views > 1 or tap_of(pair.source) != pair.destination.tap


def _teachable(edges: EdgeTable, statement: Edge, destination: Reference, name: str) -> bool:
    derived = edges.drafting.draft.derived.get(name)
    if derived is None or derived.teachable:
        return True
    if (id(statement), name) not in edges.reported:
        edges.reported.add((id(statement), name))
        fix = "give the edge to the nodes that it is made from"
        if derived.made.word == "ensemble":
            fix = "with `detach = false` it passes on what it learns to its members"
        edges.drafting.resolver.complain(
            "E408",
            f"no edge can teach `{name}`, since `{derived.made.word}` has nothing that learns",
            destination.span,
            fix,
            [Label(derived.span, "declared here")],
        )
    return False


def _pair(
    edges: EdgeTable,
    source: tuple[_End, str],
    destination: tuple[_End, str],
    *,
    by_name: bool,
) -> Pair | None:
    """The pair of two nodes, their taps looked up; None after a complaint."""
    paths = []
    drawn = False
    shown = [_shown(edges, end, node) for end, node in (source, destination)]
    place = "edge." + "->".join(name for name in shown if name)
    for (end, node), name in zip((source, destination), ("source", "destination"), strict=True):
        tap = end.reference.tap if end.reference is not None else None
        drawn = drawn or end.drawn
        if tap is not None and edges.drafting.substitution.is_open(tap):
            drawn = True
            tap = edges.drafting.substitution.substitute(tap, f"{place}.{name}")
        path = tap_path(edges.drafting, tap)
        if path is None:
            return None
        if tap is not None and path != LOGITS and (id(tap), node) not in edges.reported:
            edges.reported.add((id(tap), node))
            if not check_tap(edges.drafting, node, path, tap.span):
                return None
        paths.append(path)
    starts = _source(edges, *source, paths[0])
    return Pair(starts, _output(edges, destination[1], paths[1]), by_name, place, drawn)


def _source(edges: EdgeTable, end: _End, node: str, tap: str) -> Endpoint:
    if end.reference is None:
        return _NO_SOURCE
    return _LABELS if end.reference.name == LABEL else _output(edges, node, tap)


def _shown(edges: EdgeTable, end: _End, node: str) -> str:
    """How a node stands in the name of a draw: without an index or tap that is drawn itself."""
    reference = end.reference
    if reference is None:
        return node
    node = reference.name if end.drawn else node
    if reference.tap is None or edges.drafting.substitution.is_open(reference.tap):
        return node
    path = tap_path(edges.drafting, reference.tap)
    return node if path is None else str(_output(edges, node, path))


def _output(edges: EdgeTable, node: str, tap: str) -> NodeOutput:
    key = node, tap
    if key not in edges.outputs:
        edges.outputs[key] = NodeOutput.model_construct(node=node, tap=tap)
    return edges.outputs[key]


def _terms(edges: EdgeTable, statement: Edge, pair: Pair) -> tuple[Term, ...] | None:
    """What flows between a pair; the same for all pairs of a statement that leaves nothing open."""
    drafting = edges.drafting
    edge_kind = _edge_kind(drafting, pair)
    if _is_open(drafting, statement):
        found = terms(drafting.resolver, drafting.substitution, statement, edge_kind, pair.place)
    else:
        key = id(statement), edge_kind
        if key not in edges.terms:
            edges.terms[key] = terms(
                drafting.resolver, drafting.substitution, statement, edge_kind, pair.place
            )
        found = edges.terms[key]
    if found is not None:
        _check_layers(edges, statement, pair, found)
    return found


def _is_open(drafting: Drafting, statement: Edge) -> bool:
    return any(drafting.substitution.is_open(term) for term in statement.terms)


def _edge_kind(drafting: Drafting, pair: Pair) -> EdgeKind:
    taps = tap_of(pair.source), pair.destination.tap
    return _joining(_SOURCES[type(pair.source)], taps, drafting.views)


@cache
def _joining(source: Source, taps: tuple[str, str], views: int) -> EdgeKind:
    inside = taps != (LOGITS, LOGITS)
    return EdgeKind(source, inside, not inside or not FLAT.isdisjoint(taps), views)


def _check_layers(edges: EdgeTable, statement: Edge, pair: Pair, found: tuple[Term, ...]) -> None:
    """The layers that losses name are in both networks."""
    for position, term in enumerate(found):
        loss = statement.terms[position].loss if statement.terms else None
        span = statement.span if loss is None else loss.span
        for layer in _layers(term):
            nodes = (node_of(pair.source) or str(pair.source), pair.destination.node)
            for node in filter(None, nodes):
                key = span, layer, _edge_kind(edges.drafting, pair)
                if key not in edges.reported and not check_tap(edges.drafting, node, layer, span):
                    edges.reported.add(key)


def _layers(term: Term) -> Iterator[str]:
    for part in term.parts:
        for value in part.loss.arguments.values():
            for layer in value if isinstance(value, list) else [value]:
                if isinstance(layer, dict) and set(layer) == {"tap"}:
                    yield str(layer["tap"])
