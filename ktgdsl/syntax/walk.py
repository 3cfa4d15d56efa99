"""Traversal of a syntax tree."""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from ktgdsl.syntax.tree import Syntax


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
    cls: Any = type(node)
    for name in _field_names(cls):
        value = getattr(node, name)
        if isinstance(value, Syntax):
            inner.append(value)
        elif isinstance(value, tuple):
            inner.extend(item for item in value if isinstance(item, Syntax))
    return inner


@cache
def _field_names(cls: type[Any]) -> list[str]:
    """The fields that may hold nodes."""
    return [field.name for field in fields(cls) if field.compare]
