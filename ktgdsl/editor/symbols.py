"""The outline of a spec: its blocks, and in a graph the nodes and edges."""

from typing import Literal, NamedTuple

from ktgdsl.diagnostics.source import Span
from ktgdsl.editor.document import Document
from ktgdsl.syntax.tree import (
    Block,
    Edge,
    Graph,
    GraphStatement,
    Let,
    Node,
    Setting,
    ShareStatement,
    Statement,
    Target,
    Use,
)
from ktgdsl.syntax.unparse import Unparser

Kind = Literal[
    "graph", "node", "target", "edge", "share", "block", "phase", "let", "use", "setting"
]


class Symbol(NamedTuple):
    """A part of a spec: `span` is all of it, `name_span` what to show when it is chosen."""

    name: str
    kind: Kind
    detail: str
    span: Span
    name_span: Span
    inner: tuple["Symbol", ...] = ()


def symbols(document: Document) -> list[Symbol]:
    """The sound statements of a text, in order."""
    tree = document.tree
    return [_of_statement(each) for each in tree.statements] if tree is not None else []


_spell = Unparser()


def _of_statement(statement: Statement) -> Symbol:
    span = statement.span
    match statement:
        case Graph():
            inner = tuple(s for member in statement.statements for s in _of_member(member))
            return Symbol(f"graph {statement.name}", "graph", "", span, _head(span, "graph"), inner)
        case Block(kind=kind, subject=subject):
            detail = _spell.value(subject) if subject is not None else ""
            name = f"phase {statement.name}" if statement.name else kind
            symbol_kind: Kind = "phase" if kind == "phase" else "block"
            inner = tuple(map(_of_setting, statement.settings))
            return Symbol(name, symbol_kind, detail, span, _head(span, kind), inner)
        case Let():
            value = _spell.value(statement.value)
            return Symbol(statement.name, "let", value, span, statement.name_span)
        case Use():
            return Symbol(f"use {statement.file.value}", "use", "", span, statement.file.span)


def _of_member(member: GraphStatement) -> list[Symbol]:
    span = member.span
    match member:
        case Node():
            network, inner = _spell.value(member.network), tuple(map(_of_setting, member.settings))
            return [
                Symbol(each.name, "node", network, each.span, each.span, inner)
                for each in member.names
            ]
        case Target():
            names = _spell.references(member.names)
            return [Symbol(f"target {names}", "target", "", span, _head(span, "target"))]
        case ShareStatement():
            names = _spell.references(member.names)
            return [Symbol(f"share {names}", "share", "", span, _head(span, "share"))]
        case Edge():
            name = _spell.references(member.sources)
            if member.arrow:
                name = f"{name} {member.arrow} {_spell.references(member.destinations)}"
            return [Symbol(name, "edge", "", span, _head(span, "edge"))]
    return []


def _of_setting(setting: Setting) -> Symbol:
    value = _spell.value(setting.value)
    return Symbol(setting.name, "setting", value, setting.span, setting.name_span)


def _head(span: Span, keyword: str) -> Span:
    return span._replace(end=span.start + len(keyword))
