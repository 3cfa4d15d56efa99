"""Tree to text, in one layout: with the comments of its source, or without."""

from collections.abc import Sequence

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.comments import Remarks
from ktgdsl.syntax.layout import Item, render
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.syntax.spelling import Speller
from ktgdsl.syntax.tokens import tokenize
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

_Part = Statement | GraphStatement | Setting


def format_source(source: Source) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The text of a file in the one layout, with all its comments; or why there is none.

    A file that does not parse has none, nor one whose text would exceed a limit of the
    language. Raises AssertionError if the new text said anything else than the old, or a
    comment were lost: that would be a mistake of ours.
    """
    words = tokenize(source)
    tree, diagnostics = parse(source, words)
    if tree is None or diagnostics:
        return None, diagnostics
    remarks = Remarks(source, words[0])
    text = render(_Layout(remarks).file(tree))
    again = Source(source.path, text)
    words = tokenize(again)
    found = Remarks(again, words[0])
    # Equal words are an equal tree, which saves the second parse of most files.
    if words[1] or found.words != remarks.words or len(text) > MAX_BYTES:
        same, problems = parse(again, words)
        if problems and all(problem.code == "E003" for problem in problems):
            message = "the file cannot be formatted: it would then exceed a limit of the language"
            return None, (Diagnostic("E003", message, path=source.path),)
        _require(same == tree, source)
    _require(found.count() == remarks.count(), source)
    return text, ()


def _require(condition: bool, source: Source) -> None:
    if not condition:
        raise AssertionError(f"formatting {source.path} would change what it says")


def format_file(file: File) -> str:
    """The text of a tree, whatever source it came from; parsing it gives an equal tree."""
    return render(_Layout(None).file(file))


class _Layout:
    """Makes items of a tree, with the remarks of the source that it was parsed from."""

    def __init__(self, remarks: Remarks | None) -> None:
        self._remarks = remarks
        self._spell = Speller(remarks.literal) if remarks else Speller()

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
        if self._remarks is None:
            return []
        blank = self._remarks.blank
        return [
            Item("comment", tail=comment.text, blank=blank(comment.start))
            for comment in self._remarks.until(end)
        ]

    def _part(self, part: _Part) -> list[Item]:
        """A statement or setting after the comments from its middle, which move above it."""
        item, inner = self._item(part)
        remarks = self._remarks
        if remarks is None:
            inline = not isinstance(part, Graph | Block)
            body = None if inner is None else self._container(inner, part.span.end)
            return [item._replace(body=body, inline=inline)]
        opening, end = remarks.brace(part.span), part.span.end
        above = remarks.until(end if opening is None else opening)
        if opening is not None and (inner is not None or remarks.any_until(end)):
            comment = remarks.beside(opening + 1)
            body = self._container(inner or (), end - 1)
            inline = not isinstance(part, Graph) and remarks.one_line(opening, end)
            closing = remarks.beside(end)
            item = item._replace(body=body, inline=inline, comment=comment, closing=closing)
        else:
            item = item._replace(comment=remarks.beside(end))
        first, *rest = (*(Item("comment", tail=comment.text) for comment in above), item)
        return [first._replace(blank=remarks.blank(part.span.start)), *rest]

    def _item(self, part: _Part) -> tuple[Item, Sequence[_Part] | None]:
        """A statement or setting without comments, and what its block holds, if it has one."""
        value = self._spell.value
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
                return Item("target", tail=f"target {self._spell.references(part.names)}"), None
            case ShareStatement():
                names = self._spell.references(part.names)
                return Item("share", tail=f"share {names}"), part.settings
            case Edge():
                return self._edge(part), None

    def _declared(self, declared: Declared) -> str:
        return declared.name + (f"[{self._spell.value(declared.size)}]" if declared.size else "")

    def _edge(self, edge: Edge) -> Item:
        """Endpoints, loss and gate in columns, as far as there is one of each."""
        spell = self._spell
        cells = [f"edge {spell.references(edge.sources)}"]
        if edge.arrow:
            cells.append(f"{edge.arrow} {spell.references(edge.destinations)}")
        if len(edge.terms) > 1:
            if not edge.arrow:
                return Item("edge", tail=f"{cells[0]} :", terms=self._terms(edge))
            return Item("edge", tuple(cells), ":", self._terms(edge))
        for term in edge.terms:
            if term.loss is None or not edge.arrow:
                cells[-1] += (" : " if term.loss else " ") + self._term(term)
                continue
            cells.append(f": {spell.value(term.loss)}")
            if term.gate:
                cells.append(f"via {spell.value(term.gate)}")
        *heads, tail = cells
        return Item("edge", tuple(heads), tail)

    def _terms(self, edge: Edge) -> tuple[str, ...]:
        return tuple(self._term(term) for term in edge.terms)

    def _term(self, term: Term) -> str:
        parts = [self._spell.value(term.loss)] if term.loss else []
        if term.gate:
            parts.append(f"via {self._spell.value(term.gate)}")
        return " ".join(parts)
