"""Help texts of diagnostics: what to write instead of an unknown value, word or setting."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.number_errors import comma_between
from ktgdsl.syntax.tree import Argument, Binary, CallExpression, String, Value
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.vocabulary.entry import Entry, Parameters, alternatives
from ktgdsl.vocabulary.networks import suggest_shorthand
from ktgdsl.vocabulary.registry import entries, kinds_of, words
from ktgdsl.vocabulary.spelling import closest

TORCHVISION = 'a network of torchvision is written `torchvision("vgg16")`'
PLACES = {
    "gate": "a gate stands after `via`: `edge a -> b : kl via correct`",
    "loss": "a loss stands after `:` and before `via`: `edge a -> b : kl via correct`",
}
_NOT_OURS = ("resnet18", "resnet34", "resnet101")
"""Networks of torchvision whose names are like ours, of depths that ours do not have."""


def listed(names: Sequence[str] | Mapping[str, object]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)


def such_as(kind: str) -> str:
    """What words of a kind there are."""
    if kind == "network":
        return "such as `resnet8` or `wrn16_2`"
    names = entries(kind)
    return f"there {'is' if len(names) == 1 else 'are'} {listed(names)}"


def for_value(value: Value, kind: str) -> str:
    """What to write where a word of a kind is needed and no word stands."""
    match value:
        case String():
            if _is(value.value, kind):
                return f"leave the quotes out: `{value.value}`"
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
    """What to do about a loss or gate between quotes, if it is one."""
    if isinstance(value, String) and {"loss", "gate"}.intersection(kinds_of(value.value)):
        return f"leave the quotes out: `{value.value}`"
    return None


def for_word(name: str, kind: str, names: Sequence[str]) -> str:
    """What to write instead of a word that is unknown; `names` could stand there as well."""
    guess = closest(name, [*words(kind), *names])
    if kind == "network":
        guess = suggest_shorthand(name) or guess
    if guess:
        return f"did you mean `{guess}`?"
    return f"{such_as(kind)}; {TORCHVISION}" if kind == "network" else such_as(kind)


def for_short(name: str) -> str | None:
    """What to write instead of a short form such as `resnet18` of a network that is not ours."""
    return f'that of torchvision is `torchvision("{name}")`' if name in _NOT_OURS else None


def for_name(cls: type[Parameters], name: str, value: Value) -> tuple[str | None, str]:
    """Which setting or argument was meant by one that there is not, and what to write."""
    if not issubclass(cls, Entry) and (moved := _argument(cls, name, value)):
        return None, moved
    guess = closest(name, list(cls.model_fields))
    known = f"it has {listed(cls.model_fields)}" if cls.model_fields else "it has none"
    return guess, f"did you mean `{guess}`?" if guess else known


def _argument(cls: type[Parameters], name: str, value: Value) -> str | None:
    """Where to write what is no setting, but an argument of a word in one: `lr`."""
    for setting, field in cls.model_fields.items():
        for kind in _kinds(alternatives(field.annotation)):
            for word, entry in entries(kind).items():
                required = {key for key, at in entry.model_fields.items() if at.is_required()}
                if name in entry.model_fields and required <= {name}:
                    call = f"{word}({name}={Unparser().value(value)})"
                    return f"it belongs to the {kind}: `{setting} = {call}`"
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
