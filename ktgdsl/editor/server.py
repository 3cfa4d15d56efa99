"""The language server: documents that an editor has open, and its requests about them."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from io import BufferedWriter
from pathlib import Path
from typing import Protocol, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.editor import names
from ktgdsl.editor.completion import complete
from ktgdsl.editor.document import Document
from ktgdsl.editor.fixes import fixes
from ktgdsl.editor.hover import hover
from ktgdsl.editor.names import Edit, Refused
from ktgdsl.editor.protocol import Converter, suggestion
from ktgdsl.editor.symbols import symbols
from ktgdsl.syntax.format import format_source

_PAUSE = 0.05
"""Seconds without a keystroke after which a text is checked."""

_T = TypeVar("_T")


class _Asked(Protocol):
    """A request about a place in a text."""

    text_document: lsp.TextDocumentIdentifier
    position: lsp.Position


class KtgServer(LanguageServer):
    """Answers an editor. A text is looked at once for each of its versions."""

    def __init__(self, version: str, root: str | None = None, *, pedantic: bool = False) -> None:
        # Whole texts, because pygls takes U+2028 and form feeds for ends of lines, as no editor
        # does, and would put later changes into the wrong line.
        full = lsp.TextDocumentSyncKind.Full
        super().__init__("ktgc", version, text_document_sync_kind=full)
        self._root, self._pedantic = root, pedantic
        self._documents: dict[str, Document] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def document(self, uri: str) -> Document:
        """The present version of a text that is open, or the file at an address."""
        if uri not in self._documents:
            self._documents[uri] = self._read(uri)
        return self._documents[uri]

    def open(self) -> list[Document]:
        """All texts that are open."""
        return [self.document(each.uri) for each in self.workspace.text_documents.values()]

    def _read(self, uri: str) -> Document:
        text = self.workspace.get_text_document(uri)
        path = to_fs_path(uri)
        folder = Path(path).parent if path else Path(self.workspace.root_path or Path.cwd())
        try:
            source = text.source
        except (OSError, ValueError):  # a file that is not open and has gone, or is no text
            source = ""
        return Document(Source(path or uri, source), folder, self._root, self._pedantic)

    def converter(self, uri: str) -> Converter:
        """The converter of answers about a document."""
        encoding = self.workspace.position_encoding or lsp.PositionEncodingKind.Utf16
        return Converter(self.document(uri), uri, str(getattr(encoding, "value", encoding)))

    def check_soon(self, uri: str) -> None:
        """Publish the diagnostics of a text, when its writer pauses."""
        self.forget(uri)
        loop = asyncio.get_running_loop()
        self._waiting[uri] = loop.call_later(_PAUSE, partial(self.check, uri))

    def check(self, uri: str) -> None:
        """Publish the diagnostics of a text that is open."""
        self._waiting.pop(uri, None)
        found = self.converter(uri).diagnostics()
        version = self.workspace.get_text_document(uri).version
        self.publish(uri, found, version)

    def publish(self, uri: str, found: list[lsp.Diagnostic], version: int | None = None) -> None:
        """Send diagnostics to the editor."""
        params = lsp.PublishDiagnosticsParams(uri=uri, diagnostics=found, version=version)
        self.text_document_publish_diagnostics(params)

    def forget(self, uri: str) -> None:
        """Drop what is known of the last version of a text."""
        self._documents.pop(uri, None)
        if waiting := self._waiting.pop(uri, None):
            waiting.cancel()

    def check_all(self) -> None:
        """Check every text that is open again, since a file that it uses may have changed."""
        for document in list(self.workspace.text_documents.values()):
            self.check_soon(document.uri)


def serve(version: str, root: str | None = None, *, pedantic: bool = False) -> None:
    """Talk to an editor over standard input and output until it hangs up.

    Whatever else is printed in this process goes to standard error.
    """
    # Not what pygls warns of: that a request was cancelled after its answer is usual.
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_our_fault)
    collect_rarely()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    assert isinstance(out, BufferedWriter)
    server(version, root, pedantic=pedantic).start_io(stdout=out)


def collect_rarely() -> None:
    """Let the garbage collector look seldom, and not at what was imported, which stays.

    A check makes tens of thousands of objects, of which nearly all are freed without it: else a
    sixth of the time is the collector's, and a look at a quarter of that many takes as long as half
    a check.
    """
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)


def server(version: str, root: str | None = None, *, pedantic: bool = False) -> KtgServer:
    """A server with all that it answers."""
    made = KtgServer(version, root, pedantic=pedantic)
    for register in (_follow_texts, _answer_places, _answer_names, _answer_texts):
        register(made)
    return made


def _follow_texts(server: KtgServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: lsp.DidOpenTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: lsp.DidChangeTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: lsp.DidCloseTextDocumentParams) -> None:
        server.forget(params.text_document.uri)
        server.publish(params.text_document.uri, [])

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def did_save(params: lsp.DidSaveTextDocumentParams) -> None:
        server.check_all()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_files(params: lsp.DidChangeWatchedFilesParams) -> None:
        server.check_all()


def _answer_places(server: KtgServer) -> None:
    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION,
        lsp.CompletionOptions(trigger_characters=[".", "=", ":", "(", "[", ",", "|", '"', "/"]),
    )
    def completion(params: lsp.CompletionParams) -> list[lsp.CompletionItem]:
        found = _at(server, params, complete)
        return [suggestion(position, each) for position, each in enumerate(found)]

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        found = _at(server, params, hover)
        return None if found is None else server.converter(params.text_document.uri).hover(found)

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def definition(params: lsp.DefinitionParams) -> list[lsp.Location]:
        return _locations(server, params, _at(server, params, names.definition))

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlight(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
        converter = server.converter(params.text_document.uri)
        found = _at(server, params, names.highlights)
        return [lsp.DocumentHighlight(converter.range(each)) for each in found]


def _answer_names(server: KtgServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        wanted = partial(names.references, declarations=params.context.include_declaration)
        return _locations(server, params, _at(server, params, wanted))

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare_rename(params: lsp.PrepareRenameParams) -> lsp.Range:
        found = _unless_refused(_at(server, params, partial(names.renamable, others=server.open())))
        return server.converter(params.text_document.uri).range(found.span)

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    def rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        wanted = partial(names.rename, new=params.new_name, others=server.open())
        edits = _at(server, params, wanted)
        return server.converter(params.text_document.uri).edits(_unless_refused(edits))


def _answer_texts(server: KtgServer) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def document_symbol(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        uri = params.text_document.uri
        return [server.converter(uri).symbol(each) for each in symbols(server.document(uri))]

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        uri = params.text_document.uri
        source = server.document(uri).source
        text, _ = format_source(source)
        if text is None or text == source.text.replace("\r\n", "\n"):
            return []  # how lines end is the editor's business
        whole = Edit(Span(source.path, 0, len(source.text)), text)
        return [server.converter(uri).edit(whole)]

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix]),
    )
    def code_action(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        uri = params.text_document.uri
        converter = server.converter(uri)
        start, end = converter.offset(params.range.start), converter.offset(params.range.end)
        return [converter.fix(each) for each in fixes(server.document(uri), start, end)]


def _at(
    server: KtgServer,
    params: _Asked,
    find: Callable[[Document, int], _T],
) -> _T:
    """The result of `find` for the place that a request is about."""
    uri = params.text_document.uri
    return find(server.document(uri), server.converter(uri).offset(params.position))


def _locations(server: KtgServer, params: _Asked, spans: list[Span]) -> list[lsp.Location]:
    converter = server.converter(params.text_document.uri)
    return [converter.location(each) for each in spans]


def _unless_refused(found: _T | Refused) -> _T:
    """The result. Raises the error that an editor shows if the request was refused."""
    if isinstance(found, Refused):
        raise _RefusedError(found.reason)
    return found


class _RefusedError(JsonRpcException):
    """A refused request; the message says why."""

    CODE = lsp.LSPErrorCodes.RequestFailed.value


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Whether a record is no refusal, of which nobody needs the traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], _RefusedError))
