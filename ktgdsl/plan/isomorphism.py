"""Canonical order of the nodes of a labelled directed multigraph.

Individualisation and refinement (McKay, Practical graph isomorphism, Congressus Numerantium
30, 1981): colour refinement separates nodes by their description and their arcs; where
several keep one colour, each in turn gets a colour of its own, the refinement goes on, and
the order with the least certificate wins. Of interchangeable nodes (swapping two is an
automorphism), which are common in knowledge transfer graphs, only one is tried.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Arc(NamedTuple):
    """An arc between two nodes; `label` has everything about it but its ends."""

    source: str
    destination: str
    label: str


Colours = dict[str, str]
Certificate = tuple[tuple[str, ...], tuple[tuple[int, int, str], ...]]


def canonical_order(nodes: Mapping[str, str], arcs: Sequence[Arc]) -> list[str]:
    """The names of `nodes` (name to description) in an order that does not depend on names.

    For isomorphic graphs the descriptions in this order, and the arcs as pairs of positions,
    are equal.
    """
    return _Search(nodes, arcs).best_order(_refine(dict(nodes), arcs))


def _refine(colours: Colours, arcs: Sequence[Arc]) -> Colours:
    """Splits colours by those of the neighbours until their number stays the same."""
    count = len(set(colours.values()))
    while True:
        neighbours: dict[str, list[str]] = {name: [] for name in colours}
        for source, destination, label in arcs:
            neighbours[destination].append(f"<{label}{colours[source]}")
            neighbours[source].append(f">{label}{colours[destination]}")
        colours = {name: _hash([colours[name], *sorted(neighbours[name])]) for name in colours}
        refined_count = len(set(colours.values()))
        if refined_count == count:
            return colours
        count = refined_count


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class _Search:
    def __init__(self, nodes: Mapping[str, str], arcs: Sequence[Arc]) -> None:
        self.nodes = nodes
        self.arcs = arcs
        self.arcs_of: dict[str, Counter[Arc]] = {name: Counter() for name in nodes}
        for arc in arcs:
            self.arcs_of[arc.source][arc] += 1
            if arc.destination != arc.source:
                self.arcs_of[arc.destination][arc] += 1

    def best_order(self, colours: Colours) -> list[str]:
        """The order with the least certificate among those that agree with the colours."""
        cell = self._smallest_cell(colours)
        if not cell:
            return sorted(colours, key=lambda name: colours[name])
        classes = self._interchangeable(cell)
        if len(classes) == 1:
            distinct = {name: _hash([colours[name], str(i)]) for i, name in enumerate(cell)}
            return self.best_order(_refine({**colours, **distinct}, self.arcs))
        orders = [
            self.best_order(_refine({**colours, name: _hash([colours[name], "first"])}, self.arcs))
            for name, *_ in classes
        ]
        return min(orders, key=self.certificate)

    def certificate(self, order: Sequence[str]) -> Certificate:
        """The graph with positions in place of names."""
        at = {name: position for position, name in enumerate(order)}
        arcs = sorted((at[a.source], at[a.destination], a.label) for a in self.arcs)
        return tuple(self.nodes[name] for name in order), tuple(arcs)

    @staticmethod
    def _smallest_cell(colours: Colours) -> list[str]:
        """The smallest set of several nodes with one colour; empty where all colours differ."""
        cells: dict[str, list[str]] = {}
        for name, colour in colours.items():
            cells.setdefault(colour, []).append(name)
        several = [(len(cell), colour) for colour, cell in cells.items() if len(cell) > 1]
        return cells[min(several)[1]] if several else []

    def _interchangeable(self, cell: Sequence[str]) -> list[list[str]]:
        """The cell divided into classes of nodes of which any two can be swapped."""
        classes: list[list[str]] = []
        for name in cell:
            for members in classes:
                if self._can_swap(members[0], name):
                    members.append(name)
                    break
            else:
                classes.append([name])
        return classes

    def _can_swap(self, one: str, other: str) -> bool:
        """Whether swapping two nodes of one colour maps the arcs of one to those of the other."""
        swap = {one: other, other: one}
        swapped = Counter(
            {
                Arc(
                    swap.get(a.source, a.source),
                    swap.get(a.destination, a.destination),
                    a.label,
                ): n
                for a, n in self.arcs_of[one].items()
            }
        )
        return swapped == self.arcs_of[other]
