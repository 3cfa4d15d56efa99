"""Parts of the tree, made fast: a large spec has a hundred thousand of them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.tree import Syntax

_S = TypeVar("_S", bound=Syntax)

_new = object.__new__
# What a model consists of, each set by its own descriptor: that needs no look-up by name.
_set_values, _set_given, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)


def make(part: type[_S], span: Span, /, **fields: Any) -> _S:
    """A part of the tree; fields not given have their defaults.

    What `model_construct` does, in a sixth of its time. Nothing is validated: the grammar has
    done that, and building pydantic's validators would cost every start.
    """
    defaults, names = _shared(part)
    made = _new(part)
    fields["span"] = span
    _set_values(made, defaults | fields)
    _set_given(made, names)
    _set_extra(made, None)
    _set_private(made, None)
    return made


def moved(part: _S, span: Span) -> _S:
    """The same in another place: what `model_copy` does, in a tenth of its time."""
    return make(type(part), span, **part.__dict__)


@cache
def _shared(part: type[Syntax]) -> tuple[dict[str, Any], set[str]]:
    """The defaults of a class and the names of its fields; all defaults are immutable."""
    fields = part.model_fields
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    return defaults, set(fields)


@contextmanager
def uncollected() -> Iterator[None]:
    """Make a tree, or much else that is kept, without the garbage collector.

    To look for garbage again and again in what is all in use takes most of the time. What has
    been made counts as old in the end, so that the collector does not go through it at once.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
