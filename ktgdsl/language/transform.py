"""Lark's tree to ours, with the exact place of every part."""

from typing import Any

from lark import Tree

from ktgdsl.language import syntax as s
from ktgdsl.language.make import make
from ktgdsl.language.source import Span
from ktgdsl.language.tokens import Token

_Parts = list[Any]

_ESCAPES = {"n": "\n", "t": "\t"}


class Builder:
    """Turns the tree of one source into ours: one method for each rule of the grammar."""

    def __init__(self, path: str) -> None:
        self._path = path

    def build(self, part: Any) -> Any:
        """The part of our tree that a rule's tree, or a token that is a value, stands for."""
        if isinstance(part, Token):
            return self._atom(part)
        return getattr(self, f"_on_{part.data}")(part.children)

    def span(self, first: Any, last: Any) -> Span:
        """From the start of `first` to the end of `last`, tokens or parts of our tree."""
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self._path, start, end)

    # Statements

    def _on_file(self, parts: _Parts) -> tuple[s.Syntax, ...]:
        return tuple(self.build(part) for part in parts)

    def _on_graph(self, parts: _Parts) -> s.Graph:
        members = tuple(self.build(part) for part in parts[3:-1])
        return make(
            s.Graph, self.span(parts[0], parts[-1]), name=parts[1].value, statements=members
        )

    def _on_member(self, parts: _Parts) -> s.Syntax:
        member: s.Syntax = self.build(parts[0])
        return member

    def _on_data(self, parts: _Parts) -> s.Block:
        subject = self.build(parts[1])
        settings, last = self._settings(parts[2], subject)
        return make(
            s.Block, self.span(parts[0], last), kind="data", subject=subject, settings=settings
        )

    def _on_train(self, parts: _Parts) -> s.Block:
        return self._block("train", parts)

    def _on_search(self, parts: _Parts) -> s.Block:
        return self._block("search", parts)

    def _on_phase(self, parts: _Parts) -> s.Block:
        return self._block("phase", parts, name=parts[1].value)

    def _on_let(self, parts: _Parts) -> s.Let:
        keyword, each, name, _, written = parts
        value = self.build(written)
        return make(
            s.Let,
            self.span(keyword, value),
            name=name.value,
            name_span=self.span(name, name),
            each=each is not None,
            value=value,
        )

    def _on_use(self, parts: _Parts) -> s.Use:
        return make(s.Use, self.span(parts[0], parts[1]), file=self.build(parts[1]))

    def _on_node(self, parts: _Parts) -> s.Node:
        *names, _, written, block = parts[1:]
        network = self.build(written)
        settings, last = self._settings(block, network)
        return make(
            s.Node,
            self.span(parts[0], last),
            names=tuple(self.build(name) for name in names if _is_tree(name)),
            network=network,
            settings=settings,
        )

    def _on_declared(self, parts: _Parts) -> s.Declared:
        name, size = parts
        if size is None:
            return make(s.Declared, self.span(name, name), name=name.value, size=None)
        _, count, closing = size.children
        return make(s.Declared, self.span(name, closing), name=name.value, size=self.build(count))

    def _on_target(self, parts: _Parts) -> s.Target:
        names, last = self._references(parts[1])
        return make(s.Target, self.span(parts[0], last), names=names)

    def _on_share(self, parts: _Parts) -> s.Share:
        names, _ = self._references(parts[1])
        settings, last = self._settings(parts[2], None)
        return make(s.Share, self.span(parts[0], last), names=names, settings=settings)

    def _on_edge(self, parts: _Parts) -> s.Edge:
        keyword, before, arrow, after, *rest = parts
        sources, _ = self._references(before)
        destinations, last = self._references(after)
        terms = self._terms(rest)
        return make(
            s.Edge,
            self.span(keyword, terms[-1] if terms else last),
            sources=sources,
            arrow=arrow.value,
            destinations=destinations,
            terms=terms,
        )

    def _on_unary_edge(self, parts: _Parts) -> s.Edge:
        sources, _ = self._references(parts[1])
        terms = self._terms(parts[2:])
        return make(
            s.Edge,
            self.span(parts[0], terms[-1]),
            sources=sources,
            arrow=None,
            destinations=(),
            terms=terms,
        )

    def _on_term(self, parts: _Parts) -> s.Term:
        loss = self.build(parts[0])
        gate = None if parts[1] is None else self.build(parts[1].children[1])
        return make(s.Term, self.span(loss, gate or loss), loss=loss, gate=gate)

    def _on_via(self, parts: _Parts) -> s.Term:
        gate = self.build(parts[1])
        return make(s.Term, self.span(parts[0], gate), loss=None, gate=gate)

    def _on_reference(self, parts: _Parts) -> s.Reference:
        return self._reference(parts[0], parts[1], parts[2])

    def _on_setting(self, parts: _Parts) -> s.Setting:
        name, _, written = parts
        value = self.build(written)
        return make(
            s.Setting,
            self.span(name, value),
            name=name.value,
            name_span=self.span(name, name),
            value=value,
        )

    # Values

    def _on_value(self, parts: _Parts) -> s.Value:
        return self._value(parts[0])

    def _on_choice(self, parts: _Parts) -> s.Choice:
        # Nesting says nothing more, so `(a | b) | c` is `a | b | c`.
        written = [self._value(part) for part in parts[::2]]
        options: list[s.Value] = []
        for value in written:
            options.extend(value.options if isinstance(value, s.Choice) else (value,))
        return make(s.Choice, self.span(written[0], written[-1]), options=tuple(options))

    def _on_range(self, parts: _Parts) -> s.Range:
        low, high = self._value(parts[0]), self._value(parts[2])
        return make(s.Range, self.span(low, high), low=low, high=high)

    def _on_sum(self, parts: _Parts) -> s.Binary:
        left, right = self._value(parts[0]), self._value(parts[2])
        operator = parts[1].value
        return make(s.Binary, self.span(left, right), operator=operator, left=left, right=right)

    _on_product = _on_sum

    def _on_negative(self, parts: _Parts) -> s.Unary:
        operand = self._value(parts[1])
        return make(s.Unary, self.span(parts[0], operand), operator="-", operand=operand)

    def _on_group(self, parts: _Parts) -> s.Value:
        # The parentheses count to the value's place, so that all that holds it covers them.
        value = self._value(parts[1])
        return value.model_copy(update={"span": self.span(parts[0], parts[2])})

    def _on_list(self, parts: _Parts) -> s.List:
        items = (part for part in parts[1:-1] if part is not None)
        values = (self._value(part) for part in items if not _is(part, "COMMA"))
        return make(s.List, self.span(parts[0], parts[-1]), items=tuple(values))

    def _on_call(self, parts: _Parts) -> s.Call:
        name = parts[0]
        return make(
            s.Call,
            self.span(name, parts[-1]),
            name=name.value,
            name_span=self.span(name, name),
            arguments=tuple(self.build(part) for part in parts if _is_tree(part)),
        )

    def _on_positional(self, parts: _Parts) -> s.Argument:
        value = self.build(parts[0])
        return make(s.Argument, value.span, name=None, value=value)

    def _on_named(self, parts: _Parts) -> s.Argument:
        value = self.build(parts[2])
        return make(s.Argument, self.span(parts[0], value), name=parts[0].value, value=value)

    def _on_place(self, parts: _Parts) -> s.Reference:
        index = parts[1] if _is_rule(parts[1], "index") else None
        tap = parts[-1] if _is_rule(parts[-1], "tap") else None
        return self._reference(parts[0], index, tap)

    # Helpers

    def _value(self, part: Any) -> s.Value:
        value: s.Value = self.build(part)
        return value

    def _block(self, kind: str, parts: _Parts, name: str | None = None) -> s.Block:
        settings, last = self._settings(parts[-1], None)
        span = self.span(parts[0], last)
        return make(s.Block, span, kind=kind, name=name, settings=settings)

    def _settings(self, block: Any, before: Any) -> tuple[tuple[s.Setting, ...], Any]:
        """The settings of an optional block, and the last part of the statement."""
        if block is None:
            return (), before
        closing = block.children[-1]
        return tuple(self.build(part) for part in block.children[1:-1]), closing

    def _terms(self, parts: _Parts) -> tuple[s.Term, ...]:
        return tuple(self.build(part) for part in parts if _is_tree(part))

    def _references(self, written: Any) -> tuple[tuple[s.Reference, ...], Any]:
        """The references of a list, and its last part: a bracket or a reference."""
        references = tuple(self.build(part) for part in written.children if _is_tree(part))
        bracketed = _is(written.children[-1], "RBRACKET")
        return references, written.children[-1] if bracketed else references[-1]

    def _reference(self, name: Token, index: Any, tap: Any) -> s.Reference:
        last: Any = name
        inside: s.Value | s.All | None = None
        if index is not None:
            written, last = index.children[1], index.children[2]
            star = _is(written, "STAR")
            inside = make(s.All, self.span(written, written)) if star else self.build(written)
        place: s.Value | None = None
        if tap is not None:
            place = last = self._value(tap.children[1])
        return make(s.Reference, self.span(name, last), name=name.value, index=inside, tap=place)

    def _atom(self, token: Token) -> s.Value:
        span = self.span(token, token)
        match token.type:
            case "NUMBER":
                return make(s.Number, span, value=_number(token.value))
            case "PERCENT":
                return make(s.Percent, span, value=_number(token.value[:-1]))
            case "STRING":
                return make(s.String, span, value=_unescape(token.value[1:-1]))
            case "TRUE" | "FALSE":
                return make(s.Boolean, span, value=token.type == "TRUE")
            case _:
                return make(s.Call, span, name=token.value, name_span=span, arguments=())


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, Token) and part.type == kind


def _is_tree(part: Any) -> bool:
    return isinstance(part, Tree)


def _is_rule(part: Any, rule: str) -> bool:
    return isinstance(part, Tree) and part.data == rule


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    # Python refuses to read very long integers, and zeros in front make them no larger.
    return int(digits.lstrip("0") or "0") if digits.isdigit() else float(text)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    chars = iter(text)
    return "".join(_ESCAPES.get(c := next(chars), c) if char == "\\" else char for char in chars)
