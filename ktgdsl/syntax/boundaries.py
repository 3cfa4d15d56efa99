"""Statement boundaries: where statements and settings begin, found without parsing.

Statements start with reserved words, so their beginnings stand out whatever is broken
around them. Everything here speaks of tokens by their index.
"""

from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from lark import Token

from ktgdsl.syntax.tokens import starts_line

MAX_LEVELS = 64
"""The greatest depth of nested brackets and operators, with `let`s expanded as well."""

MEMBERS = ("NODE", "TARGET", "EDGE", "SHARE")
TOP_LEVEL = ("GRAPH", "DATA", "TRAIN", "PRETRAIN", "SEARCH", "PHASE", "LET", "USE")
STATEMENTS = frozenset(MEMBERS + TOP_LEVEL)
KEYWORDS = STATEMENTS | {"EACH", "VIA"}
RESERVED = KEYWORDS | {"TRUE", "FALSE", "LABEL"}
_NAMES = RESERVED | {"NAME"}

_ENDS_VALUE = frozenset(
    (
        *("NAME", "PRE", "NUMBER", "PERCENT", "STEPS", "STRING", "TRUE", "FALSE", "LABEL"),
        *("RPAR", "RBRACKET"),
    )
)
_BRACES = frozenset(("LBRACE", "RBRACE"))
_CLOSES = {"RPAR": "LPAR", "RBRACKET": "LBRACKET"}
_ENDPOINTS = frozenset(("NAME", "LABEL", "STAR", "LBRACKET"))
_SEPARATORS = frozenset(("COMMA", "EQUALS", "COLON", "BAR", "DOTS", "VIA", "ARROW", "BOTH"))
_FOLLOWS = {
    **dict.fromkeys(MEMBERS, _ENDPOINTS),
    "GRAPH": frozenset(("NAME", "LBRACE")),
    "PHASE": frozenset(("NAME", "LBRACE")),
    "TRAIN": frozenset(("LBRACE",)),
    "PRETRAIN": frozenset(("LBRACE",)),
    "SEARCH": frozenset(("LBRACE",)),
    "DATA": frozenset(("NAME",)),
    "LET": frozenset(("NAME", "EACH")),
    "USE": frozenset(("STRING",)),
}


class Start(NamedTuple):
    """The first token of a statement; `kind` is the keyword it has, or was meant to have.

    `kind` is "" where words stand that no keyword introduces.
    """

    position: int
    kind: str
    misspelt: bool = False


def _kind(tokens: list[Token], i: int) -> str:
    return tokens[i].type if 0 <= i < len(tokens) else ""


def _ended(tokens: list[Token], i: int) -> bool:
    """Whether what stands before token i can be complete, so that something new may start."""
    before = _kind(tokens, i - 1)
    if before == "STAR":
        # As an endpoint it is complete, as an operator it wants an operand.
        return _kind(tokens, i - 2) in ("ARROW", "BOTH", "EDGE", "TARGET", "SHARE", "COMMA")
    return before == "" or before in _ENDS_VALUE or before in _BRACES


def enclosed(tokens: list[Token]) -> list[bool]:
    """For each token, whether it is inside parentheses or brackets that are closed."""
    steps = [0] * (len(tokens) + 1)
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.type in ("LPAR", "LBRACKET"):
            opened.append(i)
        elif token.type in _BRACES or (token.type in STATEMENTS and starts_line(tokens, i)):
            opened.clear()
        elif opened and _CLOSES.get(token.type) == tokens[opened[-1]].type:
            steps[opened.pop() + 1] += 1
            steps[i] -= 1
    return [level > 0 for level in accumulate(steps[:-1])]


def starts(tokens: list[Token]) -> list[Start]:
    """The beginnings of all statements, graph members among them."""
    found: list[Start] = []
    inside = enclosed(tokens)
    depth = base = 0  # braces open; those that are not a block of settings
    for i, token in enumerate(tokens):
        start = None if inside[i] else _start(tokens, i, depth > base, bool(base))
        if start is not None:
            found.append(start)
            if start.kind in TOP_LEVEL:
                depth, base = 0, int(start.kind == "GRAPH")
            elif start.kind:
                depth = base
        if token.type == "LBRACE":
            depth += 1
        elif token.type == "RBRACE":
            depth = max(depth - 1, 0)
            base = min(base, depth)
    return found


