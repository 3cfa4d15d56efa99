"""Lowers `edge` statements: the pairs that they expand to, and the terms of each."""

from collections.abc import Hashable, Iterator

from ktgdsl.diagnostics.diagnostic import Label
from ktgdsl.lowering.draft import DraftContext, DraftEdge
from ktgdsl.lowering.edge_checks import check_terms
from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.edge_pairs import EdgeTable, NumberedPair, Pair, add_pairs
from ktgdsl.lowering.endpoints import EndpointPattern, endpoint_pattern, make_pair
from ktgdsl.lowering.head_checks import joins_one_head
from ktgdsl.lowering.taps import has_stages
from ktgdsl.lowering.terms import terms
from ktgdsl.plan.model import (
    LABEL,
    Term,
    tap_of,
)
from ktgdsl.syntax.tree import Edge, Reference

MAX_PAIRS = 262_144
"""How many pairs all edge statements may stand for: four times the 65,536 of 256 nodes."""


def add_edges(context: DraftContext, statements: list[Edge]) -> None:
    """All edges of a graph; a later one replaces an earlier of the same pair as a whole."""
    draft = context.draft
    if any(context.substitution.is_open(statement) for statement in statements):
        _add_all(context, statements)
    else:  # they are the same at all points of a space where the nodes are alike
        draft.edges, draft.empty = context.resolver.cached_for_state(
            "edges", _nodes(context), lambda: _add_all(context, statements)
        )


def _nodes(context: DraftContext) -> Hashable:
    """All that edges depend on of the nodes, and of the data."""
    names, draft = context.names, context.draft
    return (
        context.views,
        tuple((name, name in names.arrays, tuple(names.members[name])) for name in names.members),
        tuple(
            (n.name, n.settings.frozen, has_stages(n.network), draft.heads.get(n.name))
            for n in draft.nodes.values()
        ),
        tuple((d.name, d.made.word, d.sources, d.teachable) for d in draft.derived.values()),
    )


def _add_all(
    context: DraftContext, statements: list[Edge]
) -> tuple[dict[tuple[str, str], DraftEdge], list[Edge]]:
    edges = EdgeTable(context)
    ends = (end for each in statements for end in (*each.sources, *each.destinations))
    if any(context.substitution.is_open(end) for end in ends):
        _expand(edges, statements)
    else:  # the pairs are the same at all points, whatever flows between them
        edges.pairs, edges.elsewhere, context.draft.empty = context.resolver.cached_for_state(
            "pairs", _nodes(context), lambda: _expand(edges, statements)
        )
    written = [*edges.pairs.values(), *edges.elsewhere]
    if edges.elsewhere:  # in the order of the text, so that draws have the same names everywhere
        written.sort(key=lambda each: each.number)
    found = {each.number: _terms(edges, each.statement, each.pair) for each in written}
    for key, each in edges.pairs.items():
        pair, resolved = each.pair, found[each.number]
        if resolved is not None:
            context.draft.edges[key] = DraftEdge(
                pair.source, pair.destination, resolved, each.statement.span, pair.by_name
            )
    return context.draft.edges, context.draft.empty


def _expand(
    edges: EdgeTable, statements: list[Edge]
) -> tuple[dict[tuple[str, str], NumberedPair], list[NumberedPair], list[Edge]]:
    """The pairs of all statements, those that others replaced, and statements without any."""
    for statement in statements:
        _add(edges, statement)
    return edges.pairs, edges.elsewhere, edges.context.draft.empty


def _add(edges: EdgeTable, statement: Edge) -> None:
    context = edges.context
    before = len(context.resolver.diagnostics)
    _check_label(context, statement)
    from_labels = statement.arrow == "->"
    sources = [endpoint_pattern(context, each, labels=from_labels) for each in statement.sources]
    destinations = [endpoint_pattern(context, each) for each in statement.destinations]
    if statement.arrow is None:
        sources, destinations = [EndpointPattern(None, [""])], sources
    else:
        _check_self(context, statement, sources, destinations)
    if _too_many(edges, statement, sources, destinations):
        return
    pairs = list(_pairs(edges, statement, sources, destinations))
    if not pairs:
        # Its terms are looked at all the same.
        label = statement.sources[0].name == LABEL
        inside = any(r.tap is not None for r in (*statement.sources, *statement.destinations))
        if not inside and statement.arrow is not None and not _is_open(context, statement):
            edge_kind = EdgeKind("label" if label else "node")
            terms(context.resolver, context.substitution, statement, edge_kind, "edge")
        if len(context.resolver.diagnostics) == before:
            context.draft.empty.append(statement)
    if not _is_open(context, statement):
        # What is replaced by a later statement is looked at as well.
        for pair in {pair.kind: pair for pair in pairs}.values():
            _terms(edges, statement, pair)
    add_pairs(edges, statement, pairs)


