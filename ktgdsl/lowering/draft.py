"""The draft of a graph: all its nodes and edges, before the passes cut or drop any."""

from dataclasses import replace
from typing import Literal, NamedTuple

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.names import Names
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.substitution import Substitution
from ktgdsl.plan.model import Endpoint, NodeOutput, NoSource, Term, node_of
from ktgdsl.syntax.tree import All, Edge, Reference, Setting
from ktgdsl.vocabulary.networks import Derived, Network
from ktgdsl.vocabulary.settings import NodeSettings


class DraftNode(NamedTuple):
    """A network node with its settings, and where its name and its `weights` stand."""

    name: str
    network: Network
    settings: NodeSettings
    span: Span
    weights_span: Span | None


class DraftDerived(NamedTuple):
    """A node made from others, `sources`.

    `by` is the node whose features the learned weights of a mix are computed from.

    `learned` tells one with parameters of its own, `passes` one that lets gradients through to
    its sources.
    """

    name: str
    made: Derived
    sources: tuple[str, ...]
    by: str | None
    learned: bool
    passes: bool
    settings: NodeSettings
    span: Span

    @property
    def teachable(self) -> bool:
        """Whether an edge into it makes anything learn."""
        return self.learned or self.passes

    @property
    def needs(self) -> tuple[str, ...]:
        """The nodes that are needed to compute it."""
        return self.sources if self.by is None else (*self.sources, self.by)


class DraftEdge(NamedTuple):
    """An edge for one pair; `by_name` is true where no `*` or array stands for it."""

    source: Endpoint
    destination: NodeOutput
    terms: tuple[Term, ...]
    span: Span
    by_name: bool

    @property
    def transfers(self) -> bool:
        """Whether it counts for freezing: it has a source, which is not the node itself."""
        if isinstance(self.source, NoSource):
            return False
        return node_of(self.source) != self.destination.node

    def __str__(self) -> str:
        arrow = "" if isinstance(self.source, NoSource) else f"{self.source} -> "
        return f"{arrow}{self.destination}"


class DraftShare(NamedTuple):
    """Layers that several networks have in common, and where that stands."""

    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    grad: Literal["sum", "mean"]
    span: Span


class Draft:
    """The content of a graph block. `edges` has one edge a pair, in the order of first mention."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: dict[str, DraftNode] = {}
        self.derived: dict[str, DraftDerived] = {}
        self.edges: dict[tuple[str, str], DraftEdge] = {}
        self.targets: dict[str, Span] = {}
        self.shares: list[DraftShare] = []
        self.empty: list[Edge] = []  # the edge statements that stand for no pair
        # The heads of each node that has some, declared before there are edges.
        self.heads: dict[str, tuple[str, ...]] = {}

    def can_learn(self, name: str) -> bool:
        """Whether a node has parameters that can be trained."""
        return name in self.nodes or (name in self.derived and self.derived[name].learned)


class DraftContext(NamedTuple):
    """The state shared by all functions that draft a graph: the draft, its names, the resolver.

    `views` is how many views of each sample the data have.
    """

    resolver: Resolver
    substitution: Substitution
    names: Names
    draft: Draft
    views: int = 1

    def settings(self, written: tuple[Setting, ...], place: str) -> tuple[Setting, ...]:
        """The settings of a block, with open values substituted; `place` names their draws."""
        if not any(self.substitution.is_open(setting) for setting in written):
            return written
        return tuple(
            replace(s, value=self.substitution.substitute(s.value, f"{place}.{s.name}"))
            for s in written
        )

    def whole_nodes(self, reference: Reference, place: str) -> list[str]:
        """The nodes that a reference means; a tap in it is an error."""
        if reference.tap is not None:
            message = "a node is needed here, not a place inside of it"
            self.resolver.complain("E301", message, reference.tap.span, "leave the tap out")
        index = reference.index
        if index is not None and self.substitution.is_open(index):
            assert not isinstance(index, All)
            closed = self.substitution.substitute(index, f"{place}.{reference.name}.index")
            reference = replace(reference, index=closed)
        return self.names.nodes(reference)
