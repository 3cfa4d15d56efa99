"""The graph as written out: patterns expanded, words resolved, nothing folded away yet."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ktgdsl.language.complaint import quoted
from ktgdsl.language.diagnostic import Diagnostic, Label
from ktgdsl.language.resolve import Resolver
from ktgdsl.language.source import Span
from ktgdsl.language.syntax import All, Edge, Graph, Node, Reference, Target, Value
from ktgdsl.plan.gates import THROUGH, gate
from ktgdsl.plan.losses import losses
from ktgdsl.plan.model import LABEL, Part, Term
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.losses import Ce, Kl
from ktgdsl.vocabulary.registry import closest
from ktgdsl.vocabulary.settings import NodeSettings

MOST_NODES = 256
MOST_EDGES = 65_536


@dataclass(frozen=True)
class DraftNode:
    """A network node with its settings."""

    name: str
    network: Entry
    settings: NodeSettings
    span: Span


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


def draft(resolver: Resolver, graph: Graph) -> Draft:
    """The graph written out; what is wrong with it is left out and complained about."""
    result = Draft(graph.name)
    names = _Names(resolver)
    for statement in graph.statements:
        if isinstance(statement, Node):
            _add_nodes(resolver, names, result, statement)
    for statement in graph.statements:
        if isinstance(statement, Edge):
            _add_edges(resolver, names, result, statement)
        elif isinstance(statement, Target):
            for reference in statement.names:
                for name in names.nodes(reference):
                    result.targets.setdefault(name, reference.span)
    return result


class _Names:
    """The names of nodes, and which nodes a reference means."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.members: dict[str, list[str]] = {}
        self.arrays: set[str] = set()

    def nodes(self, reference: Reference) -> list[str]:
        """The nodes that a reference means; none after a complaint."""
        name = reference.name
        if name == "*":
            return [member for members in self.members.values() for member in members]
        if name not in self.members:
            guess = closest(name, [*self.members, LABEL])
            self.resolver.complain(
                "E201",
                f"there is no node called `{name}`",
                reference.span,
                f"did you mean `{guess}`?" if guess else f"`node {name} = resnet8` declares it",
            )
            return []
        members = self.members[name]
        if reference.index is None or isinstance(reference.index, All):
            return members
        return self._element(reference, reference.index, members)

    def _element(self, reference: Reference, index_value: Value, members: list[str]) -> list[str]:
        index = self.resolver.plain(index_value)
        if isinstance(index, int) and 0 <= index < len(members) and reference.name in self.arrays:
            return [members[index]]
        name = reference.name
        if name not in self.arrays:
            message = f"`{name}` is one node, not an array"
        elif isinstance(index, int) and not isinstance(index, bool):
            message = f"`{name}` has the nodes {name}[0] to {name}[{len(members) - 1}]"
        else:
            message = f"`{name}[...]` needs a whole number"
        self.resolver.complain("E302", message, reference.span)
        return []

    def is_pattern(self, reference: Reference) -> bool:
        """Whether a reference stands for whatever nodes there are rather than for one."""
        if reference.name == "*" or isinstance(reference.index, All):
            return True
        return reference.name in self.arrays and reference.index is None


def _add_nodes(resolver: Resolver, names: _Names, result: Draft, statement: Node) -> None:
    network = resolver.word(statement.network, "network")
    settings = resolver.settings(NodeSettings, statement.settings, "node", statement.span)
    for declared in statement.names:
        if declared.name in names.members:
            continue  # declared twice: `validate` complains
        members = [declared.name]
        if declared.size is not None:
            size = resolver.plain(declared.size)
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_NODES:
                if isinstance(size, str | int | float | list):
                    message = f"the size of an array is 1 to {MOST_NODES}, not {quoted(size)}"
                    resolver.complain("E302", message, declared.size.span)
                size = 1
            members = [f"{declared.name}[{index}]" for index in range(size)]
            names.arrays.add(declared.name)
        names.members[declared.name] = members
        if network is not None and settings is not None:
            for name in members:
                result.nodes[name] = DraftNode(name, network, settings, declared.span)
        if sum(map(len, names.members.values())) > MOST_NODES:
            resolver.complain("E003", f"a graph has at most {MOST_NODES} nodes", statement.span)
            names.members[declared.name] = []


