"""Draws inside of options of others: at a point they count only where that option is taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ktgdsl.lowering.lower import check_substituted
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.plan import model
from ktgdsl.space.space import OpenFile, parsed
from ktgdsl.space.substitutions import Point, PointSubstitution
from ktgdsl.syntax.tree import Value


class _Use(NamedTuple):
    """Where a draw stands: in an option of a draw, or in the value of a `let` (None)."""

    inside: str
    option: int | None


class NestedDraws:
    """The draws of a space by where they stand: in options of others, or on their own."""

    def __init__(self, space: model.Space) -> None:
        self._uses: dict[str, set[_Use | None]] = {}
        file, nowhere = parsed(space.text), SpecPaths(Path())
        for number in range(file.parts.rounds(file.file)):
            if all(draw.name in self._uses for draw in space.draws):
                break
            noting = partial(_Noting, space=file, round_number=number, uses=self._uses)
            check_substituted(file.file, nowhere, noting, file.resolver)

    def __bool__(self) -> bool:
        """Whether some draw does not count everywhere."""
        return any(None not in uses for uses in self._uses.values())

    def counts(self, name: str, point: Point) -> bool:
        """Whether what is drawn is part of the graph at a point: its option is the one taken."""
        return any(
            use is None
            or (self.counts(use.inside, point) and use.option in (None, point.get(use.inside)))
            for use in self._uses.get(name, {None})
        )


class _Noting(PointSubstitution):
    """Notes in `uses` where draws stand, by their names; a `let` has a name no draw has."""

    def __init__(
        self,
        resolver: Resolver,
        space: OpenFile,
        round_number: int,
        uses: dict[str, set[_Use | None]],
    ) -> None:
        super().__init__(resolver, space.parts, {}, round_number=round_number)
        self._uses = uses
        self._now: _Use | None = None

    def substitute(self, value: Value, place: str) -> Value:
        let = self.parts.let(value) if self.is_open(value) else None
        if let is None or let.each:
            return super().substitute(value, place)
        name = f"let {let.name}"
        self._note(name)
        with self._inside(_Use(name, None)):
            return super().substitute(value, place)

    def _fresh(self, place: str) -> str:
        name = super()._fresh(place)
        self._note(name)
        return name

    def _option(self, draw: str, index: int, option: Value, place: str) -> Value:
        with self._inside(_Use(draw, index)):
            return super()._option(draw, index, option, place)

    def _note(self, name: str) -> None:
        self._uses.setdefault(name, set()).add(self._now)

    @contextmanager
    def _inside(self, use: _Use) -> Iterator[None]:
        before, self._now = self._now, use
        yield
        self._now = before
