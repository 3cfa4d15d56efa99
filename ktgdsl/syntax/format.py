"""The formatter: a tree as text in the one layout, with the comments of its source or without."""

from collections.abc import Sequence

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.layout import Item, render
from ktgdsl.syntax.lexer import tokenize
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.syntax.tree import (
    Block,
    Declared,
    Edge,
    File,
    Graph,
    GraphStatement,
    Let,
    Node,
    Setting,
    ShareStatement,
    Statement,
    Target,
    Term,
    Use,
)
from ktgdsl.syntax.trivia import Trivia
from ktgdsl.syntax.unparse import Unparser

_Part = Statement | GraphStatement | Setting


def format_source(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The text of a file in the one layout, with all its comments; or why there is none.

    A file that does not parse has none, nor one whose text would exceed a limit of the
    language. Raises AssertionError if the new text said anything else than the old, or a
    comment were lost: that would be a mistake of ours.
    """
    lexed = tokenize(source)
    tree, diagnostics = parse(source, lexed)
    if tree is None or diagnostics:
        return None, diagnostics
    before = Trivia(source, lexed)
    text = render(_Layout(before).file(tree))
    formatted = Source(source.path, text)
    lexed = tokenize(formatted)
    after = Trivia(formatted, lexed)
    # Equal words are an equal tree, which saves the second parse of most files.
    if lexed.errors or after.words != before.words or len(text) > MAX_BYTES:
        same, problems = parse(formatted, lexed)
        if problems and all(problem.code == "E003" for problem in problems):
            message = "the file cannot be formatted: it would then exceed a limit of the language"
            return None, (Diagnostic("E003", message, path=source.path),)
        _require(same == tree, source)
    _require(after.count() == before.count(), source)
    return text, ()


def _require(condition: bool, source: Source) -> None:
    if not condition:
        raise AssertionError(f"formatting {source.path} would change what it says")


def format_file(file: File) -> str:
    """The text of a tree, whatever source it came from; parsing it gives an equal tree."""
    return render(_Layout(None).file(file))


class _Layout:
    """Makes items of a tree, with the trivia of the source that it was parsed from."""

    def __init__(self, trivia: Trivia | None) -> None:
        self._trivia = trivia
        self._unparse = Unparser(trivia.literal) if trivia else Unparser()

    def file(self, file: File) -> tuple[Item, ...]:
        return self._container(file.statements, file.span.end)

    def _container(self, parts: Sequence[_Part], end: int) -> tuple[Item, ...]:
        items: list[Item] = []
        for part in parts:
            items += self._comments(part.span.start)
            items += self._part(part)
        return (*items, *self._comments(end))

    def _comments(self, end: int) -> list[Item]:
        """The comments that have lines of their own before `end`."""
        if self._trivia is None:
            return []
        blank = self._trivia.blank
        return [
            Item("comment", tail=comment.text, blank=blank(comment.start))
            for comment in self._trivia.until(end)
        ]

    def _part(self, part: _Part) -> list[Item]:
        """A statement or setting after the comments from its middle, which move above it."""
        item, inner = self._item(part)
        trivia = self._trivia
        if trivia is None:
            inline = not isinstance(part, Graph | Block)
            body = None if inner is None else self._container(inner, part.span.end)
            return [item._replace(body=body, inline=inline)]
        opening, end = trivia.brace(part.span), part.span.end
        above = trivia.until(end if opening is None else opening)
        if opening is not None and (inner is not None or trivia.any_until(end)):
            comment = trivia.beside(opening + 1)
            body = self._container(inner or (), end - 1)
            inline = not isinstance(part, Graph) and trivia.one_line(opening, end)
            closing = trivia.beside(end)
            item = item._replace(body=body, inline=inline, comment=comment, closing=closing)
        else:
            item = item._replace(comment=trivia.beside(end))
        first, *rest = (*(Item("comment", tail=comment.text) for comment in above), item)
        return [first._replace(blank=trivia.blank(part.span.start)), *rest]

    def _item(self, part: _Part) -> tuple[Item, Sequence[_Part] | None]:
        """A statement or setting without comments, and what its block holds, if it has one."""
        value = self._unparse.value
        match part:
            case Setting():
                return Item("setting", (part.name,), f"= {value(part.value)}"), None
            case Let():
                head = f"let each {part.name}" if part.each else f"let {part.name}"
                return Item("let", (head,), f"= {value(part.value)}"), None
            case Use():
                return Item("use", tail=f"use {value(part.file)}"), None
            case Graph():
                return Item("graph", tail=f"graph {part.name}"), part.statements
            case Block():
                named = part.name if part.subject is None else value(part.subject)
                head = f"{part.kind} {named}" if named else part.kind
                needless = part.kind == "data" and not part.settings
                inner = None if needless else part.settings
                # Only phases stand together often enough to align their braces.
                if part.kind == "phase":
                    return Item("phase", (head,)), inner
                return Item(part.kind, tail=head), inner
            case Node():
                head = f"node {', '.join(self._declared(name) for name in part.names)}"
                return Item("node", (head,), f"= {value(part.network)}"), part.settings or None
            case Target():
                return Item("target", tail=f"target {self._unparse.references(part.names)}"), None
            case ShareStatement():
                names = self._unparse.references(part.names)
                return Item("share", tail=f"share {names}"), part.settings
            case Edge():
                return self._edge(part), None

    def _declared(self, declared: Declared) -> str:
        return declared.name + (f"[{self._unparse.value(declared.size)}]" if declared.size else "")

    def _edge(self, edge: Edge) -> Item:
        """Endpoints, loss and gate in columns, as far as there is one of each."""
        unparse = self._unparse
        cells = [f"edge {unparse.references(edge.sources)}"]
        if edge.arrow:
            cells.append(f"{edge.arrow} {unparse.references(edge.destinations)}")
        if len(edge.terms) > 1:
            if not edge.arrow:
                return Item("edge", tail=f"{cells[0]} :", terms=self._terms(edge))
            return Item("edge", tuple(cells), ":", self._terms(edge))
        for term in edge.terms:
            if term.loss is None or not edge.arrow:
                cells[-1] += (" : " if term.loss else " ") + self._term(term)
                continue
            cells.append(f": {unparse.value(term.loss)}")
            if term.gate:
                cells.append(f"via {unparse.value(term.gate)}")
        *heads, tail = cells
        return Item("edge", tuple(heads), tail)

    def _terms(self, edge: Edge) -> tuple[str, ...]:
        return tuple(self._term(term) for term in edge.terms)

    def _term(self, term: Term) -> str:
        parts = [self._unparse.value(term.loss)] if term.loss else []
        if term.gate:
            parts.append(f"via {self._unparse.value(term.gate)}")
        return " ".join(parts)
