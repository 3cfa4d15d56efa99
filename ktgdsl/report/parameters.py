"""Parameters and settings in words: the type and range of their values, and their defaults."""

from collections.abc import Iterable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ktgdsl.lowering.named_values import with_article
from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.vocabulary.call import format_number
from ktgdsl.vocabulary.entry import Entry, Epochs, Percentage, PositiveMoment, StepCount
from ktgdsl.vocabulary.gates import Ramp
from ktgdsl.vocabulary.refs import HeadRef, NodeRef, PhaseRef, Tap

_TYPES: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    NodeRef: "a node",
    Tap: "a place inside a network",
    PhaseRef: "a phase",
    HeadRef: "a name",
    Epochs: "a whole number, at least 1, or a percentage of the epochs of `train`",
}
_EITHER: dict[frozenset[object], str] = {
    frozenset((float, Ramp)): "a number or a schedule, greater than 0 and at most 10000",
    frozenset((float, Percentage)): "a number of epochs, or a percentage of the steps",
    frozenset((int, Percentage)): "a number of samples, or a percentage of them",
    frozenset((int, StepCount)): "a whole number, or steps as in `500 steps`, at least 1",
    frozenset((int, list[int])): "a whole number, or a list of two",
    frozenset((NodeRef, Tap)): "a node, or one of its heads",
    frozenset((float, list[float])): "a number, or a list of three",
}
_BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
_AFTER_THE_START = get_args(PositiveMoment)[1]


def type_text(field: FieldInfo) -> str:
    """The type and range of a parameter, such as "a number, greater than 0"."""
    return _type(field.annotation, field.metadata)


def default_text(field: FieldInfo) -> str | None:
    """The default value of a parameter, as a spec writes it; None where there is none."""
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case Entry():
            return str(value.call())
        case str():
            return value  # a word among several: no setting has a string as its default
        case float():
            return format_number(value)
    return None if value in (None, []) or field.is_required() else quoted(value)


def heading(name: str, field: FieldInfo) -> str:
    """The name of a parameter with its default, or whether it may be left out."""
    if field.is_required():
        return f"{name} (required)"
    value = default_text(field)
    return f"{name} (optional)" if value is None else f"{name} = {value}"


def meaning(field: FieldInfo) -> str:
    """The type, range and meaning of a parameter, in a sentence."""
    return "; ".join(filter(None, [type_text(field), field.description]))


def _type(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        metadata = [*inner, *metadata]
    constraints = list(_flat(metadata))
    if get_origin(annotation) is list:
        return f"a list{_length(constraints)}, each {_type(get_args(annotation)[0])}"
    range_text = " and ".join(_bounds(constraints))
    return ", ".join(filter(None, [_base(annotation), range_text]))


def _base(annotation: Any) -> str:
    """The type without its range; that something may be left out is no part of it."""
    if get_origin(annotation) in (Union, UnionType):
        alternatives = [each for each in get_args(annotation) if each is not NoneType]
        if len(alternatives) > 1:
            if str in alternatives:
                return " or ".join(map(_base, alternatives))
            return _EITHER[frozenset(alternatives)]
        annotation = alternatives[0]
    if annotation in _TYPES:
        return _TYPES[annotation]
    if get_origin(annotation) is Literal:
        return one_of(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return with_article(annotation.kind)
    return _type(annotation)


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


def _bounds(constraints: Iterable[Any]) -> Iterator[str]:
    for constraint in constraints:
        if constraint == _AFTER_THE_START:
            yield "greater than 0"
        for name, words in _BOUNDS.items():
            if hasattr(constraint, name):
                yield f"{words} {getattr(constraint, name)}"


def _length(constraints: Iterable[Any]) -> str:
    least = [each.min_length for each in constraints if hasattr(each, "min_length")]
    most = [each.max_length for each in constraints if hasattr(each, "max_length")]
    if least == most:
        return f" of {least[0]}" if least else ""
    return f" of {least[0]} or more" if not most else f" of {(least or [0])[0]} to {most[0]}"
