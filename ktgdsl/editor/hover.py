"""Hover: the documentation of the name at a place, and what it resolves to."""

from typing import NamedTuple

from lark import Token

from ktgdsl.diagnostics.source import Span
from ktgdsl.editor import documentation, resolved
from ktgdsl.editor.document import Document
from ktgdsl.editor.mentions import Mention
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.syntax.tokens import end_offset, span, start_offset

_OF_EDGES = frozenset(("EDGE", "ARROW", "BOTH", "VIA", "COLON", "STAR", "LABEL"))


class Hover(NamedTuple):
    """Markdown about what stands at a place."""

    span: Span
    markdown: str


def hover(document: Document, offset: int) -> Hover | None:
    """The hover at a place; None if there is nothing to show."""
    mention, token = document.mention_at(offset), _token_at(document, offset)
    parts: list[str] = []
    place = None
    if mention is not None:
        place, parts = mention.span, _of_mention(document, mention)
    elif token is not None:
        place, parts = span(document.source.path, token, token), _of_token(document, token, offset)
    here = [
        each
        for each in document.compiled.diagnostics
        if (s := each.span) and s.path == document.source.path and s.start <= offset <= s.end
    ]
    parts += [documentation.code(code) for code in dict.fromkeys(each.code for each in here)]
    if not any(parts):
        return None
    place = place or next(each.span for each in here if each.span)
    return Hover(place, "\n\n---\n\n".join(filter(None, parts)))


def _token_at(document: Document, offset: int) -> Token | None:
    around = (t for t in document.tokens if start_offset(t) <= offset <= end_offset(t))
    return max(around, key=start_offset, default=None)


def _of_mention(document: Document, mention: Mention) -> list[str]:
    name, owner = mention.name, mention.owner
    match mention.role:
        case "node":
            return [f"**{name}**, a node\n\n{resolved.node_text(document, name)}"]
        case "let":
            return [resolved.let_text(document, name)]
        case "phase":
            return [f"**{name}**, a phase\n\n{resolved.phase_text(document, name)}"]
        case "word":
            return [documentation.word(owner, name)]
        case "setting":
            text = documentation.setting(owner, name)
            here = resolved.setting_text(document, owner, name)
            return ["\n\n".join(filter(None, [text, here]))]
        case "argument":
            kind, _, word = owner.partition(":")
            return [documentation.argument(kind, word, name)]
        case "choice":
            return [_of_choice(owner)]
        case "graph":
            return [f"**{name}**, a graph\n\n{resolved.graph_text(document)}"]
        case "tap":
            return [f"**{name}**, a place inside {_inside(owner)}"]
        case "head":
            return [f"**{name}**, a label, and the head of a network that answers it"]
    return []


def _inside(node: str) -> str:
    return f"of `{node}`" if node else "of a network"


def _of_choice(owner: str) -> str:
    """The documentation of the setting or argument that a word is a value of."""
    of, _, name = owner.rpartition(".")
    kind, colon, word = of.partition(":")
    return documentation.argument(kind, word, name) if colon else documentation.setting(of, name)


def _of_token(document: Document, token: Token, offset: int) -> list[str]:
    parts = []
    if token.type in _OF_EDGES:
        parts.append(resolved.edge_text(document, offset))
    if token.type in RESERVED:
        parts.append(documentation.keyword(token.value))
    return parts