def _start(tokens: list[Token], i: int, in_block: bool, in_graph: bool) -> Start | None:
    kind, assigned = tokens[i].type, _kind(tokens, i + 1) == "EQUALS"
    if kind in STATEMENTS:
        if in_block and _kind(tokens, i + 1) not in _FOLLOWS[kind]:
            return None
        if assigned and not starts_line(tokens, i):
            return None
        fresh = starts_line(tokens, i) or _ended(tokens, i)
        return Start(i, kind) if fresh else None
    if kind != "NAME" or assigned or in_block:
        return None
    if starts_line(tokens, i):
        # Two words side by side cannot go on with an unfinished line either.
        words = _kind(tokens, i + 1) in ("NAME", "LABEL") and not starts_line(tokens, i + 1)
        fresh = words or _ended(tokens, i)
    else:
        fresh = _kind(tokens, i - 1) in _BRACES
    if not fresh:
        return None
    intended = _intended_keyword(tokens[i].value, _kind(tokens, i + 1), in_graph)
    return Start(i, intended or "", misspelt=intended is not None)


@lru_cache(maxsize=1000)
def _intended_keyword(word: str, following: str, in_graph: bool) -> str | None:
    """The keyword that a word at the beginning of a statement was probably meant to be."""
    import difflib  # only a mistake needs it

    for kinds in (MEMBERS, TOP_LEVEL) if in_graph else (TOP_LEVEL,):
        fitting = {kind.lower(): kind for kind in kinds if following in _FOLLOWS[kind]}
        match = difflib.get_close_matches(word.lower(), fitting, n=1, cutoff=0.65)
        if match:
            return fitting[match[0]]
    return None


def settings(tokens: list[Token], start: int, end: int, inside: list[bool]) -> list[int]:
    """The beginnings of the settings among the tokens of a block, from `start` to `end`.

    The first token of the block always begins one, so that nothing is left out.
    """
    found: list[int] = []
    open_brackets = braces = 0
    for i in range(start, end):
        kind, before = tokens[i].type, _kind(tokens, i - 1)
        if kind in _NAMES or kind == "STRING":
            assigned = _kind(tokens, i + 1) in ("EQUALS", "COLON")
            # In a bracket that is open to the end it may still be an argument.
            argument = open_brackets and before in ("LPAR", "LBRACKET", "COMMA")
            begins = (starts_line(tokens, i) and (assigned or _ended(tokens, i))) or (
                assigned and _ended(tokens, i)
            )
            if begins and not (inside[i] or braces or argument):
                found.append(i)
                open_brackets = 0
        elif kind in ("LPAR", "LBRACKET"):
            open_brackets += 1
        elif kind in _CLOSES:
            open_brackets -= 1
        elif kind in _BRACES:
            braces += 1 if kind == "LBRACE" else -1
    return found if found[:1] == [start] or start == end else [start, *found]


def too_deep(tokens: list[Token]) -> int | None:
    """The first token nested deeper than `MAX_LEVELS`, counting brackets and operators.

    Those on the left of what is nested count as those on the right: `(a + b) + c` is as deep as
    `a + (b + c)`.
    """
    level = height = 0  # what encloses the token; what is in the deepest bracket before it
    opened: list[tuple[int, int]] = []  # both, outside of each open bracket
    for i, token in enumerate(tokens):
        kind = token.type
        if kind in ("LPAR", "LBRACKET"):
            opened.append((level, height))
            level, height = level + 1, 0
        elif kind in _CLOSES:
            outside, before = opened.pop() if opened else (0, 0)
            level, height = outside, max(before, level - outside + height)
        elif kind in ("PLUS", "MINUS", "STAR", "SLASH"):
            level += 1
        elif kind in _SEPARATORS and opened:
            outside, before = opened[-1]
            opened[-1] = outside, max(before, level - outside + height)
            level, height = outside + 1, 0
        elif kind in _SEPARATORS or kind in STATEMENTS or kind in _BRACES:
            opened.clear()
            level = height = 0
        if level + height > MAX_LEVELS:
            return i
    return None
