"""The base of syntax tree nodes: frozen, validated by pydantic, compared without places."""

from dataclasses import FrozenInstanceError, field, fields
from functools import cache
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema, core_schema

from ktgdsl.diagnostics.source import Span

_T = TypeVar("_T")
_CONFIG = ConfigDict(extra="forbid")
_RARE = ConfigDict(extra="forbid", defer_build=True)


class _IsInstance:
    """Validates a field by `isinstance` alone: a node was validated when it was constructed.

    Pydantic would inline the validators of a recursive union into every class that has such a
    field, and building those takes several times as long.
    """

    def __get_pydantic_core_schema__(self, source: Any, _: object) -> CoreSchema:
        return core_schema.is_instance_schema(source)


IsInstance = Annotated[_T, _IsInstance()]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def node(cls: type[_T]) -> type[_T]:
    """Make a class one of nodes.

    They have slots, because a large tree of objects with a `__dict__` costs the garbage collector
    more time than parsing takes. What `Syntax` defines for all of them is not generated for each,
    which every start would pay for.
    """
    return _decorated(cls, _CONFIG)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def rare_node(cls: type[_T]) -> type[_T]:
    """`node` for rare statements, whose validator is built on first use."""
    return _decorated(cls, _RARE)


def _decorated(cls: type[_T], config: ConfigDict) -> type[_T]:
    decorate = dataclass(kw_only=True, slots=True, eq=False, repr=False, config=config)
    return cast(type[_T], decorate(cls))


@rare_node
class Syntax:
    """A node of the tree. It is frozen; equality and hash ignore spans."""

    span: IsInstance[Span] = field(compare=False)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in field_names(self))

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in field_names(self))))

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in field_names(self))
        return f"{type(self).__name__}({', '.join(values)})"


def field_names(node: Syntax) -> tuple[str, ...]:
    """The fields of a node, without spans."""
    cls: Any = type(node)
    return _field_names(cls)


@cache
def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.compare)
