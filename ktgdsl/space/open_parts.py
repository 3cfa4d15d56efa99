"""The open values of a tree: how many options they have, and a tree with others in their place."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.syntax.tree import (
    All,
    Binary,
    CallExpression,
    Choice,
    Let,
    List,
    Range,
    Reference,
    Syntax,
    Unary,
    Value,
)
from ktgdsl.syntax.walk import children, walk
from ktgdsl.vocabulary.registry import entries, kinds_of


def log_range(value: Value) -> Range | None:
    """The range inside of `log(1e-3 .. 1e-1)`; None for any other value."""
    if isinstance(value, CallExpression) and value.name == "log" and len(value.arguments) == 1:
        inside = value.arguments[0]
        if inside.name is None and isinstance(inside.value, Range):
            return inside.value
    return None


class OpenParts:
    """The open parts in the tree of a file, found once for all points of the space."""

    def __init__(self, lets: Mapping[str, Let]) -> None:
        self.lets = lets
        self._open: dict[int, tuple[Syntax, bool]] = {}
        self._rounds: dict[int, tuple[Syntax, int]] = {}
        self._open_options: dict[int, tuple[Syntax, tuple[int, ...]]] = {}

    def is_open(self, part: Syntax) -> bool:
        """Whether anything in a part of the tree is open, or named by a `let` that is."""
        known = self._open.get(id(part))
        if known is None or known[0] is not part:
            known = part, any(self._opens(each) for each in walk(part))
            self._open[id(part)] = known
        return known[1]

    def _opens(self, part: Syntax) -> bool:
        let = self.let(part)
        return isinstance(part, Choice | Range) if let is None else self.is_open(let.value)

    def let(self, part: Syntax) -> Let | None:
        """The `let` that a value names, if it is no more than such a name."""
        if isinstance(part, CallExpression) and not part.arguments:
            return self.lets.get(part.name)
        return None

    def open_options(self, choice: Choice) -> tuple[int, ...]:
        """The positions of the options that have open parts themselves."""
        known = self._open_options.get(id(choice))
        if known is None or known[0] is not choice:
            options = enumerate(choice.options)
            known = choice, tuple(i for i, option in options if self.is_open(option))
            self._open_options[id(choice)] = known
        return known[1]

    def rounds(self, part: Syntax) -> int:
        """The number of rounds in which `CoveringSubstitution` takes every option in a part."""
        known = self._rounds.get(id(part))
        if known is None or known[0] is not part:
            known = part, self._count(part)
            self._rounds[id(part)] = known
        return known[1]

    def _count(self, part: Syntax) -> int:
        if (let := self.let(part)) is not None:
            return self.rounds(let.value)
        if isinstance(part, Range):
            return 2
        inner = [self.rounds(child) for child in children(part)]
        return sum(inner) if isinstance(part, Choice) else max(inner, default=1)


class PartsSubstitution:
    """Base of the substitutions: values that have open parts."""

    def __init__(self, parts: OpenParts) -> None:
        self.parts = parts
        self.is_open = parts.is_open

    def substitute_parts(
        self, value: Value, substitute: Callable[[Value, str], Value], place: str
    ) -> Value:
        """A value that is not open itself, with its open parts replaced by `substitute`."""
        match value:
            case CallExpression() if value.arguments:
                arguments = []
                for index, each in enumerate(value.arguments):
                    name = each.name or _parameter(value.name, index, place)
                    within = substitute(each.value, f"{place}.{name}")
                    arguments.append(replace(each, value=within))
                return replace(value, arguments=tuple(arguments))
            case List():
                items = tuple(substitute(item, place) for item in value.items)
                return replace(value, items=items)
            case Unary():
                return replace(value, operand=substitute(value.operand, place))
            case Binary():
                left, right = substitute(value.left, place), substitute(value.right, place)
                return replace(value, left=left, right=right)
            case Reference():
                if value.index is not None and not isinstance(value.index, All):
                    value = replace(value, index=substitute(value.index, place))
                if value.tap is not None:
                    value = replace(value, tap=substitute(value.tap, place))
                return value
        return value


def _parameter(word: str, index: int, place: str) -> str:
    """The parameter that an argument without a name is for."""
    kinds = kinds_of(word)
    wanted = place.rpartition(".")[2]  # `cosine` is a gate and a schedule
    for kind in [wanted] if wanted in kinds else kinds:
        if entry := entries(kind).get(word):
            names = entry.positions()
            return entry.variadic or (names[index] if index < len(names) else str(index))
    return str(index)


def range_bounds(resolver: Resolver, value: Range, *, log: bool) -> tuple[float, float] | None:
    """The least and the greatest value of a range; None after a diagnostic."""
    low, high = resolver.number(value.low), resolver.number(value.high)
    if low is None or high is None:
        return None
    problem = None
    if low > high:
        problem = f"this range ends at {high:g} and begins at {low:g}, which is more"
    elif log and low <= 0:
        problem = f"a logarithm needs positive numbers, and this range begins at {low:g}"
    if problem is None:
        return low, high
    fix = "write the lesser end first: `1e-3 .. 1e-1`"
    if low <= high:
        fix = f"begin above 0, such as `log(1e-4 .. {high:g})`" if high > 0 else "leave `log` out"
    resolver.complain("E307", problem, value.span, fix)
    return None
