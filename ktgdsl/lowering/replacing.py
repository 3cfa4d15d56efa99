"""The pairs of a graph so far: a later one replaces an earlier of the same places as a whole."""

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.lowering.draft import Drafting
from ktgdsl.lowering.ends import Ends
from ktgdsl.plan.model import Endpoint, NodeOutput, NoSource, Term
from ktgdsl.syntax.tree import Edge


class Pair(NamedTuple):
    """Two places that a statement joins, whether it names them, and what draws are named after.

    `drawn` tells a pair of which a draw says what it joins.
    """

    source: Endpoint
    destination: NodeOutput
    by_name: bool
    place: str
    drawn: bool

    @property
    def key(self) -> tuple[str, str]:
        """What tells pairs apart: the two places."""
        return str(self.source), str(self.destination)


class Written(NamedTuple):
    """A pair and the statement that it is from; pairs are numbered in the order of the text."""

    pair: Pair
    statement: Edge
    number: int


@dataclass
class Edges:
    """The pairs so far. `count` also has those that were replaced.

    `elsewhere` are those that were replaced, and are not at other points of the space.
    """

    drafting: Drafting
    pairs: dict[tuple[str, str], Written] = field(default_factory=dict)
    elsewhere: list[Written] = field(default_factory=list)
    found: dict[tuple[int, Ends], tuple[Term, ...] | None] = field(default_factory=dict)
    outputs: dict[tuple[str, str], NodeOutput] = field(default_factory=dict)
    told: set[tuple[Hashable, ...]] = field(default_factory=set)
    count: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)


def put(edges: Edges, statement: Edge, pairs: list[Pair]) -> None:
    """Add a statement's pairs; a later one replaces an earlier of the same places."""
    refused: list[Written] = []
    replaced: list[Written] = []
    for pair in pairs:
        earlier = edges.pairs.get(pair.key)
        named = earlier is not None and earlier.pair.by_name and earlier.statement is not statement
        if earlier is not None and named:
            (replaced if pair.by_name else refused).append(earlier)
        if pair.by_name or not named:
            if earlier is not None and (earlier.pair.drawn or pair.drawn):
                edges.elsewhere.append(earlier)
            edges.pairs[pair.key] = Written(pair, statement, next(edges.numbers))
    if refused:
        edges.drafting.resolver.complain(
            "E404",
            f"this pattern would replace {_told(refused)}, written out by name before",
            statement.span,
            "put the general rule first and its exceptions after it",
            _written_out(refused),
        )
    if replaced:
        warning = Diagnostic(
            "W102",
            f"this edge replaces {_told(replaced)}, written out by name before",
            statement.span,
            "several losses on one pair are the terms of one edge, with commas between them",
            "warning",
            tuple(_written_out(replaced)),
        )
        edges.drafting.resolver.diagnostics.append(warning)


def _told(written: list[Written]) -> str:
    pair = written[0].pair
    arrow = "" if isinstance(pair.source, NoSource) else f"{pair.source} -> "
    more = f" and {len(written) - 1} more" if len(written) > 1 else ""
    return f"the edge {arrow}{pair.destination}{more}"


def _written_out(written: list[Written]) -> list[Label]:
    return [Label(span, "here") for span in dict.fromkeys(w.statement.span for w in written)]
