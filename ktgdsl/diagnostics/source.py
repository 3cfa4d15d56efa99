"""A piece of `.ktg` text and the places in it."""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple


class Span(NamedTuple):
    """A half-open range of characters, `start` to `end`, of the source named `path`."""

    path: str
    start: int
    end: int

    def to(self, other: "Span") -> "Span":
        """The range from the start of this span to the end of `other`."""
        return Span(self.path, self.start, other.end)


class Position(NamedTuple):
    """A place for people: line and column, both counted from 1, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """Decoded text with the name under which diagnostics speak of it."""

    path: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lengths = (len(line) + 1 for line in self.text.split("\n")[:-1])
        object.__setattr__(self, "_starts", tuple(accumulate(lengths, initial=0)))

    def position(self, offset: int) -> Position:
        """The line and column of a character offset."""
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line ending; "" past the end."""
        if not 1 <= number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].removesuffix("\r")

    @property
    def lines(self) -> int:
        """How many lines the text has."""
        return len(self._starts)
