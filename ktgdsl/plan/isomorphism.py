"""One order for the nodes of a graph, whatever they are called: equal for isomorphic graphs.

Colour refinement tells nodes apart by what they are and whom they are linked to; where that
leaves several alike, one is set apart and the refinement goes on (McKay, Congressus
Numerantium 30, 1981). Nodes that can change places without anybody noticing need no choice,
and knowledge transfer graphs are full of those.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Arc(NamedTuple):
    """A link between two nodes; `label` says all about it but who is linked."""

    source: str
    destination: str
    label: str


Colours = dict[str, str]
Certificate = tuple[tuple[str, ...], tuple[tuple[int, int, str], ...]]


def canonical_order(nodes: Mapping[str, str], arcs: Sequence[Arc]) -> list[str]:
    """The names in an order that depends on `nodes` (name to description) and `arcs` only.

    Renaming nodes renames the order: the descriptions and the arcs between positions are
    the same for every graph that is isomorphic.
    """
    return _Search(nodes, arcs).best(_refined(dict(nodes), arcs))


def _refined(colours: Colours, arcs: Sequence[Arc]) -> Colours:
    """Colours told apart until no node learns anything new from its neighbours."""
    count = len(set(colours.values()))
    while True:
        seen: dict[str, list[str]] = {name: [] for name in colours}
        for source, destination, label in arcs:
            seen[destination].append(f"<{label}{colours[source]}")
            seen[source].append(f">{label}{colours[destination]}")
        colours = {name: _hash([colours[name], *sorted(seen[name])]) for name in colours}
        now = len(set(colours.values()))
        if now == count:
            return colours
        count = now


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class _Search:
    def __init__(self, nodes: Mapping[str, str], arcs: Sequence[Arc]) -> None:
        self.nodes = nodes
        self.arcs = arcs
        self.links: dict[str, Counter[Arc]] = {name: Counter() for name in nodes}
        for arc in arcs:
            self.links[arc.source][arc] += 1
            if arc.destination != arc.source:
                self.links[arc.destination][arc] += 1

    def best(self, colours: Colours) -> list[str]:
        """The order with the least certificate among those that the colours leave open."""
        cell = self._open_cell(colours)
        if not cell:
            return sorted(colours, key=lambda name: colours[name])
        classes = self._twins(cell)
        if len(classes) == 1:
            apart = {name: _hash([colours[name], str(i)]) for i, name in enumerate(cell)}
            return self.best(_refined({**colours, **apart}, self.arcs))
        orders = [
            self.best(_refined({**colours, name: _hash([colours[name], "first"])}, self.arcs))
            for name, *_ in classes
        ]
        return min(orders, key=self.certificate)

    def certificate(self, order: Sequence[str]) -> Certificate:
        """What is left of the graph when names are positions."""
        at = {name: position for position, name in enumerate(order)}
        arcs = sorted((at[a.source], at[a.destination], a.label) for a in self.arcs)
        return tuple(self.nodes[name] for name in order), tuple(arcs)

    @staticmethod
    def _open_cell(colours: Colours) -> list[str]:
        """The nodes of one colour that several have, the smallest such cell; none if none."""
        cells: dict[str, list[str]] = {}
        for name, colour in colours.items():
            cells.setdefault(colour, []).append(name)
        several = [(len(cell), colour) for colour, cell in cells.items() if len(cell) > 1]
        return cells[min(several)[1]] if several else []

    def _twins(self, cell: Sequence[str]) -> list[list[str]]:
        """The cell in classes of nodes of which any two can change places."""
        classes: list[list[str]] = []
        for name in cell:
            for twins in classes:
                if self._exchangeable(twins[0], name):
                    twins.append(name)
                    break
            else:
                classes.append([name])
        return classes

    def _exchangeable(self, one: str, other: str) -> bool:
        exchange = {one: other, other: one}
        moved = Counter(
            {
                Arc(
                    exchange.get(a.source, a.source),
                    exchange.get(a.destination, a.destination),
                    a.label,
                ): n
                for a, n in self.links[one].items()
            }
        )
        return moved == self.links[other]
