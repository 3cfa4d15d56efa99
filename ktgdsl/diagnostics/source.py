"""A piece of `.ktg` text and the places in it."""

from bisect import bisect_right
from functools import lru_cache
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


class Source(NamedTuple):
    """Decoded text with the name under which diagnostics speak of it."""

    path: str
    text: str
    option: str = ""
    """The option of a command line that the text is from, as it was written; "" for a file."""

    def position(self, offset: int) -> Position:
        """The line and column of a character offset."""
        starts = _line_starts(self.text)
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line ending; "" past the end."""
        starts = _line_starts(self.text)
        if not 1 <= number <= len(starts):
            return ""
        start = starts[number - 1]
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[start:end].removesuffix("\r")

    @property
    def lines(self) -> int:
        """How many lines the text has."""
        return len(_line_starts(self.text))


@lru_cache(maxsize=4)  # asked for of the same few texts again and again
def _line_starts(text: str) -> tuple[int, ...]:
    """The offset at which each line starts."""
    lengths = (len(line) + 1 for line in text.split("\n")[:-1])
    return tuple(accumulate(lengths, initial=0))
