"""Spaces of independent choices for nodes and edges, and their tables of bit sets, for counting.

The input of counting: what a node or an edge may be, and how many raw choices lead to each.
"""

import itertools
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ktgdsl.plan.model import LABEL


@dataclass(frozen=True)
class NodeChoices:
    """A node: every description that it may have, and how many raw choices lead to each.

    A description says all that sets the node apart but its name, its edges, and whether it is
    kept. A target's name is part of the graph; a kept node is needed whatever it leads to.
    """

    name: str
    kinds: Mapping[str, int]
    target: bool = False
    kept: bool = False


@dataclass(frozen=True)
class EdgeChoices:
    """A pair of nodes: what its terms may fold to, and how many raw choices lead to each.

    None is an edge that is cut. The source may be the labels. Several between the same two
    nodes, from or to other taps, are edges side by side; their texts name the taps.
    """

    source: str
    destination: str
    kinds: Mapping[str | None, int]


@dataclass(frozen=True)
class Choices:
    """A space in which the choices of all nodes and edges are independent.

    Pairs that are not mentioned have no edge. Edges from a node to itself, and those without a
    source, are not part of this model. Raises ValueError for these, for an edge of an unknown
    node, for one declared twice, and for a choice without options.
    """

    nodes: tuple[NodeChoices, ...]
    edges: tuple[EdgeChoices, ...]

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if len({LABEL, *names}) <= len(names):
            raise ValueError("a node is declared twice, or called as the labels are")
        for edge in self.edges:
            if edge.destination not in names or edge.source not in (LABEL, *names):
                raise ValueError(f"{edge.source} -> {edge.destination} joins no two nodes")
            if edge.source == edge.destination:
                raise ValueError(f"{edge.source} -> {edge.destination} joins a node with itself")
        if any(min(numbers, default=0) < 1 for numbers in self.numbers):
            raise ValueError("a node or an edge with nothing to choose")

    @property
    def numbers(self) -> tuple[Collection[int], ...]:
        """For each node and edge, how many raw choices lead to each of its values."""
        nodes = (node.kinds.values() for node in self.nodes)
        return (*nodes, *(edge.kinds.values() for edge in self.edges))

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets, in the order of their names."""
        return tuple(sorted(node.name for node in self.nodes if node.target))


@dataclass(frozen=True)
class Table:
    """A space with sets of values as bits, where bit 0 of an edge is that it is cut.

    Nodes are numbered: first those that may be renamed, of which `kept` are kept, then the
    targets, then the labels. `edges` has a row for each source.
    """

    kept: tuple[bool, ...]
    kinds: tuple[int, ...]
    edges: tuple[tuple[int, ...], ...]

    @property
    def renamed(self) -> range:
        """The nodes that may be renamed."""
        return range(len(self.kept))

    @property
    def fixed(self) -> range:
        """The targets."""
        return range(len(self.kept), len(self.kinds))

    def alike(self, one: int, other: int) -> bool:
        """Whether swapping two nodes leaves the space unchanged."""
        others = [i for i in range(len(self.edges)) if i not in (one, other)]
        return (
            self.kept[one] == self.kept[other]
            and self.kinds[one] == self.kinds[other]
            and self.edges[one][other] == self.edges[other][one]
            and all(self.edges[i][one] == self.edges[i][other] for i in others)
            and all(
                self.edges[one][i] == self.edges[other][i] for i in others if i < len(self.kinds)
            )
        )

    def profile(self, node: int) -> tuple[int, ...]:
        """The choices of a node, without its edges to other nodes that may be renamed."""
        return (
            self.kinds[node],
            self.edges[-1][node],
            *(self.edges[node][target] for target in self.fixed),
            *(self.edges[target][node] for target in self.fixed),
        )


def tables(spaces: Sequence[Choices]) -> list[Table]:
    """The tables of spaces with the same targets; a bit means the same in all of them."""
    kinds, edges = _Codes(), _Codes()
    edges.bits([()])
    return [_table(space, kinds, edges) for space in spaces]


class _Codes:
    """Assigns a bit to each value, in the order of their first use."""

    def __init__(self) -> None:
        self.codes: dict[Hashable, int] = {}

    def bits(self, values: Iterable[Hashable]) -> int:
        return sum(1 << self.codes.setdefault(v, len(self.codes)) for v in set(values))


def _table(space: Choices, kinds: _Codes, edges: _Codes) -> Table:
    nodes = sorted(space.nodes, key=lambda node: (node.target, node.name))
    names = [node.name for node in nodes]
    pairs: dict[tuple[str, str], list[Iterable[str | None]]] = {}
    for edge in space.edges:
        pairs.setdefault((edge.source, edge.destination), []).append(edge.kinds)
    return Table(
        kept=tuple(node.kept for node in nodes if not node.target),
        kinds=tuple(kinds.bits(node.kinds) for node in nodes),
        edges=tuple(
            tuple(edges.bits(_values(pairs.get((one, other), ()))) for other in names)
            for one in (*names, LABEL)
        ),
    )


def _values(side_by_side: Sequence[Iterable[str | None]]) -> Iterable[tuple[str, ...]]:
    """The alternatives for the live edges of a pair; empty where all of them are cut."""
    for texts in itertools.product(*side_by_side):
        yield tuple(sorted(text for text in texts if text is not None))
