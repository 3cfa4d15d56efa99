"""Trivia: what a source says beside its tree, for the formatter.

Comments, blank lines, line breaks, and how literals are written.
"""

import re
from bisect import bisect_left
from collections import Counter
from typing import NamedTuple

from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax.lexer import Lexed
from ktgdsl.syntax.tokens import start_offset
from ktgdsl.syntax.unparse import Literal

_SAME_LINE = re.compile(r"[ \t\r]*#")
_LITERALS = frozenset(("NUMBER", "PERCENT", "STRING"))


class Comment(NamedTuple):
    """A comment from its `#` to the last visible character of its line, and its offset."""

    text: str
    start: int


class Trivia:
    """The trivia of a source that parses; each comment is to be taken once and in order.

    `words` are all tokens as text, which alone decide what the source says.
    """

    def __init__(self, source: Source, lexed: Lexed) -> None:
        tokens = lexed.tokens
        self._text = source.text
        self._comments = [Comment(c.rstrip(" \t\r"), start_offset(c)) for c in lexed.comments]
        self._next = 0
        self._braces = [start_offset(token) for token in tokens if token.type == "LBRACE"]
        self._literals = [token for token in tokens if token.type in _LITERALS]
        self._starts = [start_offset(token) for token in self._literals]
        self.words = [token.value for token in tokens]

    def count(self) -> Counter[str]:
        """How often each comment stands in the source."""
        return Counter(comment.text for comment in self._comments)

    def literal(self, value: Literal) -> str:
        """A literal as the source spells it; the span may have parentheses around it."""
        literal: str = self._literals[bisect_left(self._starts, value.span.start)].value
        return literal

    def brace(self, span: Span) -> int | None:
        """The offset of the brace that opens the block of a statement, if it has one."""
        i = bisect_left(self._braces, span.start)
        found = self._braces[i] if i < len(self._braces) else span.end
        return found if found < span.end else None

    def one_line(self, start: int, end: int) -> bool:
        """Whether a line holds all of the text from `start` to `end`."""
        return "\n" not in self._text[start:end]

    def blank(self, start: int) -> bool:
        """Whether the line above what begins at `start` is blank."""
        before = start
        while before and self._text[before - 1].isspace():
            before -= 1
        return self._text.count("\n", before, start) > 1

    def until(self, end: int) -> list[Comment]:
        """The comments not yet taken that stand before `end`."""
        first = self._next
        while self._next < len(self._comments) and self._comments[self._next].start < end:
            self._next += 1
        return self._comments[first : self._next]

    def any_until(self, end: int) -> bool:
        """Whether a comment not yet taken stands before `end`."""
        return self._next < len(self._comments) and self._comments[self._next].start < end

    def beside(self, end: int) -> str:
        """The comment on the line of what ends at `end`, with nothing between, or ""."""
        match = _SAME_LINE.match(self._text, end)
        if match is None:
            return ""
        self._next += 1
        return self._comments[self._next - 1].text
