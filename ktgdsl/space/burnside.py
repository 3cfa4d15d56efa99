"""How many graphs there are in a union of boxes, when some nodes may be renamed (Burnside).

A box is a set of labelled graphs: for each node and each ordered pair its own set of values,
each independent of the others. Of the graphs in it those count in which every node leads to a
root, and something enters every target.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

CUT = 1
"""The bit that stands for an edge that is cut, in the set of values of a pair."""

Box = tuple[int, ...]
"""Sets of values as bits: of each node, then of each pair (`Layout.edge`)."""

Permutation = tuple[tuple[int, ...], ...]
"""A renaming, as the cycles in which it moves the nodes."""


@dataclass(frozen=True)
class Layout:
    """The nodes of the graphs in a box.

    First blocks of nodes that may exchange their names, with whether they are kept; then the
    targets, whose names stay; then the labels. Targets and kept nodes are the roots.
    """

    blocks: tuple[tuple[int, bool], ...]
    targets: int

    @property
    def renamed(self) -> int:
        """How many nodes may be renamed."""
        return sum(size for size, _ in self.blocks)

    @property
    def nodes(self) -> int:
        """How many nodes there are; this is also the index of the labels."""
        return self.renamed + self.targets

    @property
    def size(self) -> int:
        """How many sets a box has."""
        return self.nodes * (self.nodes + 2)

    @property
    def kept(self) -> frozenset[int]:
        """The nodes that are kept, of those that may be renamed."""
        flags = [kept for size, kept in self.blocks for _ in range(size)]
        return frozenset(i for i, kept in enumerate(flags) if kept)

    def edge(self, source: int, destination: int) -> int:
        """The index in a box of the values of a pair; that of a node with itself is cut."""
        return self.nodes * (source + 1) + destination


class Budget:
    """The steps that a computation may still take; a step is about a multiplication."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> bool:
        """Spend some steps; False if fewer are left."""
        if steps > self.left:
            return False
        self.left -= steps
        return True


def disjoint(boxes: Iterable[Box], budget: Budget) -> list[Box] | None:
    """Disjoint boxes with the same union of graphs; None when the budget runs out.

    Boxes are split in two, until one of them equals their span, the least box around all: at a
    place where the box nearest to the span differs from it, by the values that this box has there.
    """
    found: list[Box] = []
    stack = [list(dict.fromkeys(boxes))]
    while stack:
        live = stack.pop()
        if not budget.spend(len(live) * len(live[0])):
            return None
        span = tuple(functools.reduce(int.__or__, values) for values in zip(*live, strict=True))
        nearest = min(live, key=lambda box: sum(map(int.__ne__, box, span)))
        if nearest == span:
            found.append(span)
            continue
        place = next(i for i, values in enumerate(span) if nearest[i] != values)
        for values in (nearest[place], span[place] & ~nearest[place]):
            part = (
                (*box[:place], box[place] & values, *box[place + 1 :])
                for box in live
                if box[place] & values
            )
            stack.append(list(dict.fromkeys(part)))
    return found


def work(layout: Layout) -> int:
    """About how many multiplications `classes` takes for each box."""
    return sum(
        3 ** len(cycles) + 2 ** len(cycles) * len(cycles) + 2 * layout.size
        for cycles, _ in _conjugacy(layout)
    )


def classes(layout: Layout, boxes: Sequence[Box]) -> int:
    """The number of graphs in the boxes up to renaming.

    The boxes are disjoint, and their union is closed under renaming. By Burnside's lemma the
    number is the mean, over all renamings, of the number of graphs that each leaves unchanged.
    """
    total = 0
    for cycles, size in _conjugacy(layout):
        renaming = _Renaming(layout, cycles)
        total += size * sum(map(renaming.unchanged, boxes))
    order = math.prod(math.factorial(size) for size, _ in layout.blocks)
    quotient, rest = divmod(total, order)
    assert not rest, "the boxes are disjoint and their union is closed under renaming"
    return quotient


def _conjugacy(layout: Layout) -> Iterator[tuple[Permutation, int]]:
    """A renaming of each cycle type, and how many there are of that type."""
    starts = itertools.accumulate((size for size, _ in layout.blocks), initial=0)
    options = [
        [_of_cycle_type(start, lengths) for lengths in _partitions(size, size)]
        for start, (size, _) in zip(starts, layout.blocks, strict=False)
    ]
    for parts in itertools.product(*options):
        cycles = tuple(cycle for part, _ in parts for cycle in part)
        yield cycles, math.prod(size for _, size in parts)


def _of_cycle_type(start: int, lengths: tuple[int, ...]) -> tuple[Permutation, int]:
    """A renaming with cycles of these lengths, of the nodes from `start` on, and their number."""
    starts = list(itertools.accumulate(lengths, initial=start))
    cycles = tuple(tuple(range(begin, end)) for begin, end in itertools.pairwise(starts))
    centralizer = math.prod(
        length ** lengths.count(length) * math.factorial(lengths.count(length))
        for length in set(lengths)
    )
    return cycles, math.factorial(sum(lengths)) // centralizer


