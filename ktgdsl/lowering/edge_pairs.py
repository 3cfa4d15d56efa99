"""The table of a graph's edges: a later edge replaces an earlier one between the same endpoints."""

import itertools
from collections.abc import Hashable
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.lowering.draft import DraftContext
from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.plan.model import Endpoint, NodeOutput, NoSource, Term
from ktgdsl.syntax.tree import Edge


class Pair(NamedTuple):
    """Two endpoints that a statement joins.

    `by_name` is false for a pair that a pattern expands to; `place` is the prefix of the names of
    its draws; `drawn` is true where a draw decides an endpoint; `kind` is that of its edge.
    """

    source: Endpoint
    destination: NodeOutput
    by_name: bool
    place: str
    drawn: bool
    kind: EdgeKind

    @property
    def key(self) -> tuple[str, str]:
        """The endpoints as text, by which pairs are compared."""
        return str(self.source), str(self.destination)


class NumberedPair(NamedTuple):
    """A pair and its statement; pairs are numbered in the order of the text."""

    pair: Pair
    statement: Edge
    number: int


class EdgeTable:
    """The pairs so far.

    `elsewhere` has pairs that are replaced at this point of the space and not at others.
    `terms`, `layered` and `outputs` are caches, `reported` says what diagnostics exist, and
    `count` also counts the pairs that were replaced.
    """

    def __init__(self, context: DraftContext) -> None:
        self.context = context
        self.pairs: dict[tuple[str, str], NumberedPair] = {}
        self.elsewhere: list[NumberedPair] = []
        self.terms: dict[tuple[int, EdgeKind], tuple[Term, ...] | None] = {}
        self.layered: dict[int, tuple[tuple[Term, ...], bool]] = {}
        self.outputs: dict[tuple[str, str], NodeOutput] = {}
        self.reported: set[tuple[Hashable, ...]] = set()
        self.count = 0
        self.numbers = itertools.count()


def add_pairs(edges: EdgeTable, statement: Edge, pairs: list[Pair]) -> None:
    """Add a statement's pairs; a later pair replaces an earlier one between the same endpoints."""
    refused: list[NumberedPair] = []
    replaced: list[NumberedPair] = []
    for pair in pairs:
        earlier = edges.pairs.get(pair.key)
        named = earlier is not None and earlier.pair.by_name and earlier.statement is not statement
        if earlier is not None and named:
            (replaced if pair.by_name else refused).append(earlier)
        if pair.by_name or not named:
            if earlier is not None and (earlier.pair.drawn or pair.drawn):
                edges.elsewhere.append(earlier)
            edges.pairs[pair.key] = NumberedPair(pair, statement, next(edges.numbers))
    if refused:
        edges.context.resolver.complain(
            "E404",
            f"this pattern would replace {_named(refused)}, written out by name before",
            statement.span,
            "put the general rule first and its exceptions after it",
            _labels(refused),
        )
    if replaced:
        warning = Diagnostic(
            "W102",
            f"this edge replaces {_named(replaced)}, written out by name before",
            statement.span,
            "several losses on one pair are the terms of one edge, with commas between them",
            "warning",
            tuple(_labels(replaced)),
        )
        edges.context.resolver.diagnostics.append(warning)


def _named(written: list[NumberedPair]) -> str:
    pair = written[0].pair
    arrow = "" if isinstance(pair.source, NoSource) else f"{pair.source} -> "
    more = f" and {len(written) - 1} more" if len(written) > 1 else ""
    return f"the edge {arrow}{pair.destination}{more}"


def _labels(written: list[NumberedPair]) -> list[Label]:
    return [Label(span, "here") for span in dict.fromkeys(w.statement.span for w in written)]
