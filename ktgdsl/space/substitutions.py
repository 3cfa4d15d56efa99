"""Substitution of open values: by what a point draws, or so that every option has its turn.

Each draw has one name, from where it stands: `edge.b->a.gate`, `node.b`, `train.optimizer.lr`,
`let.T`; a second one at the same place is `.1`, a third `.2`. Names do not depend on what is
drawn, because the options that are not taken are walked as well.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.values import calculated
from ktgdsl.plan.settings import Draw
from ktgdsl.syntax.tree import (
    All,
    Binary,
    CallExpression,
    Choice,
    Let,
    List,
    Number,
    Range,
    Reference,
    Syntax,
    Unary,
    Value,
)
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.syntax.walk import children, walk
from ktgdsl.vocabulary.registry import entries, kinds_of

_SPELL = Unparser().value

Point = Mapping[str, int | float]
"""What was drawn: the index of an option, or a number of a range, by the draw's name."""


def log_range(value: Value) -> Range | None:
    """The range inside of `log(1e-3 .. 1e-1)`; None for any other value."""
    if isinstance(value, CallExpression) and value.name == "log" and len(value.arguments) == 1:
        inside = value.arguments[0]
        if inside.name is None and isinstance(inside.value, Range):
            return inside.value
    return None


class OpenParts:
    """What is open in the tree of a file, found out once for all of its points."""

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


class _Substitution:
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


class PointSubstitution(_Substitution):
    """Substitutes what a point draws; by default the first option, or the low end of a range.

    With `turn`, arrays have their greatest size, every choice takes the option of that turn, and
    `draws` collects every draw in the order of the text, so that there are all of them after as
    many turns as there are options.
    """

    differs_by_place = True

    def __init__(
        self, resolver: Resolver, parts: OpenParts, point: Point, *, turn: int | None = None
    ) -> None:
        super().__init__(parts)
        self.resolver = resolver
        self.point = point
        self.turn = turn
        self.draws: dict[str, Draw] = {}
        self._used: Counter[str] = Counter()
        self._once: dict[str, Value] = {}
        self._texts: dict[int, tuple[Choice, tuple[str, ...]]] = {}

    def substitute(self, value: Value, place: str) -> Value:
        """The value at the point."""
        if not self.is_open(value):
            return value
        if let := self.parts.let(value):
            if let.each:
                return self.substitute(let.value, place)
            if let.name not in self._once:
                self._once[let.name] = self.substitute(let.value, f"let.{let.name}")
            return self._once[let.name]
        if inside := log_range(value):
            return self._range(inside, place, log=True)
        if isinstance(value, Range):
            return self._range(value, place, log=False)
        if isinstance(value, Choice):
            return self._choice(value, place)
        return self.substitute_parts(value, self.substitute, place)

    def substitute_size(self, value: Value, place: str) -> Value:
        """The number of nodes of an array at the point, or the greatest."""
        closed = self.substitute(value, place)
        if self.turn is None or not self.is_open(value):
            return closed
        bounds = self._bounds(value)
        return closed if bounds is None else Number(span=value.span, value=bounds[1])

    def _bounds(self, part: Syntax) -> tuple[int | float, int | float] | None:
        """What a number that may be open lies between; None for anything else."""
        if let := self.parts.let(part):
            return self._bounds(let.value)
        if isinstance(part, Number):
            return part.value, part.value
        if not isinstance(part, Choice | Range | Unary | Binary):
            return None
        inner = [self._bounds(child) for child in children(part)]
        known = [bounds for bounds in inner if bounds is not None]
        if not known or len(known) < len(inner):
            return None
        bounds = [end for bounds in known for end in bounds]
        if isinstance(part, Unary):
            bounds = [-end for end in bounds]
        if isinstance(part, Binary):
            left, right = known
            if part.operator == "/" and 0 in right:
                return None
            bounds = [calculated(part.operator, a, b) for a in left for b in right]
        return min(bounds), max(bounds)

    def _choice(self, choice: Choice, place: str) -> Value:
        if not choice.options:
            return choice  # what is left of a `let` that never ends
        name = self._fresh(place)
        chosen = int(self.point.get(name, (self.turn or 0) % len(choice.options)))
        if self.turn is not None:
            self.draws[name] = Draw.model_construct(name=name, options=self._options(choice))
        # The draws in options that are not taken have names as well.
        options = choice.options
        closed = {i: self.substitute(options[i], place) for i in self.parts.open_options(choice)}
        return closed.get(chosen, options[chosen])

    def _options(self, choice: Choice) -> tuple[str, ...]:
        """The options as text, spelt once for all places that the tree has the choice at."""
        if id(choice) not in self._texts:
            self._texts[id(choice)] = choice, tuple(_SPELL(option) for option in choice.options)
        return self._texts[id(choice)][1]

    def _range(self, value: Range, place: str, *, log: bool) -> Value:
        name = self._fresh(place)
        bounds = range_bounds(self.resolver, value, log=log)
        if bounds is None:
            return Choice(span=value.span, options=())
        low, high = bounds
        if self.turn is not None:
            self.draws[name] = Draw.model_construct(name=name, low=low, high=high, log=log)
        return Number(span=value.span, value=self.point.get(name, low))

    def _fresh(self, place: str) -> str:
        count = self._used[place]
        self._used[place] += 1
        return f"{place}.{count}" if count else place


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


class CoveringSubstitution(_Substitution):
    """Takes every option of every open value once, in as many rounds as `OpenParts` says.

    Independent values change in the same round, so there are only as many rounds as the value
    with the most options needs.
    """

    differs_by_place = False

    def __init__(self, resolver: Resolver, parts: OpenParts, turn: int) -> None:
        super().__init__(parts)
        self.resolver = resolver
        self.turn = turn

    def substitute(self, value: Value, place: str) -> Value:
        """The value in this round; `place` does not matter."""
        return self._at(value, self.turn)

    def substitute_size(self, value: Value, place: str) -> Value:
        """The number of nodes of an array."""
        return self.substitute(value, place)

    def _at(self, value: Value, turn: int) -> Value:
        if not self.is_open(value):
            return value
        if let := self.parts.let(value):
            return self._at(let.value, turn)
        if (inside := log_range(value)) or isinstance(value, Range):
            spread = inside or value
            assert isinstance(spread, Range)
            bounds = range_bounds(self.resolver, spread, log=inside is not None)
            if bounds is None:
                return Choice(span=value.span, options=())
            return Number(span=value.span, value=bounds[turn % 2])
        if isinstance(value, Choice):
            rounds = max(1, self.parts.rounds(value))
            turn %= rounds
            if rounds == len(value.options):
                return self._at(value.options[turn], 0)
            for option in value.options:
                if turn < self.parts.rounds(option):
                    return self._at(option, turn)
                turn -= self.parts.rounds(option)
            return value
        return self.substitute_parts(value, lambda part, _: self._at(part, turn), "")
