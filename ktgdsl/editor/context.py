"""The syntactic context of a place in an unfinished text, from the tokens before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lark import Token

from ktgdsl.editor.mentions import ANYTHING, Wanted, entry_called, parameter_at, wanted_of
from ktgdsl.syntax.boundaries import MEMBERS, STATEMENTS, TOP_LEVEL
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.registry import settings_of

_SETTINGS = {"DATA", "TRAIN", "PRETRAIN", "SEARCH", "PHASE", "NODE", "SHARE"}
_CLOSES = {"RPAR": "LPAR", "RBRACKET": "LBRACKET", "RBRACE": "LBRACE"}
_ENDS = frozenset(
    ("NAME", "PRE", "NUMBER", "PERCENT", "STEPS", "STRING", "TRUE", "FALSE", "LABEL", *_CLOSES)
)
_INDEX = "INDEX"
"""The bracket of `p[0]`, in the place of `LBRACKET`."""
_TERMS = ("loss", "gate")

Endpoint = Literal["source", "node"]


class Context(NamedTuple):
    """What may be written at a place.

    `settings` is the block whose settings may, `arguments` the kind and word whose arguments
    may; `present` are those that are there already. `tap_of` is the node inside of which a place
    may be named. `endpoint` says that nodes may stand, as a source the labels, too.
    """

    keywords: tuple[str, ...] = ()
    values: Wanted | None = None
    settings: str = ""
    arguments: tuple[str, type[Entry]] | None = None
    present: frozenset[str] = frozenset()
    tap_of: str = ""
    endpoint: Endpoint | None = None


@dataclass
class _Frame:
    """A bracket that is open, or the statement itself, while its tokens are read."""

    opening: str = ""
    callee: tuple[str, type[Entry]] | None = None
    wanted: Wanted = field(default_factory=Wanted)
    state: str = "start"
    """`start`: something has to stand; `value`: a value; `done`: it is there, more may follow."""
    position: int = 0
    present: set[str] = field(default_factory=set)


def context_at(tokens: Sequence[Token]) -> Context:
    """The context after the tokens, which are all those before a place."""
    begin = next((i for i in reversed(range(len(tokens))) if tokens[i].type in STATEMENTS), None)
    if begin is None:
        return Context(keywords=_lower(TOP_LEVEL))
    statement = _Statement(tokens[begin].type, _in_graph(tokens, begin))
    for i in range(begin + 1, len(tokens)):
        statement.read(tokens, i)
    return statement.context(tokens)


def _in_graph(tokens: Sequence[Token], begin: int) -> bool:
    """Whether the statement that begins there stands in a graph, whose brace is open."""
    if tokens[begin].type not in MEMBERS:
        return False
    for i in reversed(range(begin)):
        if tokens[i].type in TOP_LEVEL:
            types = [token.type for token in tokens[i:begin]]
            return types[0] == "GRAPH" and types.count("LBRACE") > types.count("RBRACE")
    return False


def _lower(kinds: Sequence[str]) -> tuple[str, ...]:
    return tuple(kind.lower() for kind in kinds)


class _Statement:
    """One statement while its tokens are read, from its keyword on."""

    def __init__(self, keyword: str, in_graph: bool) -> None:
        self._keyword, self._in_graph = keyword, in_graph
        self._frames = [_Frame()]
        self._part = "head"  # of an edge: head, destination, loss, gate; of others: head, value
        if keyword == "DATA":
            self._part, self._frames[0].wanted = "value", Wanted(("dataset",))
        self._closed = False

    def read(self, tokens: Sequence[Token], i: int) -> None:
        """Take the next token."""
        token, frame = tokens[i], self._frames[-1]
        kind = token.type
        if kind in ("LPAR", "LBRACKET", "LBRACE"):
            self._open(tokens, i)
        elif kind in _CLOSES:
            self._close(kind)
        elif frame.opening == "LBRACE":
            self._in_settings(frame, token, tokens, i)
        elif kind == "EQUALS" and frame.opening == "LPAR" and frame.callee is not None:
            self._named(frame, tokens[i - 1].value)
        elif kind == "COMMA" and frame.opening:
            self._next(frame)
        elif len(self._frames) == 1:
            self._at_head(frame, kind)
        else:
            frame.state = "done" if kind in _ENDS else "value"

    @property
    def _at_endpoint(self) -> bool:
        """Whether nodes stand outside of brackets, of an edge at either end."""
        is_kind = self._keyword in ("EDGE", "TARGET", "SHARE")
        return is_kind and self._part in ("head", "destination")

    @property
    def _endpoint(self) -> Endpoint:
        return "source" if self._keyword == "EDGE" and self._part == "head" else "node"

    def _open(self, tokens: Sequence[Token], i: int) -> None:
        frame, before, kind = self._frames[-1], tokens[i - 1], tokens[i].type
        if kind == "LBRACE":
            if self._keyword == "GRAPH":
                self._in_graph, self._closed = True, True
            else:
                self._frames.append(_Frame("LBRACE"))
        elif kind == "LPAR" and before.type == "NAME" and frame.state == "done":
            callee = entry_called(before.value, frame.wanted.kinds or ANYTHING.kinds)
            found = (callee[0], callee[1]) if callee and callee[1] else None
            inner = _Frame("LPAR", found, state="start")
            self._frames.append(inner)
            self._positional(inner)
        elif kind == "LPAR" and before.type == "DOT":
            inside = Wanted(("layer",), owner=_before_dot(tokens[:i]))
            self._frames.append(_Frame(kind, None, inside))
        elif kind == "LBRACKET" and before.type == "NAME":
            self._frames.append(_Frame(_INDEX))
        else:
            self._frames.append(_Frame(kind, None, frame.wanted))

    def _close(self, kind: str) -> None:
        if len(self._frames) > 1:
            opening = (_CLOSES[kind], _INDEX if kind == "RBRACKET" else "")
            while len(self._frames) > 1 and self._frames.pop().opening not in opening:
                pass
            self._frames[-1].state = "done"
            self._closed = self._closed or kind == "RBRACE"
        elif kind == "RBRACE":
            self._in_graph, self._closed = False, True

    def _in_settings(self, frame: _Frame, token: Token, tokens: Sequence[Token], i: int) -> None:
        if token.type == "EQUALS":
            name, block = tokens[i - 1].value, self._keyword.lower()
            frame.present.add(name)
            fields = settings_of(block).model_fields if self._keyword in _SETTINGS else {}
            frame.wanted = wanted_of(fields.get(name), f"{block}.{name}")
            frame.state = "value"
        elif token.type in _ENDS:
            frame.state = "done"
        else:
            frame.state = "value"

    def _named(self, frame: _Frame, name: str) -> None:
        assert frame.callee is not None
        kind, entry = frame.callee
        frame.present.add(name)
        frame.wanted = wanted_of(entry.model_fields.get(name), f"{kind}:{entry.word}.{name}")
        frame.state = "value"

    def _next(self, frame: _Frame) -> None:
        frame.state = "start"
        if frame.opening == "LPAR":
            frame.position += 1
            self._positional(frame)

    def _positional(self, frame: _Frame) -> None:
        """Set what is expected as the positional argument at the position of a frame."""
        if frame.callee is not None:
            kind, entry = frame.callee
            name = parameter_at(entry, frame.position) if not frame.present else None
            field = entry.model_fields.get(name) if name else None
            frame.wanted = wanted_of(field, f"{kind}:{entry.word}.{name}")

    def _at_head(self, frame: _Frame, kind: str) -> None:
        """A token outside of brackets."""
        if self._keyword == "EDGE" and kind in ("ARROW", "BOTH"):
            self._part, frame.state = "destination", "start"
        elif self._keyword == "EDGE" and (kind in ("COLON", "VIA") or self._part in _TERMS):
            if kind == "COLON" or (kind == "COMMA" and self._part in _TERMS):
                self._part, frame.wanted = "loss", Wanted(("loss",))
            elif kind == "VIA":
                self._part, frame.wanted = "gate", Wanted(("gate",))
            frame.state = "done" if kind in _ENDS else "value"
        elif kind == "EQUALS":
            self._part, frame.state = "value", "value"
            frame.wanted = Wanted(("network",)) if self._keyword == "NODE" else ANYTHING
        elif kind == "EACH":
            frame.state = "each"
        elif kind == "STAR" and self._part in ("head", "destination"):
            frame.state = "done"
        else:
            frame.state = "done" if kind in _ENDS else "start"

    def context(self, tokens: Sequence[Token]) -> Context:
        """The context after the tokens so far."""
        frame, last = self._frames[-1], tokens[-1].type
        if last == "DOT":
            return Context(tap_of=_before_dot(tokens))
        if frame.opening == "LBRACE":
            if frame.state == "value":
                return Context(values=frame.wanted)
            block = self._keyword.lower() if self._keyword in _SETTINGS else ""
            return Context(settings=block, present=frozenset(frame.present))
        if frame.opening:
            if frame.state == "done":
                return Context()
            if len(self._frames) == 2 and frame.opening == "LBRACKET" and self._at_endpoint:
                return Context(endpoint=self._endpoint)
            arguments = frame.callee if frame.state == "start" else None
            return Context(
                values=frame.wanted, arguments=arguments, present=frozenset(frame.present)
            )
        return self._head_context(frame)

    def _head_context(self, frame: _Frame) -> Context:
        """The context outside of brackets."""
        following = _lower(MEMBERS if self._in_graph else TOP_LEVEL)
        if self._closed and frame.state != "value":
            return Context(keywords=following)
        if self._part in ("value", *_TERMS):
            if frame.state == "done":
                via = ("via",) if self._part == "loss" else ()
                return Context(keywords=(*via, *following))
            return Context(values=frame.wanted)
        if self._at_endpoint:
            if frame.state == "done":
                via = ("via",) if self._part == "destination" else ()
                return Context(keywords=(*via, *following))
            return Context(endpoint=self._endpoint)
        if self._keyword == "LET" and frame.state == "start":
            return Context(keywords=("each",))
        return Context()


def _before_dot(tokens: Sequence[Token]) -> str:
    """The name whose inside a dot at the end leads to: `a` of `a.` and of `a[0].`."""
    i = len(tokens) - 2
    if i >= 0 and tokens[i].type == "RBRACKET":
        while i >= 0 and tokens[i].type != "LBRACKET":
            i -= 1
        i -= 1
    return tokens[i].value if i >= 0 else ""
