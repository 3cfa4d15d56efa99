"""Resolves words and settings: finds the vocabulary entry of a value and binds its arguments."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from ktgdsl.diagnostics.diagnostic import Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering import hints
from ktgdsl.lowering.hints import listed
from ktgdsl.lowering.named_values import (
    NamedValue,
    either,
    first_name,
    named,
    place_of,
    with_article,
)
from ktgdsl.lowering.pydantic_errors import invalid
from ktgdsl.lowering.references import ReferenceResolver, referenced_kind
from ktgdsl.lowering.values import INVALID, is_open, whole
from ktgdsl.syntax.tree import (
    Argument,
    Boolean,
    CallExpression,
    List,
    Number,
    Reference,
    Setting,
    String,
    Value,
)
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.vocabulary.entry import Entry, Parameters, alternatives
from ktgdsl.vocabulary.installed import InstalledWord, installed_words
from ktgdsl.vocabulary.networks import expand_shorthand
from ktgdsl.vocabulary.other_names import other_word
from ktgdsl.vocabulary.registry import entry, kinds_of
from ktgdsl.vocabulary.spelling import closest

P = TypeVar("P", bound=Parameters)

_BOOLEANS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
"""How other languages say `true` and `false`."""

_spell = Unparser().value


class Resolver(ReferenceResolver):
    """Finds what values name in the vocabulary, and checks arguments and settings."""

    def known_word(self, value: Value, kind: str) -> Entry | None:
        """As `word`, looked up once for a text; not for what names nodes, which may be others."""
        value = self.expand(value)
        found = entry(kind, value.name) if isinstance(value, CallExpression) else None
        if found and any(referenced_kind(field) for field in found.model_fields.values()):
            return self.word(value, kind)
        return self.once((kind, _spell(value)), lambda: self.word(value, kind))

    def known_settings(
        self,
        cls: type[P],
        settings: Sequence[Setting],
        block: str,
        span: Span,
        nodes: Hashable = None,
    ) -> P | None:
        """As `settings`, looked up once for equal texts and `nodes`, which they may name."""
        what = (cls, nodes, *((each.name, _spell(each.value)) for each in settings))
        return self.once(what, lambda: self.settings(cls, settings, block, span))

    def word(self, value: Value, kind: str) -> Entry | None:
        """The entry that a value names, its arguments bound; None after a complaint."""
        value = self.expand(value)
        if is_open(value):
            return None
        if not isinstance(value, CallExpression):
            fix = hints.for_value(value, kind)
            self.complain("E301", f"{with_article(kind)} is needed here", value.span, fix)
            return None
        if kind == "network" and (short := expand_shorthand(value.name)):
            return self._short(value, *short)
        if found := entry(kind, value.name):
            return self._bound(found, value)
        if installed := installed_words(kind).get(value.name):
            return self._installed(kind, value, installed)
        self._no_word(value, kind)
        return None

    def _short(self, value: CallExpression, name: str, numbers: Mapping[str, int]) -> Entry | None:
        if value.arguments:
            full = f"{name}({', '.join(f'{k}={v}' for k, v in numbers.items())}, ...)"
            message = f"`{value.name}` takes no arguments"
            self.complain("E207", message, value.span, f"write `{full}`")
            return None
        found = entry("network", name)
        assert found is not None  # it is a short form of it
        items = [
            NamedValue(k, value.span, Number(span=value.span, value=v)) for k, v in numbers.items()
        ]
        before = len(self.diagnostics)
        bound = self.bind(found, items, value.span, value.name)
        if bound is None:
            fix = hints.for_short(value.name)
            new = self.diagnostics[before:]
            self.diagnostics[before:] = [replace(each, help=fix or each.help) for each in new]
        return bound

    def _installed(
        self, kind: str, value: CallExpression, meant: Sequence[InstalledWord]
    ) -> Entry | None:
        """The callable of an installed package that a word is short for."""
        if len(meant) > 1:
            packages = listed([each.package for each in meant])
            message = (
                f"several installed packages have {with_article(kind)} `{value.name}`: {packages}"
            )
            fix = f'name the one that is meant: `python("{meant[0].function}")`'
            self.complain("E202", message, value.name_span, fix)
            return None
        for argument in value.arguments:
            if argument.name is None:
                message = f"`{value.name}` takes its arguments by name"
                self.complain("E207", message, argument.span, f"`{value.name}(name=...)`")
                return None
        function = String(span=value.name_span, value=meant[0].function)
        first = Argument(span=value.name_span, name="function", value=function)
        found = entry(kind, "python")
        assert found is not None  # packages add to kinds that have it
        whole = CallExpression(
            span=value.span,
            name=value.name,
            name_span=value.name_span,
            arguments=(first, *value.arguments),
        )
        return self._bound(found, whole)

    def _no_word(self, value: CallExpression, kind: str) -> None:
        name, span = value.name, value.name_span
        if name in self.lets:
            self.complain("E301", f"`{name}` is a `let` and takes no arguments", value.span)
        elif others := kinds_of(name):
            swapped = {kind, others[0]} == {"loss", "gate"}
            fix = hints.PLACES[others[0]] if swapped else hints.such_as(kind)
            if meant := other_word(kind, name):
                fix = f"did you mean `{meant}`?"
            message = (
                f"`{name}` is {with_article(others[0])}, and {with_article(kind)} is needed here"
            )
            self.complain("E303" if swapped else "E301", message, span, fix)
        else:
            fix = hints.for_word(name, kind, list(self.lets))
            self.unknown(name, f"there is no {kind} called `{name}`", span, fix)

    def _bound(self, entry: type[Entry], call: CallExpression) -> Entry | None:
        before = len(self.diagnostics)
        bound = self._arguments(entry, call)
        if bound is None:
            self.diagnostics[before:] = hints.with_commas(call, self.diagnostics[before:])
        return bound

    def _arguments(self, entry: type[Entry], call: CallExpression) -> Entry | None:
        items: list[NamedValue] = []
        several: list[Value] = []  # what goes into the parameter that takes any number
        positions = entry.positions()
        for position, argument in enumerate(call.arguments):
            if argument.name is not None:
                name_span = argument.span._replace(end=argument.span.start + len(argument.name))
                items.append(NamedValue(argument.name, name_span, argument.value))
            elif entry.variadic is not None:
                several.append(argument.value)
            elif position < len(positions):
                items.append(NamedValue(positions[position], argument.span, argument.value))
            else:
                takes = {0: "no arguments", 1: "one argument"}.get(
                    len(positions), f"at most {len(positions)} arguments"
                )
                fix = f"the argument is `{positions[0]}`" if len(positions) == 1 else None
                if len(positions) > 1:
                    fix = f"the arguments are {listed(positions)}"
                self.complain("E207", f"`{call.name}` takes {takes}", argument.span, fix)
                return None
        if entry.variadic is not None and several:
            span = several[0].span.to(several[-1].span)
            values = List(span=span, items=tuple(several))
            items.insert(0, NamedValue(entry.variadic, span, values))
        return self.bind(entry, items, call.span, call.name)

    def settings(
        self, cls: type[P], settings: Sequence[Setting], block: str, span: Span
    ) -> P | None:
        """The settings of a block, defaults filled in; None after a complaint."""
        items = [NamedValue(s.name, s.name_span, s.value) for s in settings]
        return self.bind(cls, items, span, block)

    def bind(self, cls: type[P], items: Sequence[NamedValue], span: Span, owner: str) -> P | None:
        """An instance of `cls` from named values; `owner` is its name in messages."""
        accepted: dict[str, NamedValue] = {}
        values: dict[str, Any] = {}
        meant: set[str] = set()  # parameters whose names are misspelt, so that none is missing
        complete = True
        for item in items:
            if item.name in accepted:
                self._twice(cls, item, accepted[item.name], owner)
                complete = False
            elif item.name in cls.model_fields or cls.model_config.get("extra") == "allow":
                accepted[item.name] = item
                values[item.name] = self._field(cls, item, owner)
                complete = complete and values[item.name] is not INVALID
            else:
                meant.update(self._no_field(cls, item, owner))
                complete = False
        required = [name for name, field in cls.model_fields.items() if field.is_required()]
        missing = [name for name in required if name not in accepted]
        if unmentioned := [name for name in missing if name not in meant]:
            self._missing(cls, unmentioned, span, owner)
        if missing or not complete:
            values = {name: value for name, value in values.items() if value is not INVALID}
            self._checked(cls, values, accepted, span, owner, whole=False)
            return None
        return self._checked(cls, values, accepted, span, owner, whole=True)

    def _twice(
        self, cls: type[Parameters], item: NamedValue, first: NamedValue, owner: str
    ) -> None:
        self.complain(
            "E209" if issubclass(cls, Entry) else "E205",
            f"`{item.name}` of `{owner}` is given twice",
            item.span,
            "leave one of them out",
            labels=[Label(first.span, "first given here")],
        )

    def _no_field(self, cls: type[Parameters], item: NamedValue, owner: str) -> list[str]:
        """Complain about a name that `cls` does not have; the one that was meant, if any."""
        guess, fix = hints.for_name(cls, item.name, item.value)
        code, what = ("E207", "argument") if issubclass(cls, Entry) else ("E204", "setting")
        self.complain(
            code,
            f"`{owner}` has no {what} `{item.name}`",
            item.span,
            fix,
        )
        return [guess] if guess else []

    def _missing(self, cls: type[Parameters], names: list[str], span: Span, owner: str) -> None:
        meanings = "; ".join(f"`{n}`: {cls.model_fields[n].description}" for n in names)
        needed = " and ".join(f"`{name}`" for name in names)
        self.complain("E208", f"`{owner}` needs {needed}", span, meanings)

    def _field(self, cls: type[Parameters], item: NamedValue, owner: str) -> Any:
        field = cls.model_fields.get(item.name)
        if field is None:
            return self.plain(item.value)
        types = alternatives(field.annotation)
        for alternative in types:
            if isinstance(alternative, type) and issubclass(alternative, Entry):
                if len(types) > 1 and not self._names(item.value, alternative.kind):
                    break
                entry = self.word(item.value, alternative.kind)
                return INVALID if entry is None else entry
        if points_at := referenced_kind(field):
            return self.reference(item.value, points_at)
        choices = [w for a in types if get_origin(a) is Literal for w in get_args(a)]
        if choices and str in types:
            return self._word_or_string(cls, item, choices, owner)
        if choices or types == (bool,):
            return self._one_of(cls, item, choices or [True, False], owner)
        value = self.expand(item.value)
        if types == (str,) and isinstance(value, CallExpression | Reference):
            message = f'{named(cls, item.name, owner)} must be a string, such as "text"'
            self.complain("E301", message, value.span, "put it between double quotes")
            return INVALID
        plain = self.plain(item.value)
        return whole(plain) if int in types else plain

    def _names(self, written: Value, kind: str) -> bool:
        """Whether a value is a word of the kind, such as a schedule where a number could be."""
        value = self.expand(written)
        return isinstance(value, CallExpression) and entry(kind, value.name) is not None

    def _one_of(
        self, cls: type[Parameters], item: NamedValue, choices: list[Any], owner: str
    ) -> Any:
        """The word among `choices` that a value is; INVALID after a complaint."""
        value = self.expand(item.value)
        if is_open(value):
            return INVALID
        if isinstance(value, Boolean) and value.value in choices:
            return value.value
        name = value.name if isinstance(value, CallExpression) and not value.arguments else None
        if name in choices:
            return name
        spelt = ["true" if c is True else "false" if c is False else str(c) for c in choices]
        contrast = f", not `{name}`" if name else ""
        guess = closest(name, spelt) if name else None
        if True in choices:
            guess = _BOOLEANS.get(name or str(getattr(value, "value", ""))) or guess
        if isinstance(value, String) and value.value in spelt:
            guess, contrast = value.value, ", without quotes"
        self.complain(
            "E301",
            f"{named(cls, item.name, owner)} must be {either(spelt)}{contrast}",
            value.span,
            f"did you mean `{guess}`?" if guess else None,
        )
        return INVALID

    def _word_or_string(
        self, cls: type[Parameters], item: NamedValue, words: list[str], owner: str
    ) -> Any:
        """A string, or one of some words; INVALID after a complaint."""
        value = self.expand(item.value)
        name = value.name if isinstance(value, CallExpression) and not value.arguments else None
        if name in words or is_open(value):
            return name or INVALID
        if isinstance(value, String) and value.value not in words:
            return value.value
        fix = "put a string between double quotes, and a word between none"
        message = f"{named(cls, item.name, owner)} must be {either(words)} or a string"
        self.complain("E301", message, value.span, fix)
        return INVALID

    def _checked(
        self,
        cls: type[P],
        values: dict[str, Any],
        items: Mapping[str, NamedValue],
        span: Span,
        owner: str,
        *,
        whole: bool,
    ) -> P | None:
        """The values put into `cls`; None after a complaint.

        When not all are there, only those that are get checked, each for itself.
        """
        if not values:
            # Defaults are sound (a test sees to it), and a validator costs start-up to build.
            return cast(P, cls.model_construct())
        from pydantic import ValidationError

        try:
            return cls.model_validate(values)
        except ValidationError as failure:
            for error in failure.errors(include_url=False):
                if whole or (error["loc"] and error["type"] != "missing"):
                    name = first_name(error["loc"])
                    code, message = invalid(error, named(cls, name, owner))
                    fix = error.get("ctx", {}).get("help")
                    fix = fix or hints.for_invalid(cls, name, values.get(name))
                    self.complain(code, message, place_of(error["loc"], items, span), fix)
            return None
