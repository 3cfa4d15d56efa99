"""Lowers loss expressions to linear combinations of losses."""

from math import isfinite

from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.hints import unquoted
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.values import is_open
from ktgdsl.plan.model import Part
from ktgdsl.syntax.parse import is_too_deep
from ktgdsl.syntax.tree import Binary, CallExpression, Number, Unary, Value
from ktgdsl.vocabulary.losses import Loss

Combination = tuple[Part, ...]


def losses(resolver: Resolver, value: Value, edge_kind: EdgeKind) -> Combination | None:
    """The linear combination of losses that a value writes; None after a complaint."""
    result = _expression(resolver, value, edge_kind)
    if isinstance(result, float):
        resolver.complain(
            "E303",
            "a number alone is no loss",
            value.span,
            "write `0.5 * kl`, or put the number behind `via`: `kl via 0.5`",
        )
        return None
    if result is not None and not all(isfinite(part.coefficient) for part in result):
        resolver.complain("E305", "the result is too large for a number", value.span)
        return None
    if result is not None and is_too_deep(" + ".join(map(str, result)).replace("+ -", "- ")):
        message = "this loss, multiplied out, is nested more than 64 levels deep"
        fix = "write fewer losses, and a factor of all of them behind `via`"
        resolver.complain("E003", message, value.span, fix)
        return None
    return result


def _expression(
    resolver: Resolver, written: Value, edge_kind: EdgeKind
) -> Combination | float | None:
    value = resolver.expand(written)
    if is_open(value):
        return None
    match value:
        case Number():
            return float(value.value)
        case CallExpression():
            return _word(resolver, value, edge_kind)
        case Unary():
            return _scaled(-1.0, _expression(resolver, value.operand, edge_kind))
        case Binary():
            left = _expression(resolver, value.left, edge_kind)
            right = _expression(resolver, value.right, edge_kind)
            return None if left is None or right is None else _binary(resolver, value, left, right)
    resolver.complain(
        "E301",
        "a loss is made of numbers and losses",
        value.span,
        unquoted(value) or "such as `kl(T=4)` or `0.9 * kl(T=4) + 0.1 * mse`",
    )
    return None


def _word(resolver: Resolver, value: CallExpression, edge_kind: EdgeKind) -> Combination | None:
    entry = resolver.word(value, "loss")
    if not isinstance(entry, Loss):
        return None
    if problem := _unfit(entry, edge_kind):
        message, fix = problem
        resolver.complain("E407", message, value.span, fix)
        return None
    return (plain(entry),)


def _unfit(entry: Loss, edge_kind: EdgeKind) -> tuple[str, str] | None:
    """Why a loss does not go with the kind of its edge, and what does; None if it does."""
    word = entry.word
    if edge_kind.source == "label" and (reason := entry.from_label()):
        return reason, "`ce`, `kl` and `mse(on=probabilities)` can"
    if edge_kind.source == "nothing" and "nothing" not in entry.sources:
        return (
            f"`{word}` compares two nodes, and this edge has no source",
            "an edge without a source can carry `entropy`: `edge a : -0.1 * entropy`",
        )
    if edge_kind.source == "node" and entry.sources == {"nothing"}:
        return (
            f"`{word}` is of one node alone, and this edge comes from another",
            f"write it without a source: `edge a : -0.1 * {word}`",
        )
    if edge_kind.source == "node" and "node" not in entry.sources:
        return (
            f"`{word}` compares a node with the labels, and this edge comes from a node",
            "`kl` is the loss between two nodes; the labels teach by `edge label -> a`",
        )
    if edge_kind.at_taps and not entry.at_taps:
        return (
            f"`{word}` compares what networks give out, and this edge joins places inside of them",
            "leave the taps out, or take a loss on features such as `hint` or `attention`",
        )
    if entry.needs_maps and edge_kind.flat:
        return (
            f"`{word}` compares maps with height and width, and an end of this edge has none",
            "`stem`, `stage1`, `stage2` and `stage3` have: `a.stage2`",
        )
    return None


def plain(loss: Loss) -> Part:
    """A loss alone, with the coefficient 1."""
    return Part.model_construct(coefficient=1.0, loss=loss.call())


def _scaled(factor: float, result: Combination | float | None) -> Combination | float | None:
    if result is None or isinstance(result, float):
        return None if result is None else factor * result
    return tuple(p.model_copy(update={"coefficient": factor * p.coefficient}) for p in result)


def _binary(
    resolver: Resolver, value: Binary, left: Combination | float, right: Combination | float
) -> Combination | float | None:
    match value.operator, left, right:
        case "*", float(), _:
            return _scaled(left, right)
        case "*", _, float():
            return _scaled(right, left)
        case "/", _, float():
            if right == 0:
                resolver.complain("E305", "this divides by zero", value.span)
                return None
            return _scaled(1 / right, left)
        case "+" | "-", float(), float():
            return left + right if value.operator == "+" else left - right
        case "+" | "-", tuple(), tuple():
            second = right if value.operator == "+" else _scaled(-1.0, right)
            return _merged(left + second) if isinstance(second, tuple) else None
    resolver.complain(
        "E305",
        "losses combine linearly: they are added, and multiplied by numbers",
        value.span,
        "a gate that multiplies a loss stands behind `via`: `kl via correct`",
    )
    return None


def _merged(parts: Combination) -> Combination:
    """The parts with equal losses added up, in the order of first mention."""
    coefficients: dict[str, float] = {}
    first: dict[str, Part] = {}
    for part in parts:
        key = part.loss.model_dump_json()
        first.setdefault(key, part)
        coefficients[key] = coefficients.get(key, 0.0) + part.coefficient
    return tuple(
        part.model_copy(update={"coefficient": coefficients[key]}) for key, part in first.items()
    )
