"""The words of a file that its tree lacks because of syntax errors: they may be declarations."""

import re

from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.tree import File, Graph

_WORD = re.compile(r"#[^\n]*|[A-Za-z_][A-Za-z0-9_]*")


def unparsed_words(source: Source, file: File) -> frozenset[str]:
    """All words of the text that no statement of the tree covers, comments left out.

    A name among them may well be declared there.
    """
    words: set[str] = set()
    end = 0
    for start, stop in [*_covered(source, file), (len(source.text), len(source.text))]:
        words.update(_WORD.findall(source.text, end, max(start, end)))
        end = max(end, stop)
    return frozenset(word for word in words if not word.startswith("#"))


def _covered(source: Source, file: File) -> list[tuple[int, int]]:
    """The places of the statements in order; of a graph, those of its head and its members."""
    spans = []
    for statement in file.statements:
        start, end = statement.span.start, statement.span.end
        if isinstance(statement, Graph):
            spans += [(part.span.start, part.span.end) for part in statement.statements]
            end = source.text.find("{", start) + 1
        spans.append((start, end))
    return sorted(spans)
