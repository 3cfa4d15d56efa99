"""Text to tokens, by Lark's lexer, which is started again after each bad character.

Whatever cannot be a token is reported once and replaced by the token it was probably meant
to be, or left out, so that the parser sees the rest of the statement as the user does.
"""

from typing import Any, NamedTuple

from lark import TextSlice, Token, UnexpectedCharacters

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax.grammar import comments, lark_parser
from ktgdsl.syntax.lexical_errors import BadText, explain_bad_text, quoted
from ktgdsl.syntax.tokens import span, starts_line

MAX_ERRORS = 1000

_BYTE_ORDER_MARK = "\ufeff"
_BEFORE_A_WORD = ("EQUALS", "BAR")
"""Signs after which `train` on the same line is a word: no statement begins there."""


class Lexed(NamedTuple):
    """The tokens and comments of a text, and an error for whatever is neither, all in order."""

    tokens: list[Token]
    comments: list[Token]
    errors: list[Diagnostic]


def tokenize(source: Source) -> Lexed:
    """Split a text; after `MAX_ERRORS` errors the rest of it is left alone."""
    lexed = Lexed([], [], [])
    before = comments.set(lexed.comments)
    try:
        _lex(source, lexed.tokens, lexed.errors)
    finally:
        comments.reset(before)
    _read_modes(lexed.tokens)
    _read_taps(lexed.tokens)
    _read_steps(lexed.tokens)
    lexed.errors.extend(_too_large(source, lexed.tokens))
    lexed.errors.sort(key=lambda error: error.span.start if error.span else 0)
    return lexed


def _lex(source: Source, tokens: list[Token], errors: list[Diagnostic]) -> None:
    text = source.text
    position = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
    while len(errors) < MAX_ERRORS:
        rest = TextSlice(text, position, len(text))
        lexer: Any = lark_parser().parse_interactive(rest, start="file").lexer_thread
        try:
            tokens.extend(lexer.lex(None))
        except UnexpectedCharacters as stopped:
            position = stopped.pos_in_stream or 0
            bad = explain_bad_text(text, position, tokens)
            if bad.start < position:
                tokens.pop()
            place = Span(source.path, bad.start, bad.end)
            errors.append(Diagnostic(bad.code, bad.message, place, bad.help))
            tokens.extend(_replacement(bad, stopped.line))
            position = bad.end
        else:
            return


def _replacement(bad: BadText, line: int) -> list[Token]:
    """The token that stands in for bad text, if there is one."""
    if bad.token is None:
        return []
    return [Token(*bad.token, bad.start, line, end_line=line, end_pos=bad.end)]


def _read_modes(tokens: list[Token]) -> None:
    """Make a name of `train` where it is a mode, as in `mode = train`.

    On a line of its own with a brace after it, it is a block, and what is before it unfinished.
    """
    for i in [i for i, token in enumerate(tokens) if token.type == "TRAIN"]:
        has_brace = i + 1 < len(tokens) and tokens[i + 1].type == "LBRACE"
        starts_block = i == 0 or (has_brace and starts_line(tokens, i))
        if not starts_block and tokens[i - 1].type in _BEFORE_A_WORD:
            tokens[i] = tokens[i].update(type="NAME")


def _read_taps(tokens: list[Token]) -> None:
    """Mark the `pre` of `a.stage2.pre`; in `a.pre` it is the name of a module."""
    for i in [i for i, token in enumerate(tokens) if token.value == "pre"]:
        if i > 2 and [each.type for each in tokens[i - 3 : i]] == ["DOT", "NAME", "DOT"]:
            tokens[i] = tokens[i].update(type="PRE")


def _read_steps(tokens: list[Token]) -> None:
    """Mark the unit of `500 steps`; anywhere else it is a name."""
    for i in [i for i, token in enumerate(tokens) if token.value in ("step", "steps")]:
        follows = i > 0 and tokens[i - 1].type == "NUMBER" and tokens[i - 1].line == tokens[i].line
        if follows and (i + 1 == len(tokens) or tokens[i + 1].type != "EQUALS"):
            tokens[i] = tokens[i].update(type="STEPS")


def _too_large(source: Source, tokens: list[Token]) -> list[Diagnostic]:
    """Numbers beyond what a float can hold, which no setting could mean."""
    errors = []
    for i in [i for i, token in enumerate(tokens) if token.type in ("NUMBER", "PERCENT")]:
        token = tokens[i]
        if len(token.value) > 3 and float(token.value.rstrip("%")) == float("inf"):
            message = f"`{quoted(token.value)}` is too large for a number"
            place = span(source.path, token, token)
            errors.append(Diagnostic("E104", message, place, "the largest is about 1.8e308"))
            tokens[i] = token.update(type="NUMBER", value="0")
    return errors
