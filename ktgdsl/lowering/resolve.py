"""Resolves words: finds the entry of the vocabulary that a value names."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering import hints
from ktgdsl.lowering.bind import Binder, P
from ktgdsl.lowering.named_values import (
    NamedValue,
    with_article,
)
from ktgdsl.lowering.references import referenced_kind
from ktgdsl.lowering.values import is_open
from ktgdsl.syntax.tree import (
    Argument,
    CallExpression,
    List,
    Number,
    Setting,
    String,
    Value,
)
from ktgdsl.syntax.unparse import Unparser
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.installed import InstalledWord, installed_words
from ktgdsl.vocabulary.networks import expand_shorthand
from ktgdsl.vocabulary.registry import entry, kinds_of
from ktgdsl.vocabulary.spelling import listed
from ktgdsl.vocabulary.synonyms import word_of_synonym

_spell = Unparser().value


class Resolver(Binder):
    """Finds what values name in the vocabulary, with arguments and settings bound."""

    def known_word(self, value: Value, kind: str) -> Entry | None:
        """`word`, cached by the text of the value, except for words whose arguments name nodes."""
        value = self.expand(value)
        found = entry(kind, value.name) if isinstance(value, CallExpression) else None
        if found and any(referenced_kind(field) for field in found.model_fields.values()):
            return self.word(value, kind)
        return self.cached((kind, _spell(value)), lambda: self.word(value, kind))

    def known_settings(
        self,
        cls: type[P],
        settings: Sequence[Setting],
        block: str,
        span: Span,
        nodes: Hashable = None,
    ) -> P | None:
        """`settings`, cached by their text and by the `nodes` that they may name."""
        what = (cls, nodes, *((each.name, _spell(each.value)) for each in settings))
        return self.cached(what, lambda: self.settings(cls, settings, block, span))

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
            if meant := word_of_synonym(kind, name):
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