def _partitions(total: int, most: int) -> Iterator[tuple[int, ...]]:
    """The partitions of an integer into parts of at most `most`."""
    if not total:
        yield ()
    for first in range(min(total, most), 0, -1):
        for rest in _partitions(total - first, first):
            yield (first, *rest)


class _Renaming:
    """Counts the graphs of a box that a renaming leaves as they are.

    Such a graph has one value on each cycle of nodes and on each orbit of pairs: one that
    the box allows at all of its places. Sets of cycles are bits.
    """

    def __init__(self, layout: Layout, cycles: Permutation) -> None:
        targets = [(node,) for node in range(layout.renamed, layout.nodes)]
        fixed = [*targets, (layout.nodes,)]
        self.kept = sum(1 << i for i, cycle in enumerate(cycles) if cycle[0] in layout.kept)
        self.own = [
            [cycle, *(orbit for one in fixed for orbit in _pairs(layout, one, cycle))]
            for cycle in cycles
        ]
        self.between = [[_pairs(layout, one, other) for one in cycles] for other in cycles]
        self.into_targets = [
            (
                target,
                [orbit for one in fixed for orbit in _pairs(layout, one, target)],
                [orbit for one in cycles for orbit in _pairs(layout, one, target)],
            )
            for target in targets
        ]

    def unchanged(self, box: Box) -> int:
        """How many there are where every node leads to a root, and something into every target.

        By inclusion and exclusion over sets of cycles: all choices for a set, less those in which
        a part of it is idle, that is without an edge to the other cycles or to a target. That part
        is unique if it is the largest, so that all the others lead to a root.
        """
        sets = 1 << len(self.own)
        ties = self._ties(box)
        into = self._into(box)
        taught = self._taught(box)
        useful = [0] * sets
        free = [1] * sets
        for members in range(sets):
            if members & self.kept != self.kept:
                continue
            rows = {1 << i: row[members] for i, row in enumerate(into)}
            idle_count = idle = 0
            while idle != members:
                idle = (idle - members) & members  # the next subset, after all of its own
                low = idle & -idle
                free[idle] = free[idle ^ low] * rows[low]
                if not ties[idle] & (sets | members ^ idle):
                    idle_count += useful[members ^ idle] * free[idle]
            useful[members] = free[members] * taught[members] - idle_count
        return useful[-1]

    def _ties(self, box: Box) -> list[int]:
        """For each set of cycles, those that it cannot but lead to; one bit more for targets."""
        found = [0]
        for i in range(len(self.own)):
            tied = sum(1 << j for j, row in enumerate(self.between) if not all(_cuts(box, row[i])))
            if not all(_cuts(box, [orbits[i] for _, _, orbits in self.into_targets])):
                tied |= 1 << len(self.own)
            found += [before | tied for before in found]
        return found

    def _into(self, box: Box) -> list[list[int]]:
        """For each cycle and each set, the choices for the cycle and all edges into it."""
        table = []
        for own, row in zip(self.own, self.between, strict=True):
            found = [_choices(box, own)]
            for orbits in row:
                choices = _choices(box, orbits)
                found += [before * choices for before in found]
            table.append(found)
        return table

    def _taught(self, box: Box) -> list[int]:
        """For each set, the choices for the targets and for edges that teach all of them."""
        total = [1] * (1 << len(self.own))
        for target, fixed, orbits in self.into_targets:
            every, nothing = [_choices(box, fixed)], [all(_cuts(box, fixed))]
            for orbit in orbits:
                choices, cut = _choices(box, [orbit]), all(_cuts(box, [orbit]))
                every += [before * choices for before in every]
                nothing += [before and cut for before in nothing]
            kinds = _choices(box, [target])
            total = [
                n * kinds * (all_of - none)
                for n, all_of, none in zip(total, every, nothing, strict=True)
            ]
        return total


_Orbit = tuple[int, ...]
"""Places of a box where a graph that a renaming leaves unchanged has one value."""


def _pairs(layout: Layout, one: _Orbit, other: _Orbit) -> list[_Orbit]:
    """The orbits of the pairs from one cycle of nodes to another, or within one."""
    length = math.lcm(len(one), len(other))
    return [
        tuple(
            layout.edge(one[k % len(one)], other[(k + offset) % len(other)]) for k in range(length)
        )
        for offset in range(one == other, math.gcd(len(one), len(other)))
    ]


def _values(box: Box, orbit: _Orbit) -> int:
    return functools.reduce(int.__and__, [box[place] for place in orbit])


def _choices(box: Box, orbits: Iterable[_Orbit]) -> int:
    return math.prod(_values(box, orbit).bit_count() for orbit in orbits)


def _cuts(box: Box, orbits: Iterable[_Orbit]) -> Iterator[bool]:
    return (bool(_values(box, orbit) & CUT) for orbit in orbits)
