"""Error recovery: the sound statements of a file with mistakes, and an error for each other.

The statements are found by their keywords, then parsed one by one. So a mistake is seen alone,
wherever braces are missing or left over.
"""

from dataclasses import replace
from itertools import pairwise

from lark import Token

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import boundaries
from ktgdsl.syntax import tree as s
from ktgdsl.syntax.lexer import MAX_ERRORS
from ktgdsl.syntax.part_parser import PartParser
from ktgdsl.syntax.tokens import end_offset, shown, span


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
        self._tokens = tokens = list(tokens)  # a misspelt keyword is replaced
        self._parser = PartParser(source, tokens, self.errors)
        self._report = self._parser.report
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
            if not broken and not self._parser.has_lexical_error(j, end):
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
        stop = self._parser.until(i, end, "RBRACE")
        if stop > i and not self._parser.has_lexical_error(i, stop):
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
        stop = self._parser.end(i, end)
        start = "member" if kind in boundaries.MEMBERS else "file"
        node = self._parser.parse(start, i, stop)
        if node is None:
            node = self._parser.parse_in_pieces(start, i, stop, kind)
        if node is not None:
            self._keep(node)
        return stop

    def _keep(self, statement: s.Statement | s.GraphStatement) -> None:
        if isinstance(statement, s.Node | s.Target | s.Edge | s.ShareStatement):
            if self._graph is not None:
                self._graph.members.append(statement)
        else:
            self.statements.append(statement)

    # Graphs

    def _open(self, i: int, end: int) -> int:
        stop = min(self._parser.until(i, end, "LBRACE") + 1, end)
        brace = self._tokens[stop - 1]
        closing = [brace.update(type="RBRACE", value="}")] if brace.type == "LBRACE" else []
        head = self._parser.parse_or_report("file", i, stop, "GRAPH", *closing)
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
                self._parser.report_unclosed(graph.opening, last)
        if graph.head is not None:
            place = Span(self._source.path, graph.head.span.start, end_offset(last))
            self.statements.append(replace(graph.head, statements=tuple(graph.members), span=place))
