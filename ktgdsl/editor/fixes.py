"""Quick fixes: the corrections that diagnostics suggest, each tried before it is offered."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.editor.document import Document
from ktgdsl.editor.names import Edit, edited

_MEANT = re.compile(r"(?:did you mean|leave the quotes out:) [`\"]([^`\"]+)[`\"]")
_QUOTED = re.compile(r"`([^`]+)`")


class Fix(NamedTuple):
    """An edit that removes a diagnostic."""

    title: str
    diagnostic: Diagnostic
    edit: Edit


def fixes(document: Document, start: int, end: int) -> list[Fix]:
    """The corrections of what is wrong between two places."""
    path = document.source.path
    here = [
        each
        for each in document.compiled.diagnostics
        if (s := each.span) and s.path == path and s.start <= end and start <= s.end
    ]
    return [fix for each in here if (fix := _fix(document, each)) is not None]


def _fix(document: Document, diagnostic: Diagnostic) -> Fix | None:
    """The first edit in the sense of the help text after which the diagnostic is gone."""
    found = _MEANT.match(diagnostic.help or "")
    if found is None:
        return None
    for edit in _edits(document, diagnostic, found[1]):
        if _removes(edit, document, diagnostic):
            return Fix(f"Change to `{edit.text}`", diagnostic, edit)
    return None


def _edits(document: Document, diagnostic: Diagnostic, meant: str) -> Iterator[Edit]:
    """The edits that a help text may mean: a new name inside of the place, or in place of it."""
    span = diagnostic.span
    assert span is not None
    text = document.text(span)
    for wrong in _QUOTED.findall(diagnostic.message):
        for at in re.finditer(rf"(?<!\w){re.escape(wrong)}(?!\w)", text):
            begin = span.start + at.start()
            yield Edit(span._replace(start=begin, end=begin + len(wrong)), meant)
    yield Edit(span, f'"{meant}"' if text.startswith('"') and "/" in meant else meant)


def _removes(edit: Edit, document: Document, diagnostic: Diagnostic) -> bool:
    """Whether a diagnostic is said less often after an edit, and there are no more errors."""
    changed = replace(document, source=edited(document.source, [edit]))
    before, after = document.compiled.diagnostics, changed.compiled.diagnostics
    return _said(diagnostic, after) < _said(diagnostic, before) and _errors(after) <= _errors(
        before
    )


def _said(diagnostic: Diagnostic, found: Sequence[Diagnostic]) -> int:
    return sum(each.message == diagnostic.message for each in found)


def _errors(found: Sequence[Diagnostic]) -> int:
    return sum(each.severity == "error" for each in found)