def _check_label(context: DraftContext, statement: Edge) -> None:
    """Knowledge flows from the labels only."""
    learning = statement.destinations
    if statement.arrow != "->":
        learning = (*statement.sources, *statement.destinations)
    for reference in learning:
        if reference.name == LABEL:
            context.resolver.complain(
                "E405",
                "the labels cannot learn, so no edge leads to `label`",
                reference.span,
                "write `edge label -> a`, with the labels as the source",
            )


def _check_self(
    context: DraftContext,
    statement: Edge,
    sources: list[EndpointPattern],
    destinations: list[EndpointPattern],
) -> None:
    """An edge from one node to the same place is a mistake; a list or pattern leaves it out."""
    if len(sources) != 1 or len(destinations) != 1 or context.views > 1:
        return
    (source, nodes, _), (destination, others, _) = sources[0], destinations[0]
    assert source is not None
    assert destination is not None
    if nodes != others or nodes == [LABEL] or context.names.is_pattern(source):
        return
    if source.tap == destination.tap:
        for name in nodes:
            context.resolver.complain(
                "E405",
                f"an edge from `{name}` to itself transfers nothing",
                source.span.to(destination.span),
                "an edge leads from one node to another, or with `views = 2` from one view of "
                "the data to the other",
            )


def _too_many(
    edges: EdgeTable,
    statement: Edge,
    sources: list[EndpointPattern],
    destinations: list[EndpointPattern],
) -> bool:
    """Whether the statements so far stand for too many pairs; reported once."""
    before = edges.count
    edges.count += sum(len(s.nodes) for s in sources) * sum(len(d.nodes) for d in destinations)
    if before <= MAX_PAIRS < edges.count:
        message = f"the edges of this graph stand for more than {MAX_PAIRS:,} pairs"
        edges.context.resolver.complain("E003", message, statement.span, "write each pair once")
    return edges.count > MAX_PAIRS


def _pairs(
    edges: EdgeTable,
    statement: Edge,
    sources: list[EndpointPattern],
    destinations: list[EndpointPattern],
) -> Iterator[Pair]:
    """Every pair that a statement stands for."""
    context = edges.context
    alone = len(sources) == 1 and len(destinations) == 1
    directions = [(sources, destinations)]
    if statement.arrow == "<->":
        directions.append((destinations, sources))
    for several, others in directions:
        for start in several:
            for end in others:
                source, destination = start.reference, end.reference
                assert destination is not None
                pattern = context.names.is_pattern(destination)
                pattern = pattern or (source is not None and context.names.is_pattern(source))
                for s in start.nodes:
                    for d in end.nodes:
                        if destination.name == LABEL or (s == d and (pattern or not alone)):
                            continue
                        if destination.name == "*" and _frozen(context, d):
                            continue
                        if not _teachable(edges, statement, destination, d):
                            continue
                        pair = make_pair(edges, (start, s), (end, d), by_name=not pattern)
                        if pair is None or (s == d and not _differs_within(context, pair)):
                            continue
                        if joins_one_head(edges, start, end, pair):
                            yield pair


def _frozen(context: DraftContext, name: str) -> bool:
    return name in context.draft.nodes and context.draft.nodes[name].settings.frozen


def _differs_within(context: DraftContext, pair: Pair) -> bool:
    """Whether an edge within one node joins two taps, or two views of the data."""
    return context.views > 1 or tap_of(pair.source) != pair.destination.tap


def _teachable(edges: EdgeTable, statement: Edge, destination: Reference, name: str) -> bool:
    derived = edges.context.draft.derived.get(name)
    if derived is None or derived.teachable:
        return True
    if (id(statement), name) not in edges.reported:
        edges.reported.add((id(statement), name))
        fix = "give the edge to the nodes that it is made from"
        if derived.made.word == "ensemble":
            fix = "with `detach = false` it passes on what it learns to its members"
        edges.context.resolver.complain(
            "E408",
            f"no edge can teach `{name}`, since `{derived.made.word}` has nothing that learns",
            destination.span,
            fix,
            [Label(derived.span, "declared here")],
        )
    return False


def _terms(edges: EdgeTable, statement: Edge, pair: Pair) -> tuple[Term, ...] | None:
    """The terms of a pair; cached for the equal pairs of a statement, unless their draws differ."""
    context = edges.context
    if context.substitution.differs_by_place and _is_open(context, statement):
        found = terms(context.resolver, context.substitution, statement, pair.kind, pair.place)
    else:
        key = id(statement), pair.kind
        if key not in edges.terms:
            edges.terms[key] = terms(
                context.resolver, context.substitution, statement, pair.kind, pair.place
            )
        found = edges.terms[key]
    if found is not None:
        check_terms(edges, statement, pair, found)
    return found


def _is_open(context: DraftContext, statement: Edge) -> bool:
    return any(context.substitution.is_open(term) for term in statement.terms)
