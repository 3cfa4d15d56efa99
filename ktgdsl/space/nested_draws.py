"""Conditional draws, inside options of others: active only at points that take that option."""

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
    """Where the draws of a space stand: in options of others, or on their own."""

    def __init__(self, space: model.Space) -> None:
        self._uses: dict[str, set[_Use | None]] = {}
        file, nowhere = parsed(space.text), SpecPaths(Path())
        for number in range(file.parts.rounds(file.file)):
            if all(draw.name in self._uses for draw in space.draws):
                break
            recorder = partial(_UseRecorder, space=file, round_number=number, uses=self._uses)
            check_substituted(file.file, nowhere, recorder, file.resolver)

    def __bool__(self) -> bool:
        """Whether some draw is conditional."""
        return any(None not in uses for uses in self._uses.values())

    def is_active(self, name: str, point: Point) -> bool:
        """Whether a draw is part of the graph at a point: the options that contain it are taken."""
        return any(
            use is None
            or (self.is_active(use.inside, point) and use.option in (None, point.get(use.inside)))
            for use in self._uses.get(name, {None})
        )


class _UseRecorder(PointSubstitution):
    """Records in `uses` where draws stand, by name; a `let` gets a name that no draw can have."""

    def __init__(
        self,
        resolver: Resolver,
        space: OpenFile,
        round_number: int,
        uses: dict[str, set[_Use | None]],
    ) -> None:
        super().__init__(resolver, space.parts, {}, round_number=round_number)
        self._uses = uses
        self._current: _Use | None = None

    def substitute(self, value: Value, place: str) -> Value:
        let = self.parts.let(value) if self.is_open(value) else None
        if let is None or let.each:
            return super().substitute(value, place)
        name = f"let {let.name}"
        self._record(name)
        with self._inside(_Use(name, None)):
            return super().substitute(value, place)

    def _fresh(self, place: str) -> str:
        name = super()._fresh(place)
        self._record(name)
        return name

    def _option(self, draw: str, index: int, option: Value, place: str) -> Value:
        with self._inside(_Use(draw, index)):
            return super()._option(draw, index, option, place)

    def _record(self, name: str) -> None:
        self._uses.setdefault(name, set()).add(self._current)

    @contextmanager
    def _inside(self, use: _Use) -> Iterator[None]:
        before, self._current = self._current, use
        yield
        self._current = before
