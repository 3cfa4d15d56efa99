"""The graph as written out: patterns expanded, words resolved, nothing folded away yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ktgdsl.language.diagnostic import Diagnostic, Label
from ktgdsl.language.resolve import Resolver
from ktgdsl.language.source import Span
from ktgdsl.language.syntax import Edge, Graph, Node, Reference, Share, Target
from ktgdsl.language.validate import taps
from ktgdsl.plan.gates import THROUGH, gate
from ktgdsl.plan.losses import losses, plain
from ktgdsl.plan.model import LABEL, Term
from ktgdsl.plan.names import Names
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.losses import Ce, Kl
from ktgdsl.vocabulary.settings import NodeSettings

MOST_PAIRS = 262_144
"""How many pairs all edge statements may stand for: four times the 65,536 of 256 nodes."""


@dataclass(frozen=True)
class DraftNode:
    """A network node with its settings, and where its name and its `weights` stand."""

    name: str
    network: Entry
    settings: NodeSettings
    span: Span
    weights_span: Span | None


@dataclass(frozen=True)
class DraftEdge:
    """An edge for one pair; `by_name` tells one that was written out from a pattern's."""

    source: str
    destination: str
    terms: tuple[Term, ...]
    span: Span
    by_name: bool


@dataclass
class Draft:
    """What a graph block says. `edges` has one edge a pair, in the order of first mention."""

    name: str
    nodes: dict[str, DraftNode] = field(default_factory=dict)
    edges: dict[tuple[str, str], DraftEdge] = field(default_factory=dict)
    targets: dict[str, Span] = field(default_factory=dict)
    empty: list[Edge] = field(default_factory=list)
    """The edge statements that stand for no pair."""
    pairs: int = 0


def draft(resolver: Resolver, graph: Graph) -> Draft:
    """The graph written out; what is wrong with it is left out and complained about."""
    result = Draft(graph.name)
    names = Names(resolver)
    for statement in graph.statements:
        if isinstance(statement, Node):
            _add_nodes(resolver, names, result, statement)
    for statement in graph.statements:
        match statement:
            case Edge():
                _add_edges(resolver, names, result, statement)
            case Target():
                for reference in statement.names:
                    for name in _whole(resolver, names, reference):
                        result.targets.setdefault(name, reference.span)
            case Share():
                for reference in statement.names:
                    _whole(resolver, names, reference)
    return result


def _whole(resolver: Resolver, names: Names, reference: Reference) -> list[str]:
    """The nodes of a reference that may not point inside of them."""
    if reference.tap is not None:
        message = "a node is needed here, not a place inside of it"
        resolver.complain("E301", message, reference.tap.span, "leave the tap out")
    return names.nodes(reference)


def _add_nodes(resolver: Resolver, names: Names, result: Draft, statement: Node) -> None:
    network = resolver.word(statement.network, "network")
    settings = resolver.settings(NodeSettings, statement.settings, "node", statement.span)
    weights = next((s.value.span for s in statement.settings if s.name == "weights"), None)
    for declared in statement.names:
        if declared.name in names.members:
            continue  # declared twice: `validate` complains
        members = names.declare(declared)
        if network is not None and settings is not None:
            for name in members:
                result.nodes[name] = DraftNode(name, network, settings, declared.span, weights)


def _add_edges(resolver: Resolver, names: Names, result: Draft, statement: Edge) -> None:
    before = len(resolver.diagnostics)
    known = {ref: _endpoint(names, ref) for ref in (*statement.sources, *statement.destinations)}
    _check_label(resolver, statement)
    if statement.arrow is None:
        return  # a unary term: `validate` says that there are none yet
    tapped = bool(taps(statement))
    if not tapped:
        _check_self(resolver, names, known, statement)
    if _too_many(resolver, known, result, statement):
        return
    pairs = list(_pairs(names, known, result, statement))
    sources = dict.fromkeys(source == LABEL for source, _, _ in pairs)
    terms = {
        from_label: _terms(resolver, statement, from_label)
        for from_label in sources or [statement.sources[0].name == LABEL]
    }
    if tapped:
        return  # it is another edge than the one between the logits
    if not pairs and len(resolver.diagnostics) == before:
        result.empty.append(statement)
    edges = [
        DraftEdge(source, destination, resolved, statement.span, by_name)
        for source, destination, by_name in pairs
        if (resolved := terms[source == LABEL]) is not None
    ]
    _put(resolver, result, edges)


def _endpoint(names: Names, reference: Reference) -> list[str]:
    plain_label = reference.name == LABEL and reference.index is None
    return [LABEL] if plain_label else names.nodes(reference)