def _add_edges(resolver: Resolver, names: _Names, result: Draft, statement: Edge) -> None:
    pairs = list(_pairs(resolver, names, result, statement))
    terms: dict[bool, tuple[Term, ...] | None] = {}
    for source, destination, by_name in pairs:
        from_label = source == LABEL
        if from_label not in terms:
            terms[from_label] = _terms(resolver, statement, from_label)
        resolved = terms[from_label]
        if resolved is not None:
            edge = DraftEdge(source, destination, resolved, statement.span, by_name)
            _put(resolver, result, edge)
    if not pairs:
        _terms(resolver, statement, statement.sources[0].name == LABEL)


def _pairs(
    resolver: Resolver, names: _Names, result: Draft, statement: Edge
) -> Iterator[tuple[str, str, bool]]:
    directions = [(statement.sources, statement.destinations)]
    if statement.arrow == "<->":
        directions.append((statement.destinations, statement.sources))
    before = len(resolver.diagnostics)
    found = 0
    known = {reference: names.nodes(reference) for reference in _nodes_of(statement)}
    for sources, destinations in directions:
        for source in sources:
            for destination in destinations:
                if destination.name == LABEL:
                    continue  # complained about below
                by_name = not names.is_pattern(source) and not names.is_pattern(destination)
                for s in [LABEL] if source.name == LABEL else known[source]:
                    for d in known[destination]:
                        if s == d and by_name:
                            _self_edge(resolver, source, destination)
                        skipped = destination.name == "*" and _frozen(result, d)
                        if s != d and not skipped:
                            found += 1
                            yield s, d, by_name
    for reference in (*statement.destinations, *statement.sources):
        if reference.name == LABEL and (
            reference in statement.destinations or statement.arrow == "<->"
        ):
            resolver.complain(
                "E405",
                "the labels cannot learn, so no edge leads to `label`",
                reference.span,
                "write `edge label -> ...` with `label` as the source",
            )
    if not found and len(resolver.diagnostics) == before:
        message = "this edge stands for no pair of nodes"
        resolver.diagnostics.append(Diagnostic("W103", message, statement.span, severity="warning"))


def _nodes_of(statement: Edge) -> Iterator[Reference]:
    for reference in (*statement.sources, *statement.destinations):
        if reference.name != LABEL:
            yield reference


def _frozen(result: Draft, name: str) -> bool:
    return name in result.nodes and result.nodes[name].settings.frozen


def _self_edge(resolver: Resolver, source: Reference, destination: Reference) -> None:
    resolver.complain(
        "E405",
        f"an edge from `{source.name}` to itself transfers nothing",
        source.span.to(destination.span),
        "an edge leads from one node to another",
    )


def _put(resolver: Resolver, result: Draft, edge: DraftEdge) -> None:
    pair = (edge.source, edge.destination)
    earlier = result.edges.get(pair)
    arrow = f"{edge.source} -> {edge.destination}"
    if earlier is not None and earlier.by_name and earlier.span != edge.span:
        label = [Label(earlier.span, "written out here")]
        if not edge.by_name:
            resolver.complain(
                "E404",
                f"this pattern would replace the edge {arrow}, which is written out by name",
                edge.span,
                "put the general rule first and its exceptions after it",
                label,
            )
            return
        resolver.diagnostics.append(
            Diagnostic(
                "W102",
                f"this edge replaces the earlier edge {arrow}",
                edge.span,
                "several losses on one pair are the terms of one edge, with commas between them",
                "warning",
                tuple(label),
            )
        )
    if earlier is None and len(result.edges) >= MOST_EDGES:
        if len(result.edges) == MOST_EDGES:
            resolver.complain("E003", f"a graph has at most {MOST_EDGES:,} edges", edge.span)
        return
    result.edges[pair] = edge


def _terms(resolver: Resolver, statement: Edge, from_label: bool) -> tuple[Term, ...] | None:
    default = (Part(coefficient=1.0, loss=(Ce() if from_label else Kl()).call()),)
    if not statement.terms:
        return (Term(parts=default, gate=THROUGH),)
    terms = []
    for term in statement.terms:
        parts = losses(resolver, term.loss, from_label=from_label) if term.loss else default
        weight = gate(resolver, term.gate, from_label=from_label) if term.gate else THROUGH
        if parts is not None and weight is not None:
            terms.append(Term(parts=parts, gate=weight))
    return tuple(terms) if len(terms) == len(statement.terms) else None
