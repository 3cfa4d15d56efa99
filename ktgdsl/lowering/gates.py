"""Lowers gate expressions to folded gates with bounds.

The laws: `through` is the unit and `cutoff` the zero of the product, constants fold, what
is always 1 from the labels (`correct`, `confident`, `stable`, `steadier`) is `through` there, and
so is `during` all phases.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import NamedTuple

from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.hints import unquoted
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan.model import Constant, Gate, GateCall, Product, Sum
from ktgdsl.syntax.parse import is_too_deep
from ktgdsl.syntax.tree import Binary, CallExpression, Choice, Number, Range, Unary, Value
from ktgdsl.vocabulary import gates as vocabulary

THROUGH = Constant.model_construct(value=1.0)
CUTOFF = Constant.model_construct(value=0.0)

_ROUNDING = 1e-12
"""The tolerance for rounding errors, as in `0.3 - 0.2 - 0.1`."""


class Bounded(NamedTuple):
    """A gate, and the interval that its weights lie in."""

    gate: Gate
    low: float
    high: float


def gate(resolver: Resolver, value: Value, edge_kind: EdgeKind) -> Gate | None:
    """The folded gate that a value writes; None after a complaint.

    Bounds are interval arithmetic, so a gate is refused when it could be negative. That of an
    open value has the bounds of all that it may become.
    """
    bounded = _expression(resolver, value, edge_kind)
    if bounded is None:
        return None
    if bounded.low < -_ROUNDING:
        resolver.complain(
            "E304",
            f"this gate could be negative: {_range(bounded)}",
            value.span,
            "a gate weights samples from 0 on; a negative coefficient belongs to the loss",
        )
        return None
    if is_too_deep(str(bounded.gate)):
        message = "this gate, written out, is nested more than 64 levels deep"
        resolver.complain("E003", message, value.span, "write fewer sums and products")
        return None
    return CUTOFF if isinstance(bounded.gate, Constant) and bounded.low < 0 else bounded.gate


def _range(bounded: Bounded) -> str:
    if bounded.low == bounded.high:
        return f"its weight is {bounded.low:g}"
    return f"its weight lies between {bounded.low:g} and {bounded.high:g}"


def _expression(resolver: Resolver, written: Value, edge_kind: EdgeKind) -> Bounded | None:
    value = resolver.expand(written)
    match value:
        case Choice():
            return _hull([_expression(resolver, option, edge_kind) for option in value.options])
        case Range():
            return _hull([_expression(resolver, end, edge_kind) for end in (value.low, value.high)])
        case Number():
            return _constant(value.value)
        case CallExpression():
            return _word(resolver, value, edge_kind)
        case Unary():
            return _times(_constant(-1), _expression(resolver, value.operand, edge_kind))
        case Binary():
            left = _expression(resolver, value.left, edge_kind)
            right = _expression(resolver, value.right, edge_kind)
            return _finite(resolver, value, _binary(resolver, value, left, right))
    resolver.complain(
        "E301",
        "a gate is made of numbers and gates",
        value.span,
        unquoted(value)
        or "there are `through`, `cutoff`, `linear`, `correct`, and numbers such as 0.5",
    )
    return None


def _binary(
    resolver: Resolver, value: Binary, left: Bounded | None, right: Bounded | None
) -> Bounded | None:
    if left is None or right is None:
        return None
    match value.operator:
        case "+":
            return _plus(left, right)
        case "-":
            return _plus(left, _times(_constant(-1), right))
        case "*":
            return _times(left, right)
    if not isinstance(right.gate, Constant):
        resolver.complain("E305", "a gate can be divided by a number only", value.right.span)
        return None
    if right.gate.value == 0:
        resolver.complain("E305", "this divides by zero", value.span)
        return None
    return _times(_constant(1 / right.gate.value), left)


def _hull(options: Sequence[Bounded | None]) -> Bounded | None:
    """The hull of alternative gates: the first, with the bounds of all."""
    known = [option for option in options if option is not None]
    if not known or len(known) < len(options):
        return None
    low, high = min(each.low for each in known), max(each.high for each in known)
    return Bounded(known[0].gate, low, high)


def _finite(resolver: Resolver, value: Value, bounded: Bounded | None) -> Bounded | None:
    if bounded is None or (isfinite(bounded.low) and isfinite(bounded.high)):
        return bounded
    resolver.complain("E305", "the result is too large for a number", value.span)
    return None


def _word(resolver: Resolver, value: CallExpression, edge_kind: EdgeKind) -> Bounded | None:
    entry = resolver.word(value, "gate")
    if not isinstance(entry, vocabulary.Gate):
        return None
    if problem := _unfit(entry, edge_kind):
        message, fix = problem
        resolver.complain("E407", message, value.span, fix)
        return None
    if edge_kind.source == "label" and entry.one_from_label:
        return _constant(1)
    low, high = entry.bounds
    if resolver.phases is not None and entry.word == "during":
        phases = getattr(entry, "phases", None)
        assert isinstance(phases, list)
        low = float({phase.name for phase in phases} >= set(resolver.phases))
    if low == high:
        return _constant(low)
    weight = GateCall.model_construct(gate=entry.call(), per_sample=entry.per_sample)
    return Bounded(weight, low, high)


def _unfit(entry: vocabulary.Gate, edge_kind: EdgeKind) -> tuple[str, str] | None:
    """Why a gate does not go with the kind of its edge, and what does; None if it does."""
    if entry.reads_source and edge_kind.source == "nothing":
        return (
            f"`{entry.word}` looks at the source, and this edge has none",
            "numbers, schedules such as `linear`, and `during` need no source",
        )
    if entry.views > edge_kind.views:
        return (
            f"`{entry.word}` compares {entry.views} views of each sample, and the data have one",
            f"say `views = {entry.views}` in the `data` block",
        )
    return None


def _constant(value: float) -> Bounded:
    return Bounded(_folded(value), float(value), float(value))


def _folded(value: float) -> Constant:
    return Constant.model_construct(value=float(value))


def _times(left: Bounded | None, right: Bounded | None) -> Bounded | None:
    if left is None or right is None:
        return None
    corners = [a * b for a in left[1:] for b in right[1:]]
    return Bounded(product([left.gate, right.gate]), min(corners), max(corners))


def _plus(left: Bounded | None, right: Bounded | None) -> Bounded | None:
    if left is None or right is None:
        return None
    return Bounded(total([left.gate, right.gate]), left.low + right.low, left.high + right.high)


def product(gates: Iterable[Gate]) -> Gate:
    """The product of gates: nested products flat, constants folded into one."""
    constant = 1.0
    factors: list[Gate] = []
    for each in gates:
        for factor in each.factors if isinstance(each, Product) else (each,):
            if isinstance(factor, Constant):
                constant *= factor.value
            else:
                factors.append(factor)
    if constant == 0 or not factors:
        return _folded(constant)
    if constant != 1:
        factors.insert(0, _folded(constant))
    return factors[0] if len(factors) == 1 else Product.model_construct(factors=tuple(factors))


def total(gates: Iterable[Gate]) -> Gate:
    """The sum of gates: nested sums flat, constants folded into one."""
    constant = 0.0
    terms: list[Gate] = []
    for each in gates:
        for term in each.terms if isinstance(each, Sum) else (each,):
            if isinstance(term, Constant):
                constant += term.value
            else:
                terms.append(term)
    if not terms:
        return _folded(constant)
    if constant != 0:
        terms.insert(0, _folded(constant))
    return terms[0] if len(terms) == 1 else Sum.model_construct(terms=tuple(terms))