def _check_label(resolver: Resolver, statement: Edge) -> None:
    """Knowledge flows from the labels only."""
    learning = statement.destinations
    if statement.arrow != "->":
        learning = (*statement.sources, *statement.destinations)
    for reference in learning:
        if reference.name == LABEL:
            resolver.complain(
                "E405",
                "the labels cannot learn, so no edge leads to `label`",
                reference.span,
                "write `edge label -> a`, with the labels as the source",
            )


def _too_many(
    resolver: Resolver, known: dict[Reference, list[str]], result: Draft, statement: Edge
) -> bool:
    """Whether the statements so far stand for too many pairs; told once."""
    before = result.pairs
    sources = sum(len(known[reference]) for reference in statement.sources)
    result.pairs += sources * sum(len(known[reference]) for reference in statement.destinations)
    if before <= MOST_PAIRS < result.pairs:
        message = f"the edges of this graph stand for more than {MOST_PAIRS:,} pairs"
        resolver.complain("E003", message, statement.span, "write each pair once")
    return result.pairs > MOST_PAIRS


def _check_self(
    resolver: Resolver, names: Names, known: dict[Reference, list[str]], statement: Edge
) -> None:
    """An edge from one node to the same node is a mistake; a list or pattern leaves it out."""
    if len(statement.sources) != 1 or len(statement.destinations) != 1:
        return
    source, destination = statement.sources[0], statement.destinations[0]
    if known[source] == known[destination] != [LABEL] and not names.is_pattern(source):
        for name in known[source]:
            resolver.complain(
                "E405",
                f"an edge from `{name}` to itself transfers nothing",
                source.span.to(destination.span),
                "an edge leads from one node to another",
            )


def _pairs(
    names: Names, known: dict[Reference, list[str]], result: Draft, statement: Edge
) -> Iterator[tuple[str, str, bool]]:
    """Source and destination of every edge that a statement stands for, and whether by name."""
    directions = [(statement.sources, statement.destinations)]
    if statement.arrow == "<->":
        directions.append((statement.destinations, statement.sources))
    for sources, destinations in directions:
        for source in sources:
            for destination in destinations:
                by_name = not names.is_pattern(source) and not names.is_pattern(destination)
                for s in known[source]:
                    for d in known[destination]:
                        skipped = destination.name == "*" and _frozen(result, d)
                        if s != d and d != LABEL and not skipped:
                            yield s, d, by_name


def _frozen(result: Draft, name: str) -> bool:
    return name in result.nodes and result.nodes[name].settings.frozen


def _put(resolver: Resolver, result: Draft, edges: list[DraftEdge]) -> None:
    """Add a statement's edges; a later one replaces an earlier of the same pair as a whole."""
    refused: list[DraftEdge] = []
    replaced: list[DraftEdge] = []
    for edge in edges:
        pair = (edge.source, edge.destination)
        earlier = result.edges.get(pair)
        named = earlier is not None and earlier.by_name and earlier.span != edge.span
        if earlier is not None and named:
            (replaced if edge.by_name else refused).append(earlier)
        if edge.by_name or not named:
            result.edges[pair] = edge
    if refused:
        resolver.complain(
            "E404",
            f"this pattern would replace {_named(refused)}, written out by name before",
            edges[0].span,
            "put the general rule first and its exceptions after it",
            _written_out(refused),
        )
    if replaced:
        warning = Diagnostic(
            "W102",
            f"this edge replaces {_named(replaced)}, written out by name before",
            edges[0].span,
            "several losses on one pair are the terms of one edge, with commas between them",
            "warning",
            tuple(_written_out(replaced)),
        )
        resolver.diagnostics.append(warning)


def _named(edges: list[DraftEdge]) -> str:
    arrow = f"{edges[0].source} -> {edges[0].destination}"
    more = f" and {len(edges) - 1} more" if len(edges) > 1 else ""
    return f"the edge {arrow}{more}"


def _written_out(edges: list[DraftEdge]) -> list[Label]:
    return [Label(span, "here") for span in dict.fromkeys(edge.span for edge in edges)]


def _terms(resolver: Resolver, statement: Edge, from_label: bool) -> tuple[Term, ...] | None:
    """The losses and gates of a statement's edges; None after a complaint."""
    default = (plain(Ce.model_construct() if from_label else Kl.model_construct()),)
    if not statement.terms:
        return (Term.model_construct(parts=default, gate=THROUGH),)
    terms = []
    for term in statement.terms:
        parts = losses(resolver, term.loss, from_label=from_label) if term.loss else default
        weight = gate(resolver, term.gate, from_label=from_label) if term.gate else THROUGH
        if parts is not None and weight is not None:
            terms.append(Term.model_construct(parts=parts, gate=weight))
    return tuple(terms) if len(terms) == len(statement.terms) else None
