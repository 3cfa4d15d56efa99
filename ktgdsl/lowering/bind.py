"""Binds arguments and settings: named values become an instance of a class of the vocabulary."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from ktgdsl.diagnostics.diagnostic import Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering import hints
from ktgdsl.lowering.named_values import NamedValue, either, first_name, named, place_of
from ktgdsl.lowering.pydantic_errors import invalid
from ktgdsl.lowering.references import ReferenceResolver, referenced_kind
from ktgdsl.lowering.values import INVALID, is_open
from ktgdsl.syntax.tree import Boolean, CallExpression, List, Reference, Setting, String, Value
from ktgdsl.vocabulary.entry import Entry, Parameters, Percentage, alternatives, as_whole_number
from ktgdsl.vocabulary.registry import entry
from ktgdsl.vocabulary.spelling import closest

P = TypeVar("P", bound=Parameters)

_BOOLEANS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
"""Spellings of `true` and `false` in other languages."""


class Binder(ReferenceResolver):
    """Checks arguments and settings by name and type, and reports errors about them."""

    @abstractmethod
    def word(self, value: Value, kind: str) -> Entry | None:
        """The entry that a value names, its arguments bound; None after a complaint."""

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
        if words := [w for a in types if get_origin(a) is list for w in _words_of(a)]:
            return self._words(cls, item, words, owner)
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
        return as_whole_number(plain) if int in types and Percentage not in types else plain

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

    def _words(
        self, cls: type[Parameters], item: NamedValue, choices: list[str], owner: str
    ) -> Any:
        """The list of words among `choices` that a value is; INVALID after a complaint."""
        value = self.expand(item.value)
        if is_open(value):
            return INVALID
        if not isinstance(value, List):
            name = value.name if isinstance(value, CallExpression) else None
            example = name if name in choices else choices[0]
            message = f"{named(cls, item.name, owner)} must be a list of {either(choices)}"
            self.complain("E301", message, value.span, f"write `[{example}]`")
            return INVALID
        items = [NamedValue(item.name, item.span, each) for each in value.items]
        words = [self._one_of(cls, each, choices, owner) for each in items]
        return INVALID if INVALID in words else words

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


def _words_of(annotation: Any) -> tuple[str, ...]:
    """The words that the items of a list may be; none where they are something else."""
    (item,) = get_args(annotation)
    return get_args(item) if get_origin(item) is Literal else ()
