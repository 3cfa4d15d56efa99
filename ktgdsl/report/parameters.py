"""Parameters and settings in words: what they take, and what they are unless given."""

from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.vocabulary.call import shown
from ktgdsl.vocabulary.entry import Entry, Percentage, PositiveMoment
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap

_PLAIN: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    NodeRef: "a node",
    Tap: "a place inside a network",
    PhaseRef: "a phase",
}
_SHARES: dict[frozenset[object], str] = {
    frozenset((float, Percentage)): "a number of epochs, or a percentage of the steps",
    frozenset((int, Percentage)): "a number of samples, or a percentage of them",
}
_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_AFTER_THE_START = get_args(PositiveMoment)[1]


def takes(field: FieldInfo) -> str:
    """The type and range of a parameter, such as "a number, greater than 0"."""
    return _type(field.annotation, field.metadata)


def default(field: FieldInfo) -> str | None:
    """The value of a parameter unless given, as a spec writes it; None where there is none."""
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case Entry():
            return str(value.call())
        case str():
            return value  # a word among several: no setting has a string as its default
        case float():
            return shown(value)
    return None if value is None or field.is_required() else quoted(value)


def _type(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        metadata = [*inner, *metadata]
    limits = list(_flat(metadata))
    if get_origin(annotation) is list:
        return f"a list{_length(limits)}, each {_type(get_args(annotation)[0])}"
    limited = " and ".join(_bounds(limits))
    return ", ".join(filter(None, [_base(annotation), limited]))


def _base(annotation: Any) -> str:
    """The type without its range; that something may be left out is no part of it."""
    if get_origin(annotation) in (Union, UnionType):
        alternatives = [each for each in get_args(annotation) if each is not NoneType]
        if len(alternatives) > 1:
            return _SHARES[frozenset(alternatives)]
        annotation = alternatives[0]
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if get_origin(annotation) is Literal:
        return one_of(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return a(annotation.kind)
    return _type(annotation)


def a(kind: str) -> str:
    """A kind of words with its article."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def one_of(words: Iterable[str]) -> str:
    """The words in a sentence, the last after "or"."""
    *others, last = [f"`{word}`" for word in words]
    return f"{', '.join(others)} or {last}" if others else last


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _flat(each.metadata)
        else:
            yield each


def _bounds(limits: Iterable[Any]) -> Iterator[str]:
    for limit in limits:
        if limit == _AFTER_THE_START:
            yield "greater than 0"
        for name, words in _BOUNDS.items():
            if hasattr(limit, name):
                yield f"{words} {getattr(limit, name)}"


def _length(limits: Iterable[Any]) -> str:
    least = [limit.min_length for limit in limits if hasattr(limit, "min_length")]
    most = [limit.max_length for limit in limits if hasattr(limit, "max_length")]
    if least == most:
        return f" of {least[0]}" if least else ""
    return f" of {least[0]} or more" if not most else f" of {(least or [0])[0]} to {most[0]}"
