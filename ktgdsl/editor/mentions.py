"""The names in a tree with their roles: nodes, `let`s, words of the vocabulary, settings."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.lowering.references import referenced_kind
from ktgdsl.syntax.tree import (
    All,
    Block,
    CallExpression,
    Edge,
    File,
    Graph,
    GraphStatement,
    Let,
    Node,
    Reference,
    Setting,
    ShareStatement,
    Statement,
    String,
    Target,
    Use,
    Value,
)
from ktgdsl.syntax.walk import children
from ktgdsl.vocabulary.entry import Entry, alternatives
from ktgdsl.vocabulary.networks import expand_shorthand
from ktgdsl.vocabulary.registry import KINDS, entry, kinds_of, settings_of

Role = Literal[
    "node", "let", "phase", "graph", "word", "setting", "argument", "choice", "tap", "head", "file"
]


class Mention(NamedTuple):
    """A name at a place.

    `owner` is the kind of a word, the block of a setting, `kind:word` of an argument, the node of
    a tap, and the setting or argument that a choice is of.
    """

    span: Span
    name: str
    role: Role
    owner: str = ""
    declares: bool = False


class Wanted(NamedTuple):
    """The values that are expected at a place: kinds of words or of references, or single words.

    `bases` are classes that an entry has to be one of, none where its kind says all.
    """

    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    owner: str = ""
    bases: tuple[type[Entry], ...] = ()

    def takes(self, found: type[Entry]) -> bool:
        """Whether a word of one of the kinds may stand."""
        return not self.bases or issubclass(found, self.bases)


ANYTHING = Wanted(KINDS)


def wanted_of(field: FieldInfo | None, owner: str) -> Wanted:
    """The values that a setting or argument expects; `owner` is its full name."""
    if field is None:
        return Wanted(owner=owner)
    types = alternatives(field.annotation)
    inner = [a for t in types if get_origin(t) is list for a in alternatives(get_args(t)[0])]
    bases = tuple(t for t in types if isinstance(t, type) and issubclass(t, Entry))
    kinds = [base.kind for base in bases]
    if points_at := referenced_kind(field):
        kinds.append(points_at.removesuffix("s"))
        owner = ""  # of both ends of an edge
    words = [w for t in (*types, *inner) if get_origin(t) is Literal for w in get_args(t)]
    words += ["true", "false"] if bool in types else []
    return Wanted(tuple(kinds), tuple(map(str, words)), owner, bases)


def parameter_at(found: type[Entry], position: int) -> str | None:
    """The parameter that an argument without a name is of, by its position."""
    names = found.positions()
    return found.variadic or (names[position] if position < len(names) else None)


def entry_called(name: str, kinds: Sequence[str]) -> tuple[str, type[Entry] | None] | None:
    """The first of the kinds that has a word, with its entry; a short form has none."""
    for kind in kinds:
        if kind in KINDS and (found := entry(kind, name)):
            return kind, found
        if kind == "network" and expand_shorthand(name):
            return kind, None
    return None


def mentions(
    source: Source, tree: File, lets: Collection[str], nodes: Collection[str]
) -> tuple[Mention, ...]:
    """Every name in the tree of a source, in the order of the text.

    `lets` and `nodes` are the names that there are, in whatever file.
    """
    reader = _Reader(source.text, lets, nodes)
    return tuple(sorted(reader.read(tree), key=lambda each: each.span))


class _Reader:
    """Goes through statements. What a `let` stands for follows from where it is mentioned."""

    def __init__(self, text: str, lets: Collection[str], nodes: Collection[str]) -> None:
        self._text, self._lets, self._nodes = text, lets, nodes
        self._use_of_let: dict[str, Wanted] = {}

    def read(self, tree: File) -> Iterator[Mention]:
        lets = [each for each in tree.statements if isinstance(each, Let)]
        for statement in tree.statements:
            yield from self._statement(statement)
        while lets:  # a `let` after those that mention it, as far as there is such an order
            known = next((each for each in lets if each.name in self._use_of_let), lets[0])
            lets.remove(known)
            yield from self._value(known.value, self._use_of_let.get(known.name, ANYTHING))

    def _statement(self, statement: Statement) -> Iterator[Mention]:
        match statement:
            case Let(name=name, name_span=span):
                yield Mention(span, name, "let", declares=True)
            case Use(file=file):
                yield Mention(file.span, file.value, "file")
            case Graph(name=name, span=span):
                yield self._title(span, "graph", name, "graph")
                for member in statement.statements:
                    yield from self._member(member)
            case Block(kind=kind, name=title, subject=subject):
                if title is not None:
                    yield self._title(statement.span, kind, title, "phase")
                if subject is not None:
                    yield from self._value(subject, Wanted(("dataset",)))
                yield from self._settings(statement.settings, kind)

    def _title(self, span: Span, keyword: str, name: str, role: Role) -> Mention:
        """The name after the keyword of a statement; there may be comments between."""
        blank = _BLANK.match(self._text, span.start + len(keyword))
        start = blank.end() if blank else span.start
        place = Span(span.path, start, start + len(name))
        return Mention(place, name, role, declares=True)

    def _member(self, member: GraphStatement) -> Iterator[Mention]:
        match member:
            case Node():
                for declared in member.names:
                    place = _start(declared.span, declared.name)
                    yield Mention(place, declared.name, "node", declares=True)
                    if declared.size is not None:
                        yield from self._value(declared.size, Wanted())
                yield from self._value(member.network, Wanted(("network",)))
                yield from self._settings(member.settings, "node")
            case Target():
                yield from self._endpoints(member.names)
            case ShareStatement():
                yield from self._endpoints(member.names)
                yield from self._settings(member.settings, "share")
            case Edge():
                yield from self._endpoints((*member.sources, *member.destinations))
                for term in member.terms:
                    if term.loss is not None:
                        yield from self._value(term.loss, Wanted(("loss",)))
                    if term.gate is not None:
                        yield from self._value(term.gate, Wanted(("gate",)))

    def _settings(self, settings: Sequence[Setting], block: str) -> Iterator[Mention]:
        fields = settings_of(block).model_fields
        for setting in settings:
            yield Mention(setting.name_span, setting.name, "setting", block)
            owner = f"{block}.{setting.name}"
            yield from self._value(setting.value, wanted_of(fields.get(setting.name), owner))

    def _endpoints(self, references: Sequence[Reference]) -> Iterator[Mention]:
        for reference in references:
            yield from self._reference(reference)

    def _reference(self, reference: Reference) -> Iterator[Mention]:
        if reference.name in self._nodes:
            yield Mention(_start(reference.span, reference.name), reference.name, "node")
        if reference.index is not None and not isinstance(reference.index, All):
            yield from self._value(reference.index, Wanted())
        if reference.tap is not None:
            yield from self._value(reference.tap, Wanted(("layer",), owner=reference.name))

    def _value(self, value: Value, wanted: Wanted) -> Iterator[Mention]:
        match value:
            case CallExpression():
                yield from self._call(value, wanted)
            case Reference(index=None) if "layer" in wanted.kinds:  # `stage2.pre`
                yield Mention(value.span, value.name, "tap", wanted.owner)
            case Reference():
                yield from self._reference(value)
            case String() if "layer" in wanted.kinds:
                yield Mention(value.span, value.value, "tap", wanted.owner)
            case _:
                for part in children(value):
                    yield from self._value(part, wanted)  # type: ignore[arg-type]  # a value

    def _call(self, call: CallExpression, wanted: Wanted) -> Iterator[Mention]:
        found = entry_called(call.name, wanted.kinds)
        mention = self._named(call, wanted, found[0] if found else None)
        if mention is not None:
            yield mention
        entry = found[1] if found and mention and mention.role == "word" else None
        owner = f"{found[0]}:{call.name}" if found else ""
        for position, argument in enumerate(call.arguments):
            name = argument.name
            if name is not None:
                yield Mention(_start(argument.span, name), name, "argument", owner)
            elif entry is not None:
                name = parameter_at(entry, position)
            field = entry.model_fields.get(name) if entry and name else None
            yield from self._value(argument.value, wanted_of(field, f"{owner}.{name}"))

    def _named(self, call: CallExpression, wanted: Wanted, kind: str | None) -> Mention | None:
        """The role of the name of a call, or of a bare name, found as the compiler does."""
        name, span = call.name, call.name_span
        if name in self._lets and not call.arguments:
            self._use_of_let.setdefault(name, wanted)
            return Mention(span, name, "let")
        if kind is not None:
            return Mention(span, name, "word", kind)
        if call.arguments:
            others = kinds_of(name)
            return Mention(span, name, "word", others[0]) if others else None
        if name in wanted.words:
            return Mention(span, name, "choice", wanted.owner)
        roles: dict[str, Role] = {"phase": "phase", "layer": "tap", "head": "head"}
        for kind in wanted.kinds:
            if kind in roles:
                return Mention(span, name, roles[kind], wanted.owner)
        if name in self._nodes:
            return Mention(span, name, "node")
        others = kinds_of(name)
        return Mention(span, name, "word", others[0]) if others else None


def _start(span: Span, name: str) -> Span:
    """The name that a span begins with."""
    return span._replace(end=span.start + len(name))


_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
