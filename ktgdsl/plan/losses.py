"""Loss expressions: from tree values to linear combinations of losses."""

from math import isfinite

from ktgdsl.language.resolve import Resolver
from ktgdsl.language.syntax import Binary, Call, Number, Unary, Value
from ktgdsl.language.values import is_open
from ktgdsl.plan.model import Part
from ktgdsl.vocabulary.losses import Loss

Combination = tuple[Part, ...]


def losses(resolver: Resolver, value: Value, *, from_label: bool) -> Combination | None:
    """The linear combination of losses that a value writes; None after a complaint."""
    result = _expression(resolver, value, from_label)
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
    return result


def _expression(resolver: Resolver, written: Value, from_label: bool) -> Combination | float | None:
    value = resolver.expand(written)
    if is_open(value):
        return None
    match value:
        case Number():
            return float(value.value)
        case Call():
            return _word(resolver, value, from_label)
        case Unary():
            return _scaled(-1.0, _expression(resolver, value.operand, from_label))
        case Binary():
            left = _expression(resolver, value.left, from_label)
            right = _expression(resolver, value.right, from_label)
            return None if left is None or right is None else _binary(resolver, value, left, right)
    resolver.complain(
        "E301",
        "a loss is made of numbers and losses",
        value.span,
        "such as `kl(T=4)` or `0.9 * kl(T=4) + 0.1 * mse`",
    )
    return None


def _word(resolver: Resolver, value: Call, from_label: bool) -> Combination | None:
    entry = resolver.word(value, "loss")
    if not isinstance(entry, Loss):
        return None
    reason = entry.from_label() if from_label else None
    if reason is not None:
        fix = "`ce`, `kl` and `mse(on=probabilities)` can"
        resolver.complain("E407", reason, value.span, fix)
        return None
    if not from_label and "node" not in entry.sources:
        resolver.complain(
            "E407",
            f"`{entry.word}` compares a node with the labels, and this edge comes from a node",
            value.span,
            "`kl` is the loss between two nodes; the labels teach by `edge label -> a`",
        )
        return None
    return (plain(entry),)


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
