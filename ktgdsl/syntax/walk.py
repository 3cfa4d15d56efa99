"""Going through a tree."""

from collections.abc import Iterator
from functools import cache

from ktgdsl.syntax.tree import Syntax


def walk(part: Syntax) -> Iterator[Syntax]:
    """A part of the tree and everything in it, in the order of the text."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(children(part)))


def children(part: Syntax) -> list[Syntax]:
    """The parts that a part consists of, in the order of the text."""
    inner: list[Syntax] = []
    for name in _names(type(part)):
        value = getattr(part, name)
        if isinstance(value, Syntax):
            inner.append(value)
        elif isinstance(value, tuple):
            inner.extend(item for item in value if isinstance(item, Syntax))
    return inner


@cache
def _names(part: type[Syntax]) -> list[str]:
    """The fields that may hold parts."""
    return [name for name in part.model_fields if name != "kind" and not name.endswith("span")]
