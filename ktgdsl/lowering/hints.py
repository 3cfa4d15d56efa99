"""Help texts of diagnostics: what to write instead of an unknown value, word or setting."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.foreign_syntax import name_of_module
from ktgdsl.syntax.number_errors import comma_between
from ktgdsl.syntax.tree import Argument, Binary, CallExpression, Reference, String, Value
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.vocabulary.entry import Entry, Parameters, Percentage, alternatives
from ktgdsl.vocabulary.networks import suggest_shorthand
from ktgdsl.vocabulary.registry import entries, kinds_of, words
from ktgdsl.vocabulary.spelling import closest, listed, there_are
from ktgdsl.vocabulary.synonyms import arguments_of_synonym, word_of_synonym

TORCHVISION = 'a network of torchvision is written `torchvision("vgg16")`'
PLACES = {
    "gate": "a gate stands after `via`: `edge a -> b : kl via correct`",
    "loss": "a loss stands after `:` and before `via`: `edge a -> b : kl via correct`",
}
_NOT_OURS = ("resnet18", "resnet34", "resnet101")
"""Networks of torchvision that look like short forms of ours, with depths that ours lack."""


def such_as(kind: str) -> str:
    """A phrase that lists some words of a kind."""
    if kind == "network":
        return "such as `resnet8` or `wrn16_2`"
    return there_are(entries(kind))


def for_value(value: Value, kind: str) -> str:
    """What to write where a word of a kind is needed and no word stands."""
    match value:
        case String():
            if _is(value.value, kind):
                return f"leave the quotes out: `{value.value}`"
        case Reference(name=name, index=None, tap=CallExpression(name=inner)):
            if kind in ("network", "loss", "gate", "dataset"):
                return name_of_module([name, inner])
        case Binary(operator="-"):
            # `cifar-10` is a difference.
            name = Unparser().value(value).replace(" - ", "")
            guess = name if _is(name, kind) else closest(name, words(kind))
            if guess:
                return f"did you mean `{guess}`?"
    return such_as(kind)


def _is(word: str, kind: str) -> bool:
    return word in entries(kind) or kind in kinds_of(word)


def unquoted(value: Value) -> str | None:
    """A fix for the name of a loss or gate in quotes; None for any other value."""
    if isinstance(value, String) and {"loss", "gate"}.intersection(kinds_of(value.value)):
        return f"leave the quotes out: `{value.value}`"
    return None


def for_word(name: str, kind: str, names: Sequence[str]) -> str:
    """What to write instead of a word that is unknown; `names` could stand there as well."""
    if kind == "network" and (wider := _wider_resnet(name)):
        return wider
    guess = word_of_synonym(kind, name) or closest(name, [*words(kind), *names])
    if kind == "network":
        guess = suggest_shorthand(name) or guess
        if name.lower() in _NOT_OURS:
            return for_short(name.lower()) or ""
    if guess:
        return f"did you mean `{guess}`?"
    return f"{such_as(kind)}; {TORCHVISION}" if kind == "network" else such_as(kind)


def _wider_resnet(name: str) -> str | None:
    """About `resnet8x4`, as codes of distillation call it."""
    if (found := re.fullmatch(r"resnet(\d{1,4})x(\d{1,2})", name.lower())) is None:
        return None
    call = f"resnet(depth={found[1]}, width={16 * int(found[2])})"
    return f"`{call}` is the same but for the first convolution, which has as many channels"


def for_short(name: str) -> str | None:
    """What to write instead of a short form such as `resnet18` of a network that is not ours."""
    return f'that of torchvision is `torchvision("{name}")`' if name in _NOT_OURS else None


def for_name(cls: type[Parameters], name: str, value: Value) -> tuple[str | None, str]:
    """Which setting or argument was meant by one that there is not, and what to write."""
    is_block = not issubclass(cls, Entry)
    if is_block and (moved := _argument(cls, [name], value) or _elsewhere(cls, name, value)):
        return None, moved
    others = arguments_of_synonym(name)
    if own := [each for each in others if each in cls.model_fields]:
        return own[0], f"did you mean `{own[0]}`?"
    if is_block and (moved := _argument(cls, others, value)):
        return None, moved
    guess = closest(name, list(cls.model_fields))
    known = f"it has {listed(cls.model_fields)}" if cls.model_fields else "it has none"
    return guess, f"did you mean `{guess}`?" if guess else known


def _elsewhere(cls: type[Parameters], name: str, value: Value) -> str | None:
    """A fix for the batch size among the settings of `train`."""
    if name in ("batch", "batch_size") and {"epochs", "optimizer"} <= cls.model_fields.keys():
        return f"it belongs to the data: `data digits {{ batch = {Unparser().value(value)} }}`"
    return None


def _argument(cls: type[Parameters], names: Sequence[str], value: Value) -> str | None:
    """A fix for an argument, such as `lr`, that is written as a setting."""
    for setting, field in cls.model_fields.items():
        for kind in _kinds(alternatives(field.annotation)):
            for word, entry in entries(kind).items():
                required = {key for key, at in entry.model_fields.items() if at.is_required()}
                for name in names:
                    if name in entry.model_fields and required <= {name}:
                        call = f"{word}({name}={Unparser().value(value)})"
                        return f"it belongs to the {kind}: `{setting} = {call}`"
    return None


def for_invalid(cls: type[Parameters], name: str, value: object) -> str | None:
    """What to write instead of a value that a setting or an argument does not take."""
    field = cls.model_fields.get(name)
    types = () if field is None else alternatives(field.annotation)
    wants_whole, wants_number = int in types, int in types or float in types
    match value:
        case [int(first), *others] if name == "seed" and not issubclass(cls, Entry):
            repeats = f"seed = {first}  repeats = {len(others) + 1}"
            return f"`{repeats}` trains with seeds from {first} on"
        case float() if Percentage in types and wants_whole and 0 < value < 1:
            return f"a share is a percentage: `{name} = {100 * value:.12g}%`"
        case float(1) if Percentage in types and wants_whole:
            one = f"write `{name} = 1` for one sample; a share is a percentage: `{name} = 50%`"
            return f"{one}; leave it out for all" if field and field.default is None else one
        case Percentage(percent=percent) if wants_number and Percentage not in types:
            number = percent if wants_whole else percent / 100
            return f"it takes no percentage: `{name} = {number:.12g}`"
        case str() if wants_number and re.fullmatch(r"-?\d+(\.\d+)?%?", value):
            return f"leave the quotes out: `{value}`"
        case str() if name == "function" and re.fullmatch(r"[\w.]+\.\w+", value):
            module, _, function = value.rpartition(".")
            return f'a colon stands before the name: `"{module}:{function}"`'
    return None


def _kinds(annotations: Sequence[Any]) -> list[str]:
    return [a.kind for a in annotations if isinstance(a, type) and issubclass(a, Entry)]


def with_commas(call: CallExpression, diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Complaints about a call, where those about `sgd(0,1)` are one: it is meant as one number."""
    kept = list(diagnostics)
    for one, other in pairwise(call.arguments):
        comma = _comma(one, other)
        others = [each for each in kept if comma and not _inside(each.span, comma.span)]
        if comma and len(others) < len(kept):
            kept = [*others, comma]
    return kept


def _inside(one: Span | None, other: Span | None) -> bool:
    return one is not None and other is not None and other.start <= one.start < other.end


def _comma(one: Argument, other: Argument) -> Diagnostic | None:
    return comma_between(one.value, other.value) if other.name is None else None
