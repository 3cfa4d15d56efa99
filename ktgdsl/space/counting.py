"""How many points a space has, how many are invalid, and how many distinct graphs there are.

Two points are the same graph when renaming nodes other than targets makes them so, once
cut-off edges and dropped nodes are gone. For each set of nodes that are left, the graphs form
a box (`space.burnside`); the boxes for sets of which one could play the role of another are
counted as a union.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ktgdsl.space.burnside import CUT, Box, Budget, Layout, classes, disjoint, work
from ktgdsl.space.choice_tables import Choices, Table, tables

MAX_WORK = 6_000_000
"""How many steps (`burnside.Budget`) a count may take: some seconds."""


@dataclass(frozen=True)
class Counts:
    """The size of a space.

    Of `raw` points, `invalid` leave a target without a live edge into it. The others are
    `distinct` graphs, None where to count these takes too long; they are at most `bound`.
    """

    raw: int
    invalid: int
    distinct: int | None
    bound: int

    @property
    def exact(self) -> bool:
        """Whether the number of distinct graphs is known."""
        return self.distinct is not None


def count(*spaces: Choices, most_work: int = MAX_WORK) -> Counts:
    """Counts the points of a space and the distinct graphs among them.

    Several spaces count as one that has the points of all; a graph of two of them is counted
    once. That is for choices that depend on one another: where many edges read one open
    temperature, there is one space for each of its values.

    Raises ValueError when the spaces have not the same targets.
    """
    if len({space.targets for space in spaces}) != 1:
        raise ValueError("one space at least, and all with the same targets")
    raw = sum(_raw(space) for space in spaces)
    invalid = sum(_invalid(space) for space in spaces)
    families = _families(tables(spaces), most_work)
    distinct = None if families is None else _exact(families, Budget(most_work))
    if distinct is not None:
        return Counts(raw, invalid, distinct, distinct)
    bound = None if families is None else _upper_bound(families, Budget(most_work // 4))
    return Counts(raw, invalid, None, min(raw - invalid, bound or raw))


def _raw(space: Choices) -> int:
    return math.prod(sum(numbers) for numbers in space.numbers)


def _invalid(space: Choices) -> int:
    """The number of invalid points: those where all edges into some target are cut."""
    valid = raw = 1
    for target in space.targets:
        into = [edge.kinds for edge in space.edges if edge.destination == target]
        points = math.prod(sum(kinds.values()) for kinds in into)
        raw *= points
        valid *= points - math.prod(kinds.get(None, 0) for kinds in into)
    return _raw(space) // raw * (raw - valid)


class _Role(NamedTuple):
    """Interchangeable nodes of a space: swapping two of them leaves the space unchanged.

    Roles are in one `group` if a node of one might at some points be a node of the other.
    """

    nodes: tuple[int, ...]
    kept: bool
    group: int


class _Rest(NamedTuple):
    """A space without its dropped nodes: how many nodes of each role are left."""

    table: Table
    roles: tuple[tuple[_Role, int], ...]

    @property
    def sizes(self) -> tuple[tuple[int, bool, int], ...]:
        """The groups that are left, whether they are kept, and how many nodes of each."""
        found: Counter[tuple[int, bool]] = Counter()
        for role, n in self.roles:
            found[role.group, role.kept] += n
        return tuple((group, kept, n) for (group, kept), n in sorted(found.items()) if n)

    @property
    def layout(self) -> Layout:
        """The nodes that are left, in blocks of one group."""
        return Layout(tuple((n, kept) for _, kept, n in self.sizes), len(self.table.fixed))

    @property
    def ungrouped(self) -> "_Rest":
        """The same rest with each role as a group of its own."""
        roles = ((role._replace(group=i), n) for i, (role, n) in enumerate(self.roles))
        return self._replace(roles=tuple(roles))


_Family = list[_Rest]
"""Rests that may contain equal graphs: all of them have as many nodes of each group."""


def _exact(families: Sequence[_Family], budget: Budget) -> int | None:
    """The number of distinct graphs; None when the budget runs out."""
    total = 0
    for rests in families:
        layout = rests[0].layout
        if not budget.spend(layout.size * sum(_arrangements(rest) for rest in rests)):
            return None
        boxes = disjoint((box for rest in rests for box in _boxes(rest)), budget)
        if boxes is None or not budget.spend(work(layout) * len(boxes)):
            return None
        total += classes(layout, boxes)
    return total


def _upper_bound(families: Sequence[_Family], budget: Budget) -> int | None:
    """An upper bound, in which graphs of different rests or roles count as different."""
    total = 0
    for rest in (rest.ungrouped for family in families for rest in family):
        if not budget.spend(work(rest.layout)):
            return None
        total += classes(rest.layout, list(_boxes(rest)))
    return total


def _families(spaces: Sequence[Table], most: int) -> list[_Family] | None:
    """The families of some spaces, the largest first; None if `most` steps are too few for them."""
    roles = _roles(spaces)
    rests = sum(math.prod(len(role.nodes) + 1 for role in each) for each in roles)
    largest = max(len(space.kinds) for space in spaces)
    if rests * largest**2 > most or max(3 ** len(space.kept) for space in spaces) > most:
        return None
    found: dict[tuple[tuple[int, bool, int], ...], _Family] = {}
    for table, each in zip(spaces, roles, strict=True):
        for rest in _rests(table, each):
            found.setdefault(rest.sizes, []).append(rest)
    return sorted(found.values(), key=lambda rests: -rests[0].layout.nodes)


def _rests(table: Table, roles: Sequence[_Role]) -> Iterator[_Rest]:
    """The possible rests: dropped nodes are not kept ones, and need not lead to remaining ones."""
    options = [range(len(r.nodes) if r.kept else 0, len(r.nodes) + 1) for r in roles]
    for numbers in itertools.product(*options):
        taken = tuple(zip(roles, numbers, strict=True))
        left = [*table.fixed, *(node for role, n in taken for node in role.nodes[:n])]
        dropped = [node for role, n in taken for node in role.nodes[n:]]
        if all(table.edges[one][other] & CUT for one in dropped for other in left):
            yield _Rest(table, taken)


def _roles(spaces: Sequence[Table]) -> list[list[_Role]]:
    """The roles of each space, by group."""
    found = [(space, nodes) for space in spaces for nodes in _alike(space)]
    groups = list(range(len(found)))
    for i, j in itertools.combinations(groups, 2):
        if groups[i] != groups[j] and _overlap(*found[i], *found[j]):
            groups = [groups[i] if group == groups[j] else group for group in groups]
    roles: dict[int, list[_Role]] = {id(space): [] for space in spaces}
    for group, (space, nodes) in sorted(zip(groups, found, strict=True), key=lambda pair: pair[0]):
        roles[id(space)].append(_Role(nodes, space.kept[nodes[0]], group))
    return [roles[id(space)] for space in spaces]


def _alike(space: Table) -> list[tuple[int, ...]]:
    """The classes of interchangeable nodes, of those that may be renamed."""
    classes: list[list[int]] = []
    for node in range(len(space.kept)):
        same = next((each for each in classes if space.alike(each[0], node)), None)
        if same is None:
            classes.append([node])
        else:
            same.append(node)
    return [tuple(each) for each in classes]


def _overlap(one: Table, nodes: tuple[int, ...], other: Table, others: tuple[int, ...]) -> bool:
    """Whether a node of the one may at some points be one of the other."""
    profiles = zip(one.profile(nodes[0]), other.profile(others[0]), strict=True)
    kept = one.kept[nodes[0]] == other.kept[others[0]]
    return kept and all(here & there for here, there in profiles)


def _arrangements(rest: _Rest) -> int:
    """How many boxes `_boxes` gives."""
    names = math.prod(math.factorial(n) for _, _, n in rest.sizes)
    return names // math.prod(math.factorial(n) for _, n in rest.roles)


def _boxes(rest: _Rest) -> Iterator[Box]:
    """The boxes of a rest, one for each way to name the nodes of a group."""
    by_group = itertools.groupby(rest.roles, key=lambda pair: pair[0].group)
    orders = [list(_orders(Counter(dict(pairs)))) for _, pairs in by_group]
    for order in itertools.product(*orders):
        unused = {role: iter(role.nodes) for role, _ in rest.roles}
        nodes = [next(unused[role]) for part in order for role in part]
        yield _box(rest.table, [*nodes, *rest.table.fixed])


def _orders(roles: Counter[_Role]) -> Iterator[tuple[_Role, ...]]:
    """Every order of roles, each as often as it is counted."""
    if not roles.total():
        yield ()
    for role in [role for role, n in roles.items() if n]:
        for others in _orders(roles - Counter([role])):
            yield (role, *others)


def _box(table: Table, nodes: Sequence[int]) -> Box:
    """The sets of values in the order of a layout with these nodes."""
    sources = [*nodes, len(table.kinds)]
    kinds = [table.kinds[node] for node in nodes]
    return (*kinds, *(table.edges[one][other] for one in sources for other in nodes))
