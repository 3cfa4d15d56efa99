"""Parse to tree: the Lark transformer that makes a node of each rule, with its place."""

from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NamedTuple

from lark import Token, Transformer, v_args

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax import tree as s
from ktgdsl.syntax.tokens import end_offset, start_offset

source_path: ContextVar[str] = ContextVar("source_path")
"""The path of the source that is being parsed, for the spans of its nodes.

The transformer is part of the one parser that all parses share: so it makes nodes while Lark
parses, and no tree of Lark's own stands between.
"""

_ESCAPES = {"n": "\n", "t": "\t"}


class _Enclosed(NamedTuple):
    """The content of brackets or braces, and the offset after the closing one."""

    content: Any
    end: int


def _span(first: Token, end: int) -> Span:
    return Span(source_path.get(), start_offset(first), end)


def _token_span(token: Token) -> Span:
    return Span(source_path.get(), start_offset(token), end_offset(token))


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """One method for each rule or alias; its arguments are tokens and what other rules made."""

    # Statements

    def file(self, *statements: s.Statement) -> tuple[s.Statement, ...]:
        return statements

    def graph(self, keyword: Token, name: Token, _: Token, *rest: Any) -> s.Graph:
        *members, closing = rest
        span = _span(keyword, end_offset(closing))
        return s.Graph(span=span, name=name.value, statements=tuple(members))

    def data(self, keyword: Token, subject: s.Value, *block: _Enclosed) -> s.Block:
        settings, stop = block[0] if block else ((), subject.span.end)
        return s.Block(span=_span(keyword, stop), kind="data", subject=subject, settings=settings)

    def train(self, keyword: Token, block: _Enclosed) -> s.Block:
        return s.Block(span=_span(keyword, block.end), kind="train", settings=block.content)

    def pretrain(self, keyword: Token, block: _Enclosed) -> s.Block:
        return s.Block(span=_span(keyword, block.end), kind="pretrain", settings=block.content)

    def search(self, keyword: Token, block: _Enclosed) -> s.Block:
        return s.Block(span=_span(keyword, block.end), kind="search", settings=block.content)

    def phase(self, keyword: Token, name: Token, block: _Enclosed) -> s.Block:
        span = _span(keyword, block.end)
        return s.Block(span=span, kind="phase", name=name.value, settings=block.content)

    def settings(self, _: Token, *rest: Any) -> _Enclosed:
        *settings, closing = rest
        return _Enclosed(tuple(settings), end_offset(closing))

    def setting(self, name: Token, _: Token, value: s.Value) -> s.Setting:
        span = _span(name, value.span.end)
        return s.Setting(span=span, name=name.value, name_span=_token_span(name), value=value)

    def let(self, keyword: Token, *rest: Any) -> s.Let:
        *each, name, _, value = rest
        return s.Let(
            span=_span(keyword, value.span.end),
            name=name.value,
            name_span=_token_span(name),
            each=bool(each),
            value=value,
        )

    def use(self, keyword: Token, path: Token) -> s.Use:
        return s.Use(span=_span(keyword, end_offset(path)), file=self.string(path))

    # What stands in a graph

    def node(self, keyword: Token, *rest: Any) -> s.Node:
        *names, _, network, block = rest if isinstance(rest[-1], _Enclosed) else (*rest, None)
        settings, stop = block or ((), network.span.end)
        span = _span(keyword, stop)
        return s.Node(span=span, names=tuple(names[::2]), network=network, settings=settings)

    def declared(self, name: Token, size: _Enclosed | None = None) -> s.Declared:
        content, stop = size or (None, end_offset(name))
        return s.Declared(span=_span(name, stop), name=name.value, size=content)

    def target(self, keyword: Token, names: _Enclosed) -> s.Target:
        return s.Target(span=_span(keyword, names.end), names=names.content)

    def share(self, keyword: Token, names: _Enclosed, block: _Enclosed) -> s.ShareStatement:
        span = _span(keyword, block.end)
        return s.ShareStatement(span=span, names=names.content, settings=block.content)

    def edge(
        self, keyword: Token, sources: _Enclosed, arrow: Token, to: _Enclosed, *rest: Any
    ) -> s.Edge:
        terms = tuple(part for part in rest if isinstance(part, s.Term))
        return s.Edge(
            span=_span(keyword, terms[-1].span.end if terms else to.end),
            sources=sources.content,
            arrow=arrow.value,
            destinations=to.content,
            terms=terms,
        )

    def unary_edge(self, keyword: Token, sources: _Enclosed, *rest: Any) -> s.Edge:
        terms = tuple(part for part in rest if isinstance(part, s.Term))
        span = _span(keyword, terms[-1].span.end)
        return s.Edge(span=span, sources=sources.content, arrow=None, destinations=(), terms=terms)

    def term(self, loss: s.Value, via: s.Term | None = None) -> s.Term:
        if via is None:
            return s.Term(span=loss.span, loss=loss, gate=None)
        return s.Term(span=loss.span.to(via.span), loss=loss, gate=via.gate)

    def via(self, keyword: Token, gate: s.Value) -> s.Term:
        return s.Term(span=_span(keyword, gate.span.end), loss=None, gate=gate)

    def references(self, first: Any, *rest: Any) -> _Enclosed:
        if isinstance(first, Token):
            return _Enclosed(rest[:-1:2], end_offset(rest[-1]))
        names = (first, *rest[1::2])
        return _Enclosed(names, names[-1].span.end)

    def reference(self, name: Token, *places: Any) -> s.Reference:
        stop = end_offset(name)
        index: s.Value | s.All | None = None
        tap: s.Value | None = None
        for place in places:
            if isinstance(place, _Enclosed):
                index, stop = place
            else:
                tap, stop = place, place.span.end
        return s.Reference(span=_span(name, stop), name=name.value, index=index, tap=tap)

    place = reference

    def size(self, _: Token, value: s.Value, closing: Token) -> _Enclosed:
        return _Enclosed(value, end_offset(closing))

    def index(self, _: Token, value: Any, closing: Token) -> _Enclosed:
        if isinstance(value, Token):
            value = s.All(span=_token_span(value))
        return _Enclosed(value, end_offset(closing))

    def tap(self, _: Token, place: Any, *pre: Token) -> s.Value:
        if pre:  # the same place as its path between quotes
            span = _span(place, end_offset(pre[-1]))
            return s.String(span=span, value=f"{place.value}.{pre[-1].value}")
        if isinstance(place, Token):
            return self.name(place) if place.type == "NAME" else self.string(place)
        value: s.Value = place
        return value

    # Values

    def choice(self, *parts: Any) -> s.Choice:
        # Nesting says nothing more, so `(a | b) | c` is `a | b | c`.
        options: list[s.Value] = []
        for value in parts[::2]:
            options.extend(value.options if isinstance(value, s.Choice) else (value,))
        return s.Choice(span=parts[0].span.to(parts[-1].span), options=tuple(options))

    def range(self, low: s.Value, _: Token, high: s.Value) -> s.Range:
        return s.Range(span=low.span.to(high.span), low=low, high=high)

    def sum(self, left: s.Value, sign: Token, right: s.Value) -> s.Binary:
        span = left.span.to(right.span)
        return s.Binary(span=span, operator=sign.value, left=left, right=right)

    product = sum

    def negative(self, sign: Token, operand: s.Value) -> s.Unary:
        return s.Unary(span=_span(sign, operand.span.end), operator="-", operand=operand)

    def group(self, opening: Token, value: s.Value, closing: Token) -> s.Value:
        # The parentheses count to the value's place, so that all that holds it covers them.
        return replace(value, span=_span(opening, end_offset(closing)))

    def list(self, opening: Token, *rest: Any) -> s.List:
        return s.List(span=_span(opening, end_offset(rest[-1])), items=rest[:-1:2])

    def call(self, name: Token, _: Token, *rest: Any) -> s.CallExpression:
        return s.CallExpression(
            span=_span(name, end_offset(rest[-1])),
            name=name.value,
            name_span=_token_span(name),
            arguments=rest[:-1:2],
        )

    def positional(self, value: s.Value) -> s.Argument:
        return s.Argument(span=value.span, name=None, value=value)

    def named(self, name: Token, _: Token, value: s.Value) -> s.Argument:
        return s.Argument(span=_span(name, value.span.end), name=name.value, value=value)

    # Values of one word

    def number(self, token: Token) -> s.Number:
        return s.Number(span=_token_span(token), value=_number(token.value))

    def percent(self, token: Token) -> s.PercentLiteral:
        return s.PercentLiteral(span=_token_span(token), value=_number(token.value[:-1]))

    def steps(self, token: Token, word: Token) -> s.StepsLiteral:
        number = s.Number(span=_token_span(token), value=_number(token.value))
        return s.StepsLiteral(span=_span(token, end_offset(word)), number=number)

    def string(self, token: Token) -> s.String:
        return s.String(span=_token_span(token), value=_unescape(token.value[1:-1]))

    def boolean(self, token: Token) -> s.Boolean:
        return s.Boolean(span=_token_span(token), value=token.type == "TRUE")

    def name(self, token: Token) -> s.CallExpression:
        span = _token_span(token)
        return s.CallExpression(span=span, name=token.value, name_span=span)


tree_builder: Transformer[Token, Any] = _Builder()
"""The transformer that Lark calls for each rule of the grammar."""


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    # Python refuses to read very long integers, and zeros in front make them no larger.
    return int(digits.lstrip("0") or "0") if digits.isdigit() else float(text)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    chars = iter(text)
    return "".join(_ESCAPES.get(c := next(chars), c) if char == "\\" else char for char in chars)
