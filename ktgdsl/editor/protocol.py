"""Answers as the types of the Language Server Protocol."""

from collections.abc import Iterable

from lsprotocol import types as lsp
from pygls.uris import from_fs_path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.editor.completion import Suggestion
from ktgdsl.editor.document import Document
from ktgdsl.editor.fixes import Fix
from ktgdsl.editor.hover import Hover
from ktgdsl.editor.names import Edit
from ktgdsl.editor.positions import Place, Positions
from ktgdsl.editor.symbols import Symbol
from ktgdsl.syntax.tokens import span as span_of_tokens

_COMPLETIONS = {
    "keyword": lsp.CompletionItemKind.Keyword,
    "node": lsp.CompletionItemKind.Variable,
    "let": lsp.CompletionItemKind.Constant,
    "phase": lsp.CompletionItemKind.Event,
    "word": lsp.CompletionItemKind.Function,
    "setting": lsp.CompletionItemKind.Property,
    "argument": lsp.CompletionItemKind.Field,
    "choice": lsp.CompletionItemKind.EnumMember,
    "tap": lsp.CompletionItemKind.Field,
    "file": lsp.CompletionItemKind.File,
}
_SYMBOLS = {
    "graph": lsp.SymbolKind.Class,
    "node": lsp.SymbolKind.Variable,
    "target": lsp.SymbolKind.Key,
    "edge": lsp.SymbolKind.Event,
    "share": lsp.SymbolKind.Object,
    "block": lsp.SymbolKind.Namespace,
    "phase": lsp.SymbolKind.Namespace,
    "let": lsp.SymbolKind.Constant,
    "use": lsp.SymbolKind.Module,
    "setting": lsp.SymbolKind.Property,
}
_SEVERITIES = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning}


class Converter:
    """Converts answers about one document, whose address is `uri`, in a client's encoding."""

    def __init__(self, document: Document, uri: str, encoding: str) -> None:
        self._document, self._uri, self._encoding = document, uri, encoding
        self._positions = {document.source.path: Positions(document.source.text, encoding)}

    def offset(self, position: lsp.Position) -> int:
        """The offset of a position in the document."""
        own = self._positions[self._document.source.path]
        return own.offset(position.line, position.character)

    def range(self, span: Span) -> lsp.Range:
        """The range of a span of the document or of a file that it uses."""
        start, end = self._positions_of(span.path).range(span)
        return lsp.Range(_position(start), _position(end))

    def location(self, span: Span) -> lsp.Location:
        """A span with the address of its file."""
        return lsp.Location(self._address(span.path), self.range(span))

    def diagnostics(self) -> list[lsp.Diagnostic]:
        """The diagnostics of `ktgc check`; those of an included file are at its `use`."""
        return [self.diagnostic(each) for each in self._document.compiled.diagnostics]

    def diagnostic(self, diagnostic: Diagnostic) -> lsp.Diagnostic:
        """A diagnostic with its help in the message, and with its labels as related places."""
        own = self._document.source.path
        labels = list(diagnostic.labels)
        related = [
            lsp.DiagnosticRelatedInformation(self.location(each.span), each.text) for each in labels
        ]
        span = diagnostic.span
        if span is not None and span.path != own:
            here = lsp.DiagnosticRelatedInformation(self.location(span), "here")
            related.insert(0, here)
            used = [each.span for each in labels if each.span.path == own]
            span = next(iter(used), None)
        message = diagnostic.message
        if diagnostic.help is not None:
            message += f"\nhelp: {diagnostic.help}"
        return lsp.Diagnostic(
            range=self.range(span or self._top()),
            message=message,
            severity=_SEVERITIES[diagnostic.severity],
            code=diagnostic.code,
            source="ktgc",
            related_information=related or None,
        )

    def _top(self) -> Span:
        """The place of what has none in the document: its first `use`, or else its first word."""
        tokens, path = self._document.tokens, self._document.source.path
        first = next((t for t in tokens if t.type == "USE"), tokens[0] if tokens else None)
        return Span(path, 0, 0) if first is None else span_of_tokens(path, first, first)

    def hover(self, hover: Hover) -> lsp.Hover:
        """A hover in Markdown."""
        content = lsp.MarkupContent(lsp.MarkupKind.Markdown, hover.markdown)
        return lsp.Hover(content, self.range(hover.span))

    def edits(self, edits: Iterable[Edit]) -> lsp.WorkspaceEdit:
        """Edits of the document."""
        return lsp.WorkspaceEdit(changes={self._uri: list(map(self.edit, edits))})

    def edit(self, edit: Edit) -> lsp.TextEdit:
        """One edit of the document."""
        return lsp.TextEdit(self.range(edit.span), edit.text)

    def fix(self, fix: Fix) -> lsp.CodeAction:
        """A quick fix of a diagnostic."""
        return lsp.CodeAction(
            title=fix.title,
            kind=lsp.CodeActionKind.QuickFix,
            diagnostics=[self.diagnostic(fix.diagnostic)],
            is_preferred=True,
            edit=self.edits([fix.edit]),
        )

    def symbol(self, symbol: Symbol) -> lsp.DocumentSymbol:
        """A part of the outline with its own parts."""
        return lsp.DocumentSymbol(
            name=symbol.name,
            kind=_SYMBOLS[symbol.kind],
            detail=symbol.detail or None,
            range=self.range(symbol.span),
            selection_range=self.range(symbol.name_span),
            children=[self.symbol(each) for each in symbol.inner] or None,
        )

    def _positions_of(self, path: str) -> Positions:
        if path not in self._positions:
            text = self._document.compiled.sources.get(path, Source(path, "")).text
            self._positions[path] = Positions(text, self._encoding)
        return self._positions[path]

    def _address(self, path: str) -> str:
        own = path == self._document.source.path
        return self._uri if own else from_fs_path(path) or self._uri


def suggestion(position: int, each: Suggestion) -> lsp.CompletionItem:
    """Something to write, shown in the order of the positions."""
    text = lsp.MarkupContent(lsp.MarkupKind.Markdown, each.documentation)
    return lsp.CompletionItem(
        label=each.label,
        kind=_COMPLETIONS[each.kind],
        detail=each.detail or None,
        documentation=text if each.documentation else None,
        insert_text=each.text or None,
        sort_text=f"{position:04}",
    )


def _position(place: Place) -> lsp.Position:
    return lsp.Position(place.line, place.character)
