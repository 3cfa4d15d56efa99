"""Tree values to vocabulary: what a value means where it stands, with a complaint if nothing."""

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from ktgdsl.language.complaint import invalid, quoted
from ktgdsl.language.diagnostic import Diagnostic, Label
from ktgdsl.language.source import Span
from ktgdsl.language.syntax import (
    Binary,
    Boolean,
    Call,
    Choice,
    Let,
    List,
    Number,
    Percent,
    Range,
    Reference,
    Setting,
    String,
    Unary,
    Value,
)
from ktgdsl.vocabulary.entry import Entry, Parameters, Share
from ktgdsl.vocabulary.networks import spelled_out
from ktgdsl.vocabulary.registry import closest, entries, kinds_of, later, words

P = TypeVar("P", bound=Parameters)


class _Invalid:
    """The value of what has been complained about already."""


INVALID: Final = _Invalid()


class Given(NamedTuple):
    """A setting or argument as written: its name, where the name stands, and its value."""

    name: str
    span: Span
    value: Value


class Resolver:
    """Resolves values in the scope of a file's `let`s and collects what is wrong with them.

    An open value is reported by `validate` once for a file; here it is only INVALID.
    """

    def __init__(self, lets: Mapping[str, Let]) -> None:
        self.lets = lets
        self.diagnostics: list[Diagnostic] = []

    def complain(
        self,
        code: str,
        message: str,
        span: Span,
        help: str | None = None,
        labels: Iterable[Label] = (),
    ) -> None:
        """Add an error."""
        self.diagnostics.append(Diagnostic(code, message, span, help, labels=tuple(labels)))

    def expand(self, value: Value) -> Value:
        """The value, or what the `let` that it names stands for."""
        while isinstance(value, Call) and not value.arguments and value.name in self.lets:
            value = self.lets[value.name].value
        return value

    def number(self, value: Value) -> int | float | None:
        """A number, arithmetic done."""
        result = self.plain(value)
        if isinstance(result, bool) or not isinstance(result, int | float):
            if result is not INVALID:
                self.complain("E301", f"a number is needed here, not {quoted(result)}", value.span)
            return None
        return result

    def plain(self, value: Value) -> Any:
        """A value of plain data: a number, a Share, a bool, a str or a list of those."""
        value = self.expand(value)
        match value:
            case Number() | Boolean() | String():
                return value.value
            case Percent():
                return Share(percent=value.value)
            case List():
                items = [self.plain(item) for item in value.items]
                return INVALID if INVALID in items else items
            case Unary():
                operand = self.number(value.operand)
                return INVALID if operand is None else -operand
            case Binary():
                return self._arithmetic(value)
            case Call(name=name):
                guess = closest(name, list(self.lets))
                self.complain(
                    "E201",
                    f"nothing that has a value is called `{name}`",
                    value.span,
                    f"did you mean `{guess}`?" if guess else f"`let {name} = ...` would name one",
                )
            case Reference():
                self.complain("E301", "a value is needed here, not a node", value.span)
            case Choice() | Range():
                pass
        return INVALID

    def _arithmetic(self, value: Binary) -> Any:
        left, right = self.number(value.left), self.number(value.right)
        if left is None or right is None:
            return INVALID
        match value.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
        if right == 0:
            self.complain("E305", "this divides by zero", value.span)
            return INVALID
        return left / right

    def word(self, value: Value, kind: str) -> Entry | None:
        """The entry that a value names, its arguments bound."""
        value = self.expand(value)
        if isinstance(value, Choice | Range):
            return None
        if not isinstance(value, Call):
            self.complain("E301", f"{_a(kind)} is needed here", value.span, _such_as(kind))
            return None
        if entry := entries(kind).get(value.name):
            return self._bound(entry, value)
        if kind == "network" and (short := spelled_out(value.name)):
            if value.arguments:
                full = f"{short[0]}({', '.join(f'{k}={v}' for k, v in short[1].items())}, ...)"
                self.complain(
                    "E207", f"`{value.name}` takes no arguments", value.span, f"write `{full}`"
                )
                return None
            given = [
                Given(name, value.span, Number(span=value.span, value=number))
                for name, number in short[1].items()
            ]
            return self.bind(entries(kind)[short[0]], given, value.span, value.name)
        self._unknown(value, kind)
        return None

    def _unknown(self, value: Call, kind: str) -> None:
        name = value.name
        if name in later(kind):
            self.complain("E901", f"the {kind} `{name}` is not supported yet", value.name_span)
        elif others := kinds_of(name):
            code = "E303" if {kind, others[0]} == {"loss", "gate"} else "E301"
            fix = {
                "gate": "a gate stands after `via`: `edge a -> b : kl via correct`",
                "loss": "a loss stands after `:` and before `via`: `edge a -> b : kl via correct`",
            }
            self.complain(
                code,
                f"`{name}` is {_a(others[0])}, and {_a(kind)} is needed here",
                value.name_span,
                fix.get(others[0], _such_as(kind)),
            )
        else:
            guess = closest(name, [*words(kind), *self.lets])
            self.complain(
                "E201",
                f"there is no {kind} called `{name}`",
                value.name_span,
                f"did you mean `{guess}`?" if guess else _such_as(kind),
            )

    def _bound(self, entry: type[Entry], call: Call) -> Entry | None:
        given: list[Given] = []
        positions = entry.positions()
        for position, argument in enumerate(call.arguments):
            if argument.name is not None:
                given.append(Given(argument.name, argument.span, argument.value))
            elif position < len(positions):
                given.append(Given(positions[position], argument.span, argument.value))
            else:
                takes = {0: "no arguments", 1: "one argument"}.get(
                    len(positions), f"at most {len(positions)} arguments"
                )
                self.complain("E207", f"`{call.name}` takes {takes}", argument.span)
                return None
        return self.bind(entry, given, call.span, call.name)

    def settings(
        self, cls: type[P], settings: Sequence[Setting], block: str, span: Span
    ) -> P | None:
        """The settings of a block, defaults filled in."""
        given = [Given(s.name, s.name_span, s.value) for s in settings]
        return self.bind(cls, given, span, block)

    def bind(self, cls: type[P], given: Sequence[Given], span: Span, owner: str) -> P | None:
        """An instance of `cls` from what is given; `owner` is what people call it."""
        accepted: dict[str, Given] = {}
        values: dict[str, Any] = {}
        complete = True
        for item in given:
            if item.name in accepted:
                setting = not issubclass(cls, Entry)
                self.complain(
                    "E205" if setting else "E209",
                    f"`{item.name}` of `{owner}` is given twice",
                    item.span,
                    labels=[Label(accepted[item.name].span, "first given here")],
                )
                complete = False
            elif self._accepts(cls, item, owner):
                accepted[item.name] = item
                values[item.name] = self._field(cls, item)
                complete = complete and values[item.name] is not INVALID
            else:
                complete = False
        missing = [n for n, f in cls.model_fields.items() if f.is_required() and n not in accepted]
        for name in missing:
            described = cls.model_fields[name].description
            self.complain(
                "E208",
                f"`{owner}` needs `{name}`" + (f": {described}" if described else ""),
                span,
            )
        sound = {name: value for name, value in values.items() if value is not INVALID}
        result = self._validated(cls, sound, accepted, span, owner)
        return None if missing or not complete else result

    def _accepts(self, cls: type[Parameters], item: Given, owner: str) -> bool:
        if item.name in cls.model_fields or cls.model_config.get("extra") == "allow":
            return True
        setting = not issubclass(cls, Entry)
        if item.name in cls.later:
            self.complain("E901", f"the setting `{item.name}` is not supported yet", item.span)
            return False
        guess = closest(item.name, list(cls.model_fields))
        known = ", ".join(f"`{name}`" for name in cls.model_fields)
        self.complain(
            "E204" if setting else "E207",
            f"`{owner}` has no {'setting' if setting else 'argument'} `{item.name}`",
            item.span,
            f"did you mean `{guess}`?" if guess else f"it has {known}" if known else None,
        )
        return False

    def _field(self, cls: type[Parameters], item: Given) -> Any:
        field = cls.model_fields.get(item.name)
        if field is None:
            return self.plain(item.value)
        alternatives = _alternatives(field.annotation)
        for alternative in alternatives:
            if isinstance(alternative, type) and issubclass(alternative, Entry):
                entry = self.word(item.value, alternative.kind)
                return INVALID if entry is None else entry
        choices = [w for a in alternatives if get_origin(a) is Literal for w in get_args(a)]
        if choices or alternatives == (bool,):
            return self._one_of(cls, item, choices or [True, False])
        return self.plain(item.value)

    def _one_of(self, cls: type[Parameters], item: Given, choices: list[Any]) -> Any:
        value = self.expand(item.value)
        if isinstance(value, Choice | Range):
            return INVALID
        if isinstance(value, Boolean) and value.value in choices:
            return value.value
        name = value.name if isinstance(value, Call) and not value.arguments else None
        if name in choices:
            return name
        if name in cls.later_words.get(item.name, ()):
            self.complain("E901", f"`{item.name} = {name}` is not supported yet", value.span)
            return INVALID
        spelt = ["true" if c is True else "false" if c is False else str(c) for c in choices]
        named = f", not `{name}`" if name else ""
        guess = closest(name, spelt) if name else None
        if isinstance(value, String) and value.value in choices:
            guess, named = value.value, ", without quotes"
        self.complain(
            "E301",
            f"`{item.name}` must be {' or '.join(f'`{s}`' for s in spelt)}{named}",
            value.span,
            f"did you mean `{guess}`?" if guess else None,
        )
        return INVALID

    def _validated(
        self,
        cls: type[P],
        values: dict[str, Any],
        given: Mapping[str, Given],
        span: Span,
        owner: str,
    ) -> P | None:
        from pydantic import ValidationError

        try:
            return cls.model_validate(values)
        except ValidationError as failure:
            for error in failure.errors(include_url=False):
                if error["type"] == "missing":
                    continue  # complained about where it is missing or unsound
                code, message = invalid(error, owner)
                self.complain(code, message, self._place(error["loc"], given, span))
            return None

    def _place(
        self, location: tuple[int | str, ...], given: Mapping[str, Given], span: Span
    ) -> Span:
        if not location or location[0] not in given:
            return span
        value = given[str(location[0])].value
        if len(location) > 1 and isinstance(value, List) and isinstance(location[1], int):
            return value.items[location[1]].span
        return value.span


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(a for a in get_args(annotation) if a is not types.NoneType)
    return (annotation,)


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _such_as(kind: str) -> str:
    names = ["resnet8", "wrn16_2"] if kind == "network" else list(entries(kind))
    return f"there are {', '.join(f'`{name}`' for name in names)}"
