"""The terms of an edge: its losses and gates, which have to go with what it joins."""

from functools import cache

from ktgdsl.language.resolve import Resolver
from ktgdsl.language.syntax import Edge
from ktgdsl.plan.closing import Closing
from ktgdsl.plan.ends import Ends, Source
from ktgdsl.plan.gates import THROUGH, gate
from ktgdsl.plan.losses import Combination, losses, plain
from ktgdsl.plan.model import Gate, Term
from ktgdsl.vocabulary.losses import Ce, Kl


def terms(
    resolver: Resolver, closing: Closing, statement: Edge, ends: Ends, place: str
) -> tuple[Term, ...] | None:
    """The losses and gates of an edge; None after a complaint.

    `place` is what the draws of open values are named after.
    """
    default = None if ends.inside else _default(ends.source)
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
    found = []
    for term in statement.terms:
        parts = default
        if term.loss is not None:
            parts = losses(resolver, closing.close(term.loss, f"{place}.loss"), ends)
        weight: Gate | None = THROUGH
        if term.gate is not None:
            weight = gate(resolver, closing.close(term.gate, f"{place}.gate"), ends)
        if parts is not None and weight is not None:
            found.append(Term.model_construct(parts=parts, gate=weight))
    return tuple(found) if len(found) == len(statement.terms) else None


@cache
def _default(source: Source) -> Combination:
    """The paper's losses (Eqs. 1 and 2)."""
    return (plain(Ce.model_construct() if source == "label" else Kl.model_construct()),)
