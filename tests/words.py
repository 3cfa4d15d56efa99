"""Words of the vocabulary for tests: their entries, what each needs, and what a text means."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo

from ktgdsl.diagnostics.source import Source
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.syntax.parse import parse_value
from ktgdsl.vocabulary.entry import Entry, Parameters
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.reads import Read
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap
from ktgdsl.vocabulary.registry import KINDS, entries

A = NodeRef("a")
H0 = NodeRef("h", 0)
STAGE1, STAGE2 = Tap("stage1"), Tap("stage2")

ALL = [each for kind in KINDS for each in entries(kind).values()]
"""The entries of all kinds."""

_EXAMPLES: list[Any] = [A, STAGE2, Tap("stage2", H0), PhaseRef("hints"), "m:f", "resnet18", 3.0]


def name_of(entry: type[Entry]) -> str:
    """The kind and the word, such as `gate linear`."""
    return f"{entry.kind} {entry.word}"


def named(name: str) -> type[Entry]:
    """The entry of a kind and word such as `gate linear`."""
    kind, word = name.split()
    return entries(kind)[word]


def required(entry: type[Entry]) -> dict[str, Any]:
    """Values of the parameters that have no default, the first that fit their types and ranges."""
    return {
        name: _example(field) for name, field in entry.model_fields.items() if field.is_required()
    }


def _example(field: FieldInfo) -> Any:
    definition: Any = (field.annotation, field)
    takes = create_model("Takes", __base__=Parameters, value=definition)
    least = [each.ge for each in field.metadata if hasattr(each, "ge")] or [1]
    for value in (*least, *_EXAMPLES, *([each] for each in _EXAMPLES)):
        with suppress(ValidationError):
            takes.model_validate({"value": value})
            return value
    raise AssertionError(f"no example fits {field}")


def variants(entry: type[Entry]) -> Iterator[Entry]:
    """The entry with all that has a default left out, and with each word of an option."""
    options = {
        name: get_args(field.annotation)
        for name, field in entry.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    for chosen in product(*options.values()):
        yield entry.model_validate(required(entry) | dict(zip(options, chosen, strict=True)))


def resolved(kind: str, text: str, resolver: Resolver) -> Entry | None:
    """The entry that a text means where a word of the kind stands."""
    value, problems = parse_value(Source("spec.ktg", text))
    assert value is not None, (text, problems)
    return resolver.word(value, kind)


def found(kind: str, text: str) -> Entry:
    """The entry that a sound text means."""
    resolver = Resolver({})
    entry = resolved(kind, text, resolver)
    assert entry is not None, (text, [each.message for each in resolver.diagnostics])
    return entry


def reads_margins(loss: Loss) -> bool:
    """Whether a loss needs a batch norm before the source's tap."""
    return any(isinstance(each, Read) and each.form == "margin" for each in loss.inputs("node"))


def tap_for(loss: Loss) -> str:
    """A tap of built-in networks that a loss can stand between: none where logits will do."""
    if reads_margins(loss):
        return ".stage2.pre"
    return ".stage2" if loss.needs_maps else ""
