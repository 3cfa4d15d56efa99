"""Lowers the terms of an edge: losses and gates, which have to fit the kind of edge."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.gates import THROUGH, gate
from ktgdsl.lowering.losses import Combination, losses, plain
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.substitution import Substitution
from ktgdsl.plan.model import Term
from ktgdsl.syntax.number_errors import comma_between
from ktgdsl.syntax.tree import Edge, Value
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.vocabulary.losses import Ce, Kl
from ktgdsl.vocabulary.reads import SourceKind

_spell = Unparser().value


def terms(
    resolver: Resolver, substitution: Substitution, statement: Edge, edge_kind: EdgeKind, place: str
) -> tuple[Term, ...] | None:
    """The losses and gates of an edge; None after a complaint.

    `place` is what the draws of open values are named after.
    """
    default = None if edge_kind.at_taps else _default(edge_kind.source)
    if default is None and (not statement.terms or any(t.loss is None for t in statement.terms)):
        resolver.complain(
            "E407",
            "an edge between places inside of networks has no loss unless it says one",
            statement.span,
            "such as `edge a.stage2 -> b.stage2 : hint`",
        )
        return None
    if not statement.terms:
        assert default is not None
        return (Term.model_construct(parts=default, gate=THROUGH),)
    closed = [
        _Closed(
            None if term.loss is None else substitution.substitute(term.loss, f"{place}.loss"),
            None if term.gate is None else substitution.substitute(term.gate, f"{place}.gate"),
        )
        for term in statement.terms
    ]
    # A large graph says the same few things again and again.
    what = tuple((_text(term.loss), _text(term.gate)) for term in closed), edge_kind
    before = len(resolver.diagnostics)
    found = resolver.cached(what, lambda: _terms(resolver, closed, edge_kind, default))
    if found is None:
        _look_for_commas(resolver, closed, before)
    return found


class _Closed(NamedTuple):
    """A term with nothing open in it."""

    loss: Value | None
    gate: Value | None


def _text(value: Value | None) -> str:
    """The text of a value, without its place, as a cache key."""
    return "" if value is None else _spell(value)


def _terms(
    resolver: Resolver, written: list[_Closed], edge_kind: EdgeKind, default: Combination | None
) -> tuple[Term, ...] | None:
    found = []
    for term in written:
        parts = default if term.loss is None else losses(resolver, term.loss, edge_kind)
        weight = THROUGH if term.gate is None else gate(resolver, term.gate, edge_kind)
        if parts is not None and weight is not None:
            found.append(Term.model_construct(parts=parts, gate=weight))
    return tuple(found) if len(found) == len(written) else None


def _look_for_commas(resolver: Resolver, written: list[_Closed], before: int) -> None:
    """Replace the errors of two terms that were meant as one number, such as `0,9`, by one."""
    for one, other in pairwise(written):
        comma = comma_between(one.gate or one.loss, other.loss)
        if comma is None:
            continue
        values = [value for value in (*one, *other) if value is not None]
        dropped = [
            each
            for each in resolver.diagnostics[before:]
            if each.span and any(v.span.start <= each.span.start < v.span.end for v in values)
        ]
        if dropped:
            kept = [each for each in resolver.diagnostics[before:] if each not in dropped]
            resolver.diagnostics[before:] = [*kept, comma]


@cache
def _default(source: SourceKind) -> Combination:
    """The paper's losses (Eqs. 1 and 2)."""
    return (plain(Ce.model_construct() if source == "label" else Kl.model_construct()),)
