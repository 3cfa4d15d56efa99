"""The place in a spec of what a diagnostic is about: a node's network, a tap, or an edge."""

from collections.abc import Iterable

from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.tree import (
    Block,
    CallExpression,
    Choice,
    Edge,
    File,
    Node,
    Number,
    Reference,
    String,
    Value,
)
from ktgdsl.syntax.walk import walk
from ktgdsl.vocabulary.call import BEFORE_RELU


def span_of(tree: File, subject: Subject) -> Span | None:
    """The statement of an edge, the place of a tap in one, the network of a node, or a setting."""
    statements = tree.graph.statements if tree.graph else ()
    edges = [each for each in statements if isinstance(each, Edge)]
    if subject.edge is not None:
        return _edge_span(edges, *subject.edge)
    if subject.block:
        return _block_span(tree, subject.block, subject.setting)
    if subject.tap:
        for part in (part for edge in edges for part in walk(edge)):
            if isinstance(part, Reference) and _names([part], f"{subject.node}.{subject.tap}"):
                return part.span
    return _node_span(tree, subject.node, subject.setting)


def _block_span(tree: File, kind: str, setting: str) -> Span | None:
    """The setting in a block of this kind; the block, or what it is of, where it is not written."""
    blocks = [each for each in tree.statements if isinstance(each, Block) and each.kind == kind]
    found = [each.span for block in blocks for each in block.settings if each.name == setting]
    found += [(block.subject or block).span for block in blocks]
    return next(iter(found), None)


def _edge_span(edges: list[Edge], source: str, destination: str) -> Span | None:
    """The last statement that may be about a pair, as a later one replaces an earlier."""
    for edge in reversed(edges):
        pairs = [(edge.sources, edge.destinations)]
        if edge.arrow is None:  # a unary term, of an edge without a source
            pairs = [((), edge.sources)]
        elif edge.arrow == "<->":
            pairs.append((edge.destinations, edge.sources))
        for sources, destinations in pairs:
            from_it = _names(sources, source) if source else not sources
            if from_it and _names(destinations, destination):
                return edge.span
    return None


def _names(references: Iterable[Reference], endpoint: str) -> bool:
    """Whether one of the references may stand for an endpoint, such as `p[0].stage2`."""
    node, _, tap = endpoint.partition(".")
    name, _, index = node.partition("[")
    for reference in references:
        is_it = reference.name == name or (reference.name == "*" and name != "label")
        if isinstance(reference.index, Number):
            is_it = is_it and str(reference.index.value) == index.rstrip("]")
        if is_it and _may_be(reference.tap, tap.strip('"')):
            return True
    return False


def _may_be(value: Value | None, tap: str) -> bool:
    """Whether a tap as it is written may be the one of that name, which is empty for none."""
    match value:
        case None:
            return not tap
        case String():
            return value.value == tap
        case CallExpression():
            return value.name == tap
        case Reference():
            return tap == f"{value.name}{BEFORE_RELU}"
        case Choice():
            return any(_may_be(option, tap) for option in value.options)
    return False


def _node_span(tree: File, node: str, setting: str) -> Span | None:
    """The setting, or else the network, in the statement that declares a node or its array."""
    base = node.partition("[")[0]
    for statement in tree.graph.statements if tree.graph else ():
        if isinstance(statement, Node) and any(each.name == base for each in statement.names):
            found = (each.span for each in statement.settings if each.name == setting)
            return next(found, statement.network.span)
    return None
