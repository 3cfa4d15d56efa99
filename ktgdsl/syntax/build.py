"""What each rule of the grammar makes of its parts: our tree, with the place of everything."""

from dataclasses import replace
from typing import Any, NamedTuple

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax import tree as s
from ktgdsl.syntax.machine import Actions
from ktgdsl.syntax.tokens import Token

_Parts = list[Any]

_ESCAPES = {"n": "\n", "t": "\t"}


_new = tuple.__new__  # a named tuple in half the time


class _Enclosed(NamedTuple):
    """What stands between brackets or braces, and where the last of those ends."""

    inside: Any
    end: int


def actions(path: str) -> Actions:
    """What to make of the parts of each rule in the source named `path`."""
    builder = _Builder(path)
    prefix = "on_"
    names = (name for name in dir(builder) if name.startswith(prefix))
    return {name.removeprefix(prefix): getattr(builder, name) for name in names}


class _Builder:
    """One method for each rule; its parts are tokens and what has been made of other rules."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _span(self, first: Token, end: int) -> Span:
        return _new(Span, (self._path, first.start, end))

    # Statements

    def on_file(self, parts: _Parts) -> tuple[s.Syntax, ...]:
        return tuple(parts)

    def on_graph(self, parts: _Parts) -> s.Graph:
        keyword, name, _, *members, closing = parts
        span = self._span(keyword, closing.end)
        return s.Graph(span=span, name=name.value, statements=tuple(members))

    def on_member(self, parts: _Parts) -> s.Syntax:
        member: s.Syntax = parts[0]
        return member

    def on_data(self, parts: _Parts) -> s.Block:
        keyword, subject, *block = parts
        settings, end = block[0] if block else ((), subject.span.end)
        span = self._span(keyword, end)
        return s.Block(span=span, kind="data", subject=subject, settings=settings)

    def on_train(self, parts: _Parts) -> s.Block:
        return self._block("train", parts)

    def on_search(self, parts: _Parts) -> s.Block:
        return self._block("search", parts)

    def on_phase(self, parts: _Parts) -> s.Block:
        return self._block("phase", parts, name=parts[1].value)

    def _block(self, kind: Any, parts: _Parts, name: str | None = None) -> s.Block:
        settings, end = parts[-1]
        return s.Block(span=self._span(parts[0], end), kind=kind, name=name, settings=settings)

    def on_settings(self, parts: _Parts) -> _Enclosed:
        return _Enclosed(tuple(parts[1:-1]), parts[-1].end)

    def on_setting(self, parts: _Parts) -> s.Setting:
        name, _, value = parts
        return s.Setting(
            span=self._span(name, value.span.end),
            name=name.value,
            name_span=self._span(name, name.end),
            value=value,
        )

    def on_let(self, parts: _Parts) -> s.Let:
        keyword, *each, name, _, value = parts
        return s.Let(
            span=self._span(keyword, value.span.end),
            name=name.value,
            name_span=self._span(name, name.end),
            each=bool(each),
            value=value,
        )

    def on_use(self, parts: _Parts) -> s.Use:
        keyword, path = parts
        return s.Use(span=self._span(keyword, path.end), file=self.on_string([path]))

    # What stands in a graph

    def on_node(self, parts: _Parts) -> s.Node:
        keyword, *parts = parts
        settings: tuple[s.Setting, ...] = ()
        if isinstance(parts[-1], _Enclosed):
            settings, end = parts.pop()
        else:
            end = parts[-1].span.end
        return s.Node(
            span=self._span(keyword, end),
            names=tuple(parts[:-2:2]),
            network=parts[-1],
            settings=settings,
        )

    def on_declared(self, parts: _Parts) -> s.Declared:
        name, *size = parts
        inside, end = size[0] if size else (None, name.end)
        return s.Declared(span=self._span(name, end), name=name.value, size=inside)

    def on_target(self, parts: _Parts) -> s.Target:
        keyword, (names, end) = parts
        return s.Target(span=self._span(keyword, end), names=names)

    def on_share(self, parts: _Parts) -> s.ShareStatement:
        keyword, (names, _), (settings, end) = parts
        return s.ShareStatement(span=self._span(keyword, end), names=names, settings=settings)

    def on_edge(self, parts: _Parts) -> s.Edge:
        keyword, (sources, _), arrow, (destinations, end), *rest = parts
        return self._edge(keyword, sources, arrow.value, destinations, rest, end)

    def on_unary_edge(self, parts: _Parts) -> s.Edge:
        keyword, (sources, end), *rest = parts
        return self._edge(keyword, sources, None, (), rest, end)

    def _edge(
        self, keyword: Token, sources: Any, arrow: Any, to: Any, rest: _Parts, end: int
    ) -> s.Edge:
        terms = tuple(part for part in rest if isinstance(part, s.Term))
        span = self._span(keyword, terms[-1].span.end if terms else end)
        return s.Edge(span=span, sources=sources, arrow=arrow, destinations=to, terms=terms)

    def on_term(self, parts: _Parts) -> s.Term:
        loss, *via = parts
        if not via:
            return s.Term(span=loss.span, loss=loss, gate=None)
        return s.Term(span=loss.span.to(via[0].span), loss=loss, gate=via[0].gate)

    def on_via(self, parts: _Parts) -> s.Term:
        keyword, gate = parts
        return s.Term(span=self._span(keyword, gate.span.end), loss=None, gate=gate)

    def on_references(self, parts: _Parts) -> _Enclosed:
        if isinstance(parts[0], Token):
            return _Enclosed(tuple(parts[1:-1:2]), parts[-1].end)
        return _Enclosed(tuple(parts[::2]), parts[-1].span.end)

    def on_reference(self, parts: _Parts) -> s.Reference:
        name = parts[0]
        end: int = name.end
        index: s.Value | s.All | None = None
        tap: s.Value | None = None
        for part in parts[1:]:
            if isinstance(part, _Enclosed):
                index, end = part
            else:
                tap, end = part, part.span.end
        return s.Reference(span=self._span(name, end), name=name.value, index=index, tap=tap)

    on_place = on_reference

    def on_size(self, parts: _Parts) -> _Enclosed:
        return _Enclosed(parts[1], parts[2].end)

    def on_index(self, parts: _Parts) -> _Enclosed:
        _, inside, closing = parts
        if isinstance(inside, Token):
            inside = s.All(span=self._span(inside, inside.end))
        return _Enclosed(inside, closing.end)

    def on_tap(self, parts: _Parts) -> s.Value:
        place = parts[1]
        if isinstance(place, Token):
            return self.on_name([place]) if place.type == "NAME" else self.on_string([place])
        value: s.Value = place
        return value

    # Values

    def on_value(self, parts: _Parts) -> s.Value:
        value: s.Value = parts[0]
        return value

    def on_choice(self, parts: _Parts) -> s.Choice:
        # Nesting says nothing more, so `(a | b) | c` is `a | b | c`.
        options: list[s.Value] = []
        for value in parts[::2]:
            options.extend(value.options if isinstance(value, s.Choice) else (value,))
        return s.Choice(span=parts[0].span.to(parts[-1].span), options=tuple(options))

    def on_range(self, parts: _Parts) -> s.Range:
        low, _, high = parts
        return s.Range(span=low.span.to(high.span), low=low, high=high)

    def on_sum(self, parts: _Parts) -> s.Binary:
        left, sign, right = parts
        span = left.span.to(right.span)
        return s.Binary(span=span, operator=sign.value, left=left, right=right)

    on_product = on_sum

    def on_negative(self, parts: _Parts) -> s.Unary:
        sign, operand = parts
        return s.Unary(span=self._span(sign, operand.span.end), operator="-", operand=operand)

    def on_group(self, parts: _Parts) -> s.Value:
        # The parentheses count to the value's place, so that all that holds it covers them.
        opening, value, closing = parts
        inside: s.Value = replace(value, span=self._span(opening, closing.end))
        return inside

    def on_list(self, parts: _Parts) -> s.List:
        return s.List(span=self._span(parts[0], parts[-1].end), items=tuple(parts[1:-1:2]))

    def on_call(self, parts: _Parts) -> s.CallExpression:
        name, *rest = parts
        return s.CallExpression(
            span=self._span(name, rest[-1].end),
            name=name.value,
            name_span=self._span(name, name.end),
            arguments=tuple(rest[1:-1:2]),
        )

    def on_positional(self, parts: _Parts) -> s.Argument:
        return s.Argument(span=parts[0].span, name=None, value=parts[0])

    def on_named(self, parts: _Parts) -> s.Argument:
        name, _, value = parts
        return s.Argument(span=self._span(name, value.span.end), name=name.value, value=value)

    # Values of one word

    def on_number(self, parts: _Parts) -> s.Number:
        token = parts[0]
        return s.Number(span=self._span(token, token.end), value=_number(token.value))

    def on_percent(self, parts: _Parts) -> s.PercentLiteral:
        token = parts[0]
        return s.PercentLiteral(span=self._span(token, token.end), value=_number(token.value[:-1]))

    def on_string(self, parts: _Parts) -> s.String:
        token = parts[0]
        return s.String(span=self._span(token, token.end), value=_unescape(token.value[1:-1]))

    def on_true(self, parts: _Parts) -> s.Boolean:
        token = parts[0]
        return s.Boolean(span=self._span(token, token.end), value=token.type == "TRUE")

    on_false = on_true

    def on_name(self, parts: _Parts) -> s.CallExpression:
        token = parts[0]
        span = self._span(token, token.end)
        return s.CallExpression(span=span, name=token.value, name_span=span, arguments=())


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    # Python refuses to read very long integers, and zeros in front make them no larger.
    return int(digits.lstrip("0") or "0") if digits.isdigit() else float(text)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    chars = iter(text)
    return "".join(_ESCAPES.get(c := next(chars), c) if char == "\\" else char for char in chars)
