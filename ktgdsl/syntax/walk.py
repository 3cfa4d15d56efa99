"""Traversal of a syntax tree."""

from collections.abc import Iterator

from ktgdsl.syntax.node import Syntax, field_names


def walk(node: Syntax) -> Iterator[Syntax]:
    """A node and all its descendants, in the order of the text."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def children(node: Syntax) -> list[Syntax]:
    """The nodes that a node consists of, in the order of the text."""
    inner: list[Syntax] = []
    for name in field_names(node):
        value = getattr(node, name)
        if isinstance(value, Syntax):
            inner.append(value)
        elif isinstance(value, tuple):
            inner.extend(item for item in value if isinstance(item, Syntax))
    return inner
