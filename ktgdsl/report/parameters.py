"""Parameters and settings in words: what they take, and what they are unless given."""

from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ktgdsl.language.complaint import quoted
from ktgdsl.vocabulary.entry import Entry, PositiveMoment, Share
from ktgdsl.vocabulary.places import NodeRef, PhaseRef, Tap

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
    frozenset((float, Share)): "a number of epochs, or a percentage of the steps",
    frozenset((int, Share)): "a number of samples, or a percentage of them",
}
_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_AFTER_THE_START = PositiveMoment.__metadata__[0]  # type: ignore[attr-defined]


def takes(field: FieldInfo) -> str:
    """The type and range of a parameter, such as "a number, greater than 0"."""
    return _type(field.annotation, field.metadata)


def _type(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        metadata = [*inner, *metadata]
    limits = [*_limits(metadata)]
    if get_origin(annotation) is list:
        lengths = f", {_joined(_lengths(metadata))}" if [*_lengths(metadata)] else ""
        return f"a list{lengths}, each item {_type(get_args(annotation)[0])}"
    return ", ".join(filter(None, [_base(annotation), _joined(limits)]))


def _base(annotation: Any) -> str:
    alternatives = [annotation]
    if get_origin(annotation) in (Union, UnionType):
        alternatives = [each for each in get_args(annotation) if each is not NoneType]
    if len(alternatives) > 1:
        told = _SHARES.get(frozenset(alternatives))
        return told or " or ".join(_type(each) for each in alternatives)
    (one,) = alternatives
    if get_origin(one) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(one))
    if isinstance(one, type) and issubclass(one, Entry):
        return f"an {one.kind}" if one.kind[0] in "aeiou" else f"a {one.kind}"
    return _PLAIN[one] if one in _PLAIN else _type(one)


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _flat(each.metadata)
        else:
            yield each


def _limits(metadata: Iterable[Any]) -> Iterator[str]:
    for each in _flat(metadata):
        if each == _AFTER_THE_START:
            yield "greater than 0"
        for name, words in _BOUNDS.items():
            if (bound := getattr(each, name, None)) is not None:
                yield f"{words} {bound}"


def _lengths(metadata: Iterable[Any]) -> Iterator[str]:
    for each in _flat(metadata):
        for name, words in (("min_length", "at least"), ("max_length", "at most")):
            if (bound := getattr(each, name, None)) is not None:
                yield f"{words} {bound} long"


def _joined(limits: Iterable[str]) -> str:
    return " and ".join(limits)


def default(field: FieldInfo) -> str | None:
    """The value that a parameter has unless given, as a spec writes it; None if it has none."""
    if field.is_required():
        return None
    return told(field.get_default(call_default_factory=True, validated_data={}))


def told(value: object) -> str:
    """A value as a spec writes it; words that stand for themselves without quotes."""
    match value:
        case None:
            return "none"
        case Entry():
            return str(value.call())
        case str():
            return value
        case float():
            return repr(value).removesuffix(".0")
    return quoted(value)
