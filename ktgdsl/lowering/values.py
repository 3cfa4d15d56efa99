"""Evaluates plain values in the scope of a file's `let`s: numbers, strings, lists, arithmetic."""

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy
from typing import Any, Final, Self, TypeVar

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.syntax.tree import (
    Binary,
    Boolean,
    CallExpression,
    Choice,
    Let,
    List,
    Number,
    PercentLiteral,
    Range,
    Reference,
    StepsLiteral,
    String,
    Unary,
    Value,
)
from ktgdsl.vocabulary.entry import Percentage, StepCount
from ktgdsl.vocabulary.spelling import closest

_T = TypeVar("_T")


class _Invalid:
    """The type of `INVALID`, which stands for a value whose error is reported already."""


INVALID: Final = _Invalid()

ANYTHING: Final = "*"
"""Among the unparsed words: a file is missing, and whatever may be declared in it."""


def is_open(value: Value) -> bool:
    """Whether a value is a choice or a range, on a log scale or not."""
    if isinstance(value, CallExpression):
        inner = [argument.value for argument in value.arguments]
        return value.name == "log" and len(inner) == 1 and isinstance(inner[0], Range)
    return isinstance(value, Choice | Range)


class Scope:
    """Evaluates values in the scope of a file's `let`s, and collects errors about them.

    `unparsed` has the words of the parts of the file that did not parse: what is declared
    there is not known, so nobody complains that it is missing. An open value is INVALID
    here without a complaint, since `validate` reports it once for a file.
    """

    def __init__(self, lets: Mapping[str, Let], unparsed: frozenset[str] = frozenset()) -> None:
        self.lets = lets
        self.unparsed = unparsed
        self.diagnostics: list[Diagnostic] = []
        self._expanded: dict[str, Value] = {}  # each `let` with the `let`s that it names expanded
        self._known: dict[Hashable, Any] = {}

    def without_complaints(self) -> Self:
        """The scope without its complaints, in which what was found once is known."""
        other = copy(self)
        other.diagnostics = []
        return other

    def complain(
        self,
        code: str,
        message: str,
        span: Span,
        help: str | None = None,
        labels: Iterable[Label] = (),
    ) -> None:
        """Add an error."""
        self.diagnostics.append(Diagnostic(code, message, span, help, labels=tuple(labels)))

    def cached(self, what: Hashable, find: Callable[[], _T | None]) -> _T | None:
        """The result of `find`, cached unless it reported errors.

        `what` says all that it depends on but this scope; where it stands is no part of that.
        """
        found: _T | None = self._known.get(what)
        if found is None:
            before = len(self.diagnostics)
            found = find()
            if len(self.diagnostics) == before:
                self._known[what] = found
        return found

    def cached_for_state(self, what: str, state: Hashable, find: Callable[[], _T]) -> _T:
        """`cached` for large results: only that of the last state is kept."""
        found: tuple[Hashable, _T] | None = self._known.get(what)
        if found is None or found[0] != state:
            before = len(self.diagnostics)
            found = state, find()
            if len(self.diagnostics) == before:
                self._known[what] = found
        return found[1]

    def unknown(self, name: str, message: str, span: Span, help: str) -> None:
        """Add the error that nothing is called `name`, unless a broken part may declare it."""
        if name not in self.unparsed and ANYTHING not in self.unparsed:
            self.complain("E201", message, span, help)

    def expand(self, value: Value) -> Value:
        """The value, or what the `let` that it names stands for."""
        names = []
        while isinstance(value, CallExpression) and not value.arguments and value.name in self.lets:
            names.append(value.name)
            value = self._expanded.get(value.name) or self.lets[value.name].value
        self._expanded.update(dict.fromkeys(names, value))
        return value

    def number(self, value: Value) -> int | float | None:
        """A number, arithmetic done; None after a complaint."""
        result = self.plain(value)
        if isinstance(result, bool) or not isinstance(result, int | float):
            if result is not INVALID:
                self.complain("E301", f"a number is needed here, not {quoted(result)}", value.span)
            return None
        return result

    def plain(self, value: Value) -> Any:
        """A value of plain data: a number, Percentage, StepCount, bool, str or a list of those."""
        value = self.expand(value)
        match value:
            case Number() | Boolean() | String():
                return value.value
            case PercentLiteral():
                return Percentage(percent=float(value.value))
            case StepsLiteral(number=number):
                return StepCount(steps=number.value)
            case List():
                items = [self.plain(item) for item in value.items]
                return INVALID if INVALID in items else items
            case Unary():
                operand = self.number(value.operand)
                return INVALID if operand is None else -operand
            case Binary():
                return self._arithmetic(value)
            case CallExpression() if not is_open(value):
                self._no_value(value)
            case Reference():
                self.complain("E301", "a value is needed here, not a node", value.span)
        return INVALID

    def _no_value(self, value: CallExpression) -> None:
        name = value.name
        if name in self.lets:
            self.complain("E301", f"`{name}` is a `let` and takes no arguments", value.span)
            return
        guess = closest(name, list(self.lets))
        fix = f"did you mean `{guess}`?" if guess else f"`let {name} = ...` would name a value"
        if name.lower() in ("none", "null", "nil"):
            fix = "leave a setting out to have its default"
        problem = f"nothing that has a value is called `{name}`"
        self.unknown(name, problem, value.name_span, fix)

    def _arithmetic(self, value: Binary) -> Any:
        left, right = self.number(value.left), self.number(value.right)
        if left is None or right is None:
            return INVALID
        if value.operator == "/" and right == 0:
            self.complain("E305", "this divides by zero", value.span)
            return INVALID
        result = calculated(value.operator, left, right)
        if not abs(result) <= sys.float_info.max:
            self.complain("E305", "the result is too large for a number", value.span)
            return INVALID
        return result


def calculated(operator: str, left: int | float, right: int | float) -> int | float:
    """The result of `+`, `-`, `*` or `/`."""
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right  # a whole number where one may be needed: `epochs = 40 / 2`
    return left / right
