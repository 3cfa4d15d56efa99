"""A part of a file with mistakes: what of it can be parsed, and an error for what cannot.

A broken statement is taken apart, into its head and its settings, which are parsed one by one.
"""

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise
from typing import Any

from lark import Token

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import boundaries
from ktgdsl.syntax.lexer import MAX_ERRORS
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
from ktgdsl.syntax.parser import locate_failure, parse_tokens
from ktgdsl.syntax.syntax_errors import explain
from ktgdsl.syntax.tokens import end_offset, span, start_offset


class PartParser:
    """Parses parts of the tokens of a file, and adds what is wrong with them to `errors`.

    A part is the tokens from index `i` up to, but not with, `stop`.
    """

    def __init__(self, source: Source, tokens: list[Token], errors: list[Diagnostic]) -> None:
        self._tokens = tokens
        self._errors = errors
        self._source = source
        self._inside = boundaries.enclosed(tokens)
        self._bad = [error.span.start for error in errors if error.span]

    def parse(self, start: str, i: int, stop: int, *more: Token) -> Any:
        """The nodes of the tokens; None if they do not parse or have lexical errors."""
        if self.has_lexical_error(i, stop) or boundaries.too_deep(self._tokens[i:stop]) is not None:
            return None
        node = parse_tokens(start, [*self._tokens[i:stop], *more], self._source.path)
        return node[0] if node is not None and start == "file" else node

    def parse_or_report(self, start: str, i: int, stop: int, kind: str, *more: Token) -> Any:
        """`parse`, with an error where it fails and no error of the lexer tells why."""
        node = self.parse(start, i, stop, *more)
        if node is None and not self.has_lexical_error(i, stop):
            self._stopped(start, i, stop, kind)
        return node

    def parse_in_pieces(self, start: str, i: int, stop: int, kind: str) -> Any:
        """A broken statement: its head, then its settings one by one."""
        known = len(self._errors)
        opening = self.until(i, stop, "LBRACE")
        if opening == stop:
            return self.parse_or_report(start, i, stop, kind)
        brace = self._tokens[opening]
        closing = brace.update(type="RBRACE", value="}")
        head = self.parse_or_report(start, i, opening + 1, kind, closing)
        closed = self._tokens[stop - 1].type == "RBRACE"
        last = stop - 1 if closed else stop
        settings = []
        if len(self._errors) == known:
            begins = boundaries.settings(self._tokens, opening + 1, last, self._inside)
            for j, k in pairwise([*begins, last]):
                setting = self.parse_or_report("setting", j, k, SETTING)
                if setting is not None:
                    settings.append(setting)
                if len(self._errors) >= MAX_ERRORS:
                    break
        if len(self._errors) == known and not closed:
            self.report_unclosed(brace, self._tokens[stop - 1])
        if len(self._errors) == known and not self.has_lexical_error(i, stop):
            self._stopped(start, i, stop, kind)
        if head is None:
            return None
        place = Span(self._source.path, head.span.start, end_offset(self._tokens[stop - 1]))
        return replace(head, settings=tuple(settings), span=place)

    def _stopped(self, start: str, i: int, stop: int, kind: str) -> None:
        """Report what stops the parser in a part that does not parse."""
        tokens = self._tokens[i:stop]
        deep = boundaries.too_deep(tokens)
        if deep is not None:
            self._errors.append(nested(self._source, tokens[deep]))
            return
        path = self._source.path
        index, accepts = locate_failure(start, tokens, path)
        self._errors.append(explain(ParseFailure(path, tokens, index, accepts, kind)))

    def has_lexical_error(self, i: int, stop: int) -> bool:
        """Whether a bad character was reported among tokens i to stop."""
        first = bisect_left(self._bad, start_offset(self._tokens[i]))
        whole = stop == len(self._tokens)
        limit = len(self._source.text) + 1 if whole else start_offset(self._tokens[stop])
        return first < len(self._bad) and self._bad[first] < limit

    def until(self, i: int, end: int, kind: str) -> int:
        """The index of the first token of a kind, or `end`."""
        return next((j for j in range(i, end) if self._tokens[j].type == kind), end)

    def end(self, i: int, end: int) -> int:
        """The end of a statement, at most `end`: after its own last brace."""
        depth = 0
        for j in range(i, end):
            if self._tokens[j].type == "LBRACE":
                depth += 1
            elif self._tokens[j].type == "RBRACE":
                depth -= 1
                if depth <= 0:
                    return j + 1 if depth == 0 else j
        return end

    def report_unclosed(self, brace: Token, last: Token) -> None:
        """Report a block whose `}` is missing after its last token."""
        label = Label(span(self._source.path, brace, brace), "it is opened here")
        self.report("E103", "this block is never closed", last, "add a `}` after it", (label,))

    def report(
        self,
        code: str,
        message: str,
        token: Token,
        help_: str | None = None,
        labels: tuple[Label, ...] = (),
    ) -> None:
        """Report an error at a token."""
        place = span(self._source.path, token, token)
        self._errors.append(Diagnostic(code, message, place, help_, labels=labels))


def nested(source: Source, token: Token) -> Diagnostic:
    """The error about an expression with too many levels."""
    message = f"this is nested more than {boundaries.MAX_LEVELS} levels deep"
    return Diagnostic(
        "E003", message, span(source.path, token, token), "name a part of it with `let`"
    )
