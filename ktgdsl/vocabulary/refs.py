"""Arguments that refer to other parts of a spec: nodes, taps and phases."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import JsonValue, PlainValidator
from pydantic_core import PydanticCustomError

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry


@dataclass(frozen=True)
class NodeRef:
    """`a`, an element `p[0]`, or all of an array: `p[*]`, or `p` alone.

    In a plan it is `{"node": "p[0]"}`.
    """

    name: str
    index: int | Literal["*"] | None = None

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.index}]"


class Tap(NamedTuple):
    """`h[0].stage2`, a place inside a node; without a node one inside both ends of an edge.

    `path` is the name of a stage or the path of a module. In a plan it is
    `{"node": "h[0]", "tap": "stage2"}` or `{"tap": "stage2"}`.
    """

    path: str
    node: NodeRef | None = None

    def __str__(self) -> str:
        return self.path if self.node is None else f"{self.node}.{self.path}"


class PhaseRef(NamedTuple):
    """The name of a phase. In a plan it is `{"phase": "distil"}`."""

    name: str

    def __str__(self) -> str:
        return self.name


class HeadRef(str):
    """The name of a head of a network, and of the label that it answers."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name as plain text."""
        return str(self)


_T = TypeVar("_T")


def _only(kind: type[_T], needed: str, fits: Callable[[_T], bool]) -> Callable[[Any], _T]:
    def checked(value: Any) -> _T:
        if isinstance(value, kind) and fits(value):
            return value
        raise PydanticCustomError("wrong_type", "must be {needed}", {"needed": needed})

    return checked


Node = Annotated[NodeRef, PlainValidator(_only(NodeRef, "a node", lambda _: True))]
"""A node, or all nodes of an array."""


def _answers(value: object) -> bool:
    return isinstance(value, NodeRef) or (isinstance(value, Tap) and value.node is not None)


Answer = Annotated[
    NodeRef | Tap, PlainValidator(_only(object, "a node, or a head such as `a.colour`", _answers))
]
"""A node, or one of its heads."""

Layer = Annotated[
    Tap,
    PlainValidator(_only(Tap, "a layer, such as `stage2`", lambda tap: tap.node is None)),
]
"""A place that both networks of an edge have."""

NodeLayer = Annotated[
    Tap,
    PlainValidator(
        _only(Tap, "a place inside a node, such as `a.stage2`", lambda tap: tap.node is not None)
    ),
]
"""A place inside one named node."""

Phase = Annotated[PhaseRef, PlainValidator(_only(PhaseRef, "a phase", lambda _: True))]
"""A phase of the training."""

Head = Annotated[
    HeadRef,
    PlainValidator(_only(HeadRef, "a name", lambda _: True)),
]
"""A head of a network."""


def without_repeats(values: list[_T]) -> list[_T]:
    """The values. Raises ValueError if one occurs twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"must name `{value}` only once")
    return values


class ReferringEntry(Entry):
    """Base of the entries with arguments that refer to other parts, or are entries themselves."""

    def call(self) -> Call:
        """The word with every argument written out, references as tagged data."""
        call = super().call()
        arguments = {name: _written(value) for name, value in call.arguments.items()}
        return Call.model_construct(name=call.name, arguments=arguments)

    @classmethod
    def from_call(cls, call: Call) -> Self:
        """The entry that stands in a plan as `call`."""
        arguments = {name: _read(value) for name, value in call.arguments.items()}
        return super().from_call(Call.model_construct(name=call.name, arguments=arguments))

    def named_nodes(self) -> Iterator[NodeRef]:
        """The nodes that the arguments name, in the order of the arguments."""
        for name in self.positions():
            value = getattr(self, name)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, NodeRef):
                    yield item
                elif isinstance(item, Tap) and item.node is not None:
                    yield item.node
                elif isinstance(item, ReferringEntry):
                    yield from item.named_nodes()


def _written(value: Any) -> JsonValue:
    match value:
        case NodeRef():
            return {"node": str(value)}
        case Tap(path, None):
            return {"tap": path}
        case Tap(path, node):
            return {"node": str(node), "tap": path}
        case PhaseRef(name):
            return {"phase": name}
        case list():
            return [_written(item) for item in value]
    plain: JsonValue = value
    return plain


def _read(value: JsonValue) -> Any:
    """The reference that a plan has as `_written` wrote it; a name `p[0]` stays whole."""
    match value:
        case {"node": str(node), "tap": str(tap)}:
            return Tap(tap, NodeRef(node))
        case {"node": str(node)}:
            return NodeRef(node)
        case {"tap": str(tap)}:
            return Tap(tap)
        case {"phase": str(name)}:
            return PhaseRef(name)
        case list():
            return [_read(item) for item in value]
    return value
