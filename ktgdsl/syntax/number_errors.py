"""Syntax errors in numbers as they are written elsewhere: `.5`, `1.`, `0,9` and `1 000`."""

import re

from lark import Token

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.parse_failure import ParseFailure
from ktgdsl.syntax.tokens import end_offset, span, start_offset
from ktgdsl.syntax.tree import Binary, Choice, Number, PercentLiteral, Range, Value

_DIGITS = r"[0-9]+"
_FRACTION = r"[0-9]+%?"
_THOUSANDS = r"[0-9]{3}"
_BEFORE_THOUSANDS = r"[1-9][0-9]{0,2}"


def touching(first: Token | None, second: Token | None) -> bool:
    """Whether nothing stands between two tokens."""
    return first is not None and second is not None and end_offset(first) == start_offset(second)


def point(failure: ParseFailure) -> Diagnostic | None:
    """`.5` and `1.`"""
    point, before, after = failure.token, failure.near(-1), failure.near(1)
    if point is None or point.type != "DOT":
        return None
    if before is not None and before.type == "NUMBER" and touching(before, point):
        place = span(failure.path, before, point)
        help_ = f"did you mean `{before}.0`?"
        return failure.error(f"`{before}.` is not a number", help_, place, "E104")
    if after is not None and after.type in ("NUMBER", "PERCENT") and touching(point, after):
        place = span(failure.path, point, after)
        help_ = f"did you mean `0.{after}`?"
        return failure.error(f"`.{after}` is not a number", help_, place, "E104")
    return None


def comma(failure: ParseFailure) -> Diagnostic | None:
    """`clip = 0,5` and `sgd(lr=0,1)`"""
    for offset in (0, -1):
        whole, sign, rest = (failure.near(offset + i) for i in (-1, 0, 1))
        if whole is None or sign is None or rest is None or sign.type != "COMMA":
            continue
        if not (touching(whole, sign) and touching(sign, rest)):
            continue
        if re.fullmatch(_DIGITS, whole.value) and re.fullmatch(_FRACTION, rest.value):
            place = span(failure.path, whole, rest)
            return failure.error(*_message(whole.value, rest.value), place, "E104")
    return None


def spaced(failure: ParseFailure) -> Diagnostic | None:
    """`1 000`"""
    before, token = failure.near(-1), failure.token
    if before is None or not re.fullmatch(_BEFORE_THOUSANDS, before.value):
        return None
    groups: list[Token] = []
    while token is not None and token.line == before.line and re.fullmatch(_THOUSANDS, token.value):
        groups.append(token)
        token = failure.near(len(groups))
    if not groups:
        return None
    values = [before.value, *(group.value for group in groups)]
    help_ = f"did you mean `{'_'.join(values)}`?"
    place = span(failure.path, before, groups[-1])
    return failure.error(f"`{' '.join(values)}` is not a number", help_, place, "E104")


def comma_between(first: Value | None, second: Value | None) -> Diagnostic | None:
    """An error if two adjacent values were meant as one number, else None.

    Between them is a comma, since the grammar lets nothing else of one character stand there.
    """
    whole, rest = _edge_of(first, last=True), _edge_of(second, last=False)
    if whole is None or rest is None or whole.span.end + 1 != rest.span.start:
        return None
    if not isinstance(whole, Number) or not isinstance(rest.value, int):
        return None
    # Only the number of digits tells `0,5` from `0,05`.
    sign = "%" if isinstance(rest, PercentLiteral) else ""
    digits = str(rest.value).zfill(rest.span.end - rest.span.start - len(sign))
    message, help_ = _message(str(whole.value), digits + sign)
    place = whole.span.to(rest.span)
    return Diagnostic("E104", message, place, help_) if isinstance(whole.value, int) else None


def _message(whole: str, rest: str) -> tuple[str, str]:
    """The complaint about `whole,rest`, and what was meant."""
    message = f"`{whole},{rest}` is not a number"
    if whole != "0" and re.fullmatch(_THOUSANDS, rest):
        return message, f"did you mean `{whole}_{rest}`? A number has no comma"
    return message, f"did you mean `{whole}.{rest}`? A number has a point"


def _edge_of(value: Value | None, *, last: bool) -> Number | PercentLiteral | None:
    """The number that a value ends or begins with, if there is one."""
    while True:
        match value:
            case Number() | PercentLiteral():
                return value
            case Binary():
                value = value.right if last else value.left
            case Range():
                value = value.high if last else value.low
            case Choice() if value.options:  # a `let` of itself has none
                value = value.options[-1 if last else 0]
            case _:
                return None
