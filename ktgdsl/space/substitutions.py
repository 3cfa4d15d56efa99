"""Substitution of open values: by what a point draws, or so that every option is taken once.

Each draw has one name, from where it stands: `edge.b->a.gate`, `node.b`, `train.optimizer.lr`,
`let.T`; a second one at the same place is `.1`, a third `.2`. Names do not depend on what is
drawn, because the options that are not taken are walked as well.
"""

from collections import Counter
from collections.abc import Mapping

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.values import calculated
from ktgdsl.plan.settings import Draw
from ktgdsl.space.open_parts import OpenParts, PartsSubstitution, log_range, range_bounds
from ktgdsl.syntax.tree import (
    Binary,
    Choice,
    Number,
    Range,
    Syntax,
    Unary,
    Value,
)
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.syntax.walk import children

_SPELL = Unparser().value

Point = Mapping[str, int | float]
"""A point of a space: the index of an option, or a number of a range, by the draw's name."""


class PointSubstitution(PartsSubstitution):
    """Substitutes what a point draws; by default the first option, or the low end of a range.

    With `round_number`, arrays have their greatest size, every choice takes its option of that
    round, and `draws` collects every draw in the order of the text, so that there are all of them
    after as many rounds as there are options.
    """

    differs_by_place = True

    def __init__(
        self, resolver: Resolver, parts: OpenParts, point: Point, *, round_number: int | None = None
    ) -> None:
        super().__init__(parts)
        self.resolver = resolver
        self.point = point
        self.round_number = round_number
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
        if self.round_number is None or not self.is_open(value):
            return closed
        bounds = self._bounds(value)
        return closed if bounds is None else Number(span=value.span, value=bounds[1])

    def _bounds(self, part: Syntax) -> tuple[int | float, int | float] | None:
        """The least and the greatest value of a number that may be open; None for other values."""
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
        chosen = int(self.point.get(name, (self.round_number or 0) % len(choice.options)))
        if self.round_number is not None:
            self.draws[name] = Draw.model_construct(name=name, options=self._options(choice))
        # The draws in options that are not taken have names as well.
        options = choice.options
        closed = {
            i: self._option(name, i, options[i], place) for i in self.parts.open_options(choice)
        }
        return closed.get(chosen, options[chosen])

    def _option(self, draw: str, index: int, option: Value, place: str) -> Value:
        """An option of a draw that has open parts itself, taken or not."""
        return self.substitute(option, place)

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
        if self.round_number is not None:
            self.draws[name] = Draw.model_construct(name=name, low=low, high=high, log=log)
        return Number(span=value.span, value=self.point.get(name, low))

    def _fresh(self, place: str) -> str:
        count = self._used[place]
        self._used[place] += 1
        return f"{place}.{count}" if count else place


class CoveringSubstitution(PartsSubstitution):
    """Takes every option of every open value once, in as many rounds as `OpenParts` says.

    Independent values change in the same round, so there are only as many rounds as the value
    with the most options needs.
    """

    differs_by_place = False

    def __init__(self, resolver: Resolver, parts: OpenParts, round_number: int) -> None:
        super().__init__(parts)
        self.resolver = resolver
        self.round_number = round_number

    def substitute(self, value: Value, place: str) -> Value:
        """The value in this round; `place` does not matter."""
        return self._at(value, self.round_number)

    def substitute_size(self, value: Value, place: str) -> Value:
        """The number of nodes of an array."""
        return self.substitute(value, place)

    def _at(self, value: Value, number: int) -> Value:
        if not self.is_open(value):
            return value
        if let := self.parts.let(value):
            return self._at(let.value, number)
        if (inside := log_range(value)) or isinstance(value, Range):
            spread = inside or value
            assert isinstance(spread, Range)
            bounds = range_bounds(self.resolver, spread, log=inside is not None)
            if bounds is None:
                return Choice(span=value.span, options=())
            return Number(span=value.span, value=bounds[number % 2])
        if isinstance(value, Choice):
            rounds = max(1, self.parts.rounds(value))
            number %= rounds
            if rounds == len(value.options):
                return self._at(value.options[number], 0)
            for option in value.options:
                if number < self.parts.rounds(option):
                    return self._at(option, number)
                number -= self.parts.rounds(option)
            return value
        return self.substitute_parts(value, lambda part, _: self._at(part, number), "")
