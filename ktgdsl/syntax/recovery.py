"""Error recovery: the sound statements of a file with mistakes, and an error for each other.

The statements are found by their keywords, then parsed one by one; a broken one is taken
apart further, into its head and its settings. So a mistake is seen alone, wherever braces
are missing or left over.
"""

from bisect import bisect_left
from dataclasses import replace
from itertools import pairwise
from typing import Any

from lark import Token

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import boundaries
from ktgdsl.syntax import tree as s
from ktgdsl.syntax.lexer import MAX_ERRORS
from ktgdsl.syntax.parse_failure import SETTING, ParseFailure
from ktgdsl.syntax.parser import locate_failure, parse_tokens
from ktgdsl.syntax.syntax_errors import explain
from ktgdsl.syntax.tokens import end_offset, shown, span, start_offset


class _OpenGraph:
    """A graph while its members are collected."""

    def __init__(self, head: s.Graph | None, opening: Token) -> None:
        self.head = head
        self.opening = opening
        self.members: list[s.GraphStatement] = []
        self.closing: Token | None = None
        self.outsider: Token | None = None  # the first member after `closing`


class Recovery:
    """One pass over a file's tokens; `statements` and `errors` are what it finds."""

    def __init__(self, source: Source, tokens: list[Token], errors: list[Diagnostic]) -> None:
        self.statements: list[s.Statement] = []
        self.errors = list(errors)
        self._source = source
        self._tokens = tokens
        self._inside = boundaries.enclosed(tokens)
        self._bad = [error.span.start for error in errors if error.span]
        self._graph: _OpenGraph | None = None
        self._outside_reported = False

    def run(self) -> None:
        """Go through all statements, up to `MAX_ERRORS` errors."""
        starts = boundaries.starts(self._tokens)
        if self._tokens and (not starts or starts[0].position):
            starts.insert(0, boundaries.Start(0, ""))
        for start, following in pairwise([*starts, boundaries.Start(len(self._tokens), "")]):
            self._statement(start, following.position)
            if len(self.errors) >= MAX_ERRORS:
                break
        self._leave(len(self._tokens))
        self.errors.sort(key=lambda error: error.span.start if error.span else 0)

    # Statements

    def _statement(self, start: boundaries.Start, end: int) -> None:
        i, kind = start.position, start.kind
        known = len(self.errors)
        if start.misspelt:
            self._misspelt(i, kind)
        if kind in boundaries.MEMBERS:
            self._enter(i, start.misspelt)
        elif kind:
            self._leave(i)
        reported = len(self.errors)
        if kind == "GRAPH":
            end_of_part = self._open(i, end)
        elif kind:
            end_of_part = self._part(i, end, kind)
        else:
            end_of_part = self._words(i, end)
        if start.misspelt:
            # One error is enough for a statement whose keyword was a guess.
            del self.errors[reported:]
        broken = len(self.errors) > known
        for j in range(end_of_part, end):
            token = self._tokens[j]
            if token.type == "RBRACE" and self._close(token):
                continue
            if not broken and not self._has_lexical_error(j, end):
                what = "closes nothing" if token.type == "RBRACE" else "cannot stand here"
                self._report("E102", f"{shown(token)} {what}", token)
                broken = True

    def _misspelt(self, i: int, kind: str) -> None:
        word = self._tokens[i]
        self._report(
            "E102", f"{shown(word)} starts no statement", word, f"did you mean `{kind.lower()}`?"
        )
        self._tokens[i] = word.update(type=kind, value=kind.lower())

    def _words(self, i: int, end: int) -> int:
        """Words that no keyword introduces, up to a `}`."""
        stop = self._until(i, end, "RBRACE")
        if stop > i and not self._has_lexical_error(i, stop):
            where = (
                boundaries.MEMBERS
                if self._graph and not self._graph.closing
                else boundaries.TOP_LEVEL
            )
            words = ", ".join(f"`{kind.lower()}`" for kind in where)
            self._report(
                "E102",
                f"{shown(self._tokens[i])} starts no statement",
                self._tokens[i],
                f"here a statement starts with {words}",
            )
        return stop

    def _part(self, i: int, end: int, kind: str) -> int:
        """One statement other than a graph; the index after its last token."""
        stop = self._end(i, end)
        start = "member" if kind in boundaries.MEMBERS else "file"
        node = self._parse(start, i, stop)
        if node is None:
            node = self._pieces(start, i, stop, kind)
        if node is not None:
            self._keep(node)
        return stop

    def _keep(self, statement: s.Statement | s.GraphStatement) -> None:
        if isinstance(statement, s.Node | s.Target | s.Edge | s.ShareStatement):
            if self._graph is not None:
                self._graph.members.append(statement)
        else:
            self.statements.append(statement)

    def _pieces(self, start: str, i: int, stop: int, kind: str) -> Any:
        """A broken statement: its head, then its settings one by one."""
        known = len(self.errors)
        opening = self._until(i, stop, "LBRACE")
        if opening == stop:
            return self._head(start, i, stop, kind)
        brace = self._tokens[opening]
        closing = brace.update(type="RBRACE", value="}")
        head = self._head(start, i, opening + 1, kind, closing)
        closed = self._tokens[stop - 1].type == "RBRACE"
        last = stop - 1 if closed else stop
        settings = []
        if len(self.errors) == known:
            begins = boundaries.settings(self._tokens, opening + 1, last, self._inside)
            for j, k in pairwise([*begins, last]):
                setting = self._head("setting", j, k, SETTING)
                if setting is not None:
                    settings.append(setting)
                if len(self.errors) >= MAX_ERRORS:
                    break
        if len(self.errors) == known and not closed:
            self._unclosed(brace, self._tokens[stop - 1])
        if len(self.errors) == known and not self._has_lexical_error(i, stop):
            self._stopped(start, i, stop, kind)
        if head is None:
            return None
        place = Span(self._source.path, head.span.start, end_offset(self._tokens[stop - 1]))
        return replace(head, settings=tuple(settings), span=place)

    # Graphs

    def _open(self, i: int, end: int) -> int:
        stop = min(self._until(i, end, "LBRACE") + 1, end)
        brace = self._tokens[stop - 1]
        closing = [brace.update(type="RBRACE", value="}")] if brace.type == "LBRACE" else []
        head = self._head("file", i, stop, "GRAPH", *closing)
        self._graph = _OpenGraph(head, brace)
        self._outside_reported = False
        return stop

    def _enter(self, i: int, reported: bool) -> None:
        """A member: it belongs to the open graph, or is outside of any."""
        token = self._tokens[i]
        if self._graph is None:
            if not self._outside_reported and not reported:
                self._report(
                    "E102",
                    f"{shown(token)} stands outside of a graph",
                    token,
                    "put it between the braces of `graph my_graph { ... }`",
                )
            self._outside_reported = True
        elif self._graph.closing is not None and self._graph.outsider is None:
            self._graph.outsider = token

    def _close(self, brace: Token) -> bool:
        """Whether a `}` that its statement does not need closes the graph."""
        graph = self._graph
        if graph is None or (graph.closing is not None and graph.outsider is None):
            return False
        if graph.closing is not None and graph.outsider is not None:
            # The graph goes on to here, so that the first brace was one too many.
            label = Label(
                span(self._source.path, graph.outsider, graph.outsider),
                "so this stands outside of it",
            )
            self._report(
                "E102",
                "this `}` closes the graph too early",
                graph.closing,
                "leave it out",
                (label,),
            )
            graph.outsider = None
        graph.closing = brace
        return True

    def _leave(self, following: int) -> None:
        """The end of the open graph: at the next statement or the end of the file."""
        graph, self._graph = self._graph, None
        if graph is None:
            return
        if graph.outsider is not None and graph.closing is not None:
            label = Label(
                span(self._source.path, graph.closing, graph.closing), "the graph ends here"
            )
            self._report(
                "E102",
                f"{shown(graph.outsider)} stands outside of the graph",
                graph.outsider,
                "move it between the braces of the graph",
                (label,),
            )
        last = graph.closing
        if last is None:
            last = self._tokens[following - 1]
            if graph.opening.type == "LBRACE":
                self._unclosed(graph.opening, last)
        if graph.head is not None:
            place = Span(self._source.path, graph.head.span.start, end_offset(last))
            self.statements.append(replace(graph.head, statements=tuple(graph.members), span=place))

    # Parsing

    def _parse(self, start: str, i: int, stop: int, *more: Token) -> Any:
        """What the tokens say, if they and all characters among them are sound."""
        if (
            self._has_lexical_error(i, stop)
            or boundaries.too_deep(self._tokens[i:stop]) is not None
        ):
            return None
        node = parse_tokens(start, [*self._tokens[i:stop], *more], self._source.path)
        return node[0] if node is not None and start == "file" else node

    def _head(self, start: str, i: int, stop: int, kind: str, *more: Token) -> Any:
        node = self._parse(start, i, stop, *more)
        if node is None and not self._has_lexical_error(i, stop):
            self._stopped(start, i, stop, kind)
        return node

    def _stopped(self, start: str, i: int, stop: int, kind: str) -> None:
        """Report what stops the parser in a part that does not parse."""
        tokens = self._tokens[i:stop]
        deep = boundaries.too_deep(tokens)
        if deep is not None:
            self.errors.append(nested(self._source, tokens[deep]))
            return
        path = self._source.path
        index, accepts = locate_failure(start, tokens, path)
        self.errors.append(explain(ParseFailure(path, tokens, index, accepts, kind)))

    # Places

    def _has_lexical_error(self, i: int, stop: int) -> bool:
        """Whether a bad character was reported among tokens i to stop."""
        first = bisect_left(self._bad, start_offset(self._tokens[i]))
        whole = stop == len(self._tokens)
        limit = len(self._source.text) + 1 if whole else start_offset(self._tokens[stop])
        return first < len(self._bad) and self._bad[first] < limit

    def _until(self, i: int, end: int, kind: str) -> int:
        return next((j for j in range(i, end) if self._tokens[j].type == kind), end)

    def _end(self, i: int, end: int) -> int:
        """Where a statement ends that reaches at most to `end`: after its own last brace."""
        depth = 0
        for j in range(i, end):
            if self._tokens[j].type == "LBRACE":
                depth += 1
            elif self._tokens[j].type == "RBRACE":
                depth -= 1
                if depth <= 0:
                    return j + 1 if depth == 0 else j
        return end

    def _unclosed(self, brace: Token, last: Token) -> None:
        label = Label(span(self._source.path, brace, brace), "it is opened here")
        self._report("E103", "this block is never closed", last, "add a `}` after it", (label,))

    def _report(
        self,
        code: str,
        message: str,
        token: Token,
        help_: str | None = None,
        labels: tuple[Label, ...] = (),
    ) -> None:
        place = span(self._source.path, token, token)
        self.errors.append(Diagnostic(code, message, place, help_, labels=labels))


def nested(source: Source, token: Token) -> Diagnostic:
    """The error about an expression with too many levels."""
    message = f"this is nested more than {boundaries.MAX_LEVELS} levels deep"
    return Diagnostic(
        "E003", message, span(source.path, token, token), "name a part of it with `let`"
    )
