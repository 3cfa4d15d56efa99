"""Values with their names as written, and how messages speak of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.tree import List, Value
from ktgdsl.vocabulary.entry import Entry, Parameters


class NamedValue(NamedTuple):
    """A setting or argument as written: its name, where the name stands, and its value."""

    name: str
    span: Span
    value: Value


def place_of(location: tuple[int | str, ...], items: Mapping[str, NamedValue], span: Span) -> Span:
    """Where the value stands that an error is about."""
    if not location or location[0] not in items:
        return span
    value = items[str(location[0])].value
    if len(location) > 1 and isinstance(value, List) and isinstance(location[1], int):
        return value.items[location[1]].span
    return value.span


def first_name(location: tuple[int | str, ...]) -> str:
    """The parameter that an error of pydantic's is about."""
    return str(location[0]) if location else ""


def named(cls: type[Parameters], name: str, owner: str) -> str:
    """A setting or argument, or all of them, as a phrase in a message."""
    if not name:
        return f"`{owner}`"
    return f"`{name}` of `{owner}`" if issubclass(cls, Entry) else f"`{name}`"


def either(names: Sequence[str]) -> str:
    """Alternatives in a sentence."""
    return " or ".join(f"`{name}`" for name in names)


def with_article(kind: str) -> str:
    """A kind of words in a sentence."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
