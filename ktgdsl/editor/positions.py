"""Offsets in a text as positions of the Language Server Protocol, and back."""

import re
from bisect import bisect_right
from typing import NamedTuple

from ktgdsl.diagnostics.source import Span

_LINE_END = re.compile(r"\r\n|\n|\r")
"""The line breaks of editors; `str.splitlines` also breaks at U+2028 and form feeds."""

_UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Place(NamedTuple):
    """A line and a character in it, both from 0; characters are counted in code units."""

    line: int
    character: int


class Positions:
    """The positions of one text; `encoding` is "utf-16", "utf-8" or "utf-32"."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        ends = list(_LINE_END.finditer(text))
        self._text = text
        self._starts = [0, *(end.end() for end in ends)]
        self._stops = [*(end.start() for end in ends), len(text)]
        self._codec, self._size = _UNITS[encoding]

    def place(self, offset: int) -> Place:
        """The line and character of an offset; inside of a line break, the end of the line."""
        line = bisect_right(self._starts, offset) - 1
        before = self._text[self._starts[line] : min(offset, self._stops[line])]
        return Place(line, self._units(before))

    def offset(self, line: int, character: int) -> int:
        """The offset of a position; the nearest one where the text has no such position."""
        if line >= len(self._starts):
            return len(self._text)
        start, stop = self._starts[line], self._stops[line]
        text = self._text[start:stop]
        if text.isascii():
            return start + min(character, len(text))
        units = 0
        for index, char in enumerate(text):
            if units >= character:
                return start + index
            units += self._units(char)
        return stop

    def range(self, span: Span) -> tuple[Place, Place]:
        """The start and the end of a span."""
        return self.place(span.start), self.place(span.end)

    def _units(self, text: str) -> int:
        if text.isascii():
            return len(text)
        return len(text.encode(self._codec, "surrogatepass")) // self._size
