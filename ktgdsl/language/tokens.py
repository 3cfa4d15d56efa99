"""Text to tokens: one pass that never stops at a bad character.

Whatever cannot be a token is reported once and replaced by the token it was probably meant
to be, or left out, so that the parser sees the rest of the statement as the user does.
"""

import re
import unicodedata
from typing import Any, NamedTuple

from lark import Token
from lark.exceptions import UnexpectedCharacters
from lark.lexer import LexerState

from ktgdsl.language import grammar
from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.language.source import Source, Span

MAX_ERRORS = 1000

_NUMBER_LIKE = re.compile(r"[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]+)*%?")
_STRING_LIKE = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
_LINE_REST = re.compile(r"[^\r\n]*")
_SINGLE_QUOTED = re.compile(r"'[^'\r\n]*'")
_NUMBER_START = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_BAD_ESCAPE = re.compile(r'\\[^"\\nt]')
_BAD_RUN = re.compile(r"[^\sA-Za-z0-9_\"'#<>(){}\[\]=,:|*/+.-]+")
_MARK = "\ufeff"

# Characters that word processors and the papers' PDFs put where ASCII is meant.
_LOOKALIKES = {
    "\u2192": ("ARROW", "->"),
    "\u27f6": ("ARROW", "->"),
    "\u2194": ("BOTH", "<->"),
    "\u2013": ("MINUS", "-"),
    "\u2014": ("MINUS", "-"),
    "\u2212": ("MINUS", "-"),
    "\u00d7": ("STAR", "*"),
    "\u00b7": ("STAR", "*"),
    "\u2217": ("STAR", "*"),
    "\u2026": ("DOTS", ".."),
    "\u00f7": ("SLASH", "/"),
    "\uff0c": ("COMMA", ","),
    "\uff1a": ("COLON", ":"),
    "\uff1d": ("EQUALS", "="),
    "\uff08": ("LPAR", "("),
    "\uff09": ("RPAR", ")"),
}
_HINTS = {
    ";": "statements and settings need no sign between them: leave it out",
    "<": "an arrow is written `->` or `<->`, from the source to the destination",
    ">": "an arrow is written `->` or `<->`, from the source to the destination",
    "%": "write a percentage as one word: `30%`",
    "&": "gates are combined with `*`, which is 'and' for those that are 0 or 1",
    "^": "there is no power; write the value itself, such as `1e-3`",
    "\u00a0": "this is a no-break space: type an ordinary one",
}


class _Bad(NamedTuple):
    """What was found where no token could start."""

    end: int
    token: tuple[str, str] | None
    code: str
    message: str
    help: str | None


def tokenize(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All tokens in order, and a complaint for whatever is none, in order as well.

    After `MAX_ERRORS` complaints the rest of the text is left alone.
    """
    text = source.text
    tokens: list[Token] = []
    errors: list[Diagnostic] = []
    thread: Any = grammar.parser().parse_interactive(text, start="file").lexer_thread
    state: LexerState = thread.state
    while True:
        try:
            tokens.extend(thread.lex(None))
            break
        except UnexpectedCharacters:
            start = state.line_ctr.char_pos
        if start == 0 and text[0] == _MARK:
            state.line_ctr.feed(_MARK)
            continue
        bad = _look(text, start)
        span = Span(source.path, start, bad.end)
        errors.append(Diagnostic(bad.code, bad.message, span, bad.help))
        if len(errors) >= MAX_ERRORS:
            break
        if bad.token is not None:
            tokens.append(_token(state, bad.end, *bad.token))
        state.line_ctr.feed(text[start : bad.end])
    errors.extend(_too_large(source, tokens))
    errors.sort(key=_start)
    return tokens, errors


def _start(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span else 0


def _token(state: LexerState, end: int, kind: str, value: str) -> Token:
    counter = state.line_ctr
    return Token(
        kind,
        value,
        counter.char_pos,
        counter.line,
        counter.column,
        end_line=counter.line,
        end_pos=end,
    )


def _look(text: str, start: int) -> _Bad:
    char = text[start]
    if char.isascii() and char.isdigit():
        return _bad_number(text, start)
    if char == '"':
        return _bad_string(text, start)
    if char == "'":
        quoted = _SINGLE_QUOTED.match(text, start)
        end = quoted.end() if quoted else start + 1
        token = ("STRING", f'"{text[start + 1 : end - 1]}"') if quoted else None
        help_ = "write it with double quotes"
        return _Bad(end, token, "E101", "a string is written between double quotes", help_)
    if char in _LOOKALIKES:
        token = _LOOKALIKES[char]
        message = f"{_describe(char)} is not a sign of the language"
        return _Bad(start + 1, token, "E101", message, f"did you mean `{token[1]}`?")
    run = _BAD_RUN.match(text, start)
    end = run.end() if run else start + 1
    found = text[start:end]
    for i, other in enumerate(found):
        if i and (other in _LOOKALIKES or other in _HINTS):
            found, end = found[:i], start + i
            break
    if found.isalpha():
        message = f"the name part {found!r} has letters that a name cannot have"
        return _Bad(end, None, "E101", message, "names consist of a-z, A-Z, 0-9 and _")
    what = _describe(char) if len(found) == 1 else f"{found[:20]!r}"
    return _Bad(end, None, "E101", f"{what} has no meaning here", _HINTS.get(char))


def _describe(char: str) -> str:
    if char.isascii() and char.isprintable():
        return f"`{char}`"
    name = unicodedata.name(char, "a control character")
    return f"the character U+{ord(char):04X} ({name})"


def _bad_number(text: str, start: int) -> _Bad:
    found = _NUMBER_LIKE.match(text, start)
    end = found.end() if found else start + 1
    word = text[start:end]
    if word[-1] in "eE" and text[end : end + 1] in ("+", "-"):
        end += 1
        word = text[start:end]
    digits = _NUMBER_START.match(word)
    value = digits.group() if digits else "0"
    rest = word[len(value) :]
    if word.endswith("%"):
        help_ = "a percentage is digits and `%`: `30%`, `12.5%`"
    elif word[:2].lower() in ("0x", "0b", "0o"):
        help_ = "numbers are written in decimal"
    elif rest[0] in "eE":
        help_ = "an exponent is written `5e-4`"
    elif "_" in word:
        help_ = "`_` stands between two digits, as in `10_000`"
    elif word.count(".") > 1:
        help_ = "a number has one decimal point"
    else:
        help_ = f"did you mean `{value}`? Numbers have no units, and names start with a letter"
    return _Bad(end, ("NUMBER", value), "E104", f"`{_short(word)}` is not a number", help_)


def _bad_string(text: str, start: int) -> _Bad:
    closed = _STRING_LIKE.match(text, start)
    if closed is None:
        rest = _LINE_REST.match(text, start)
        end = rest.end() if rest else start + 1
        message = "this string is never closed"
        help_ = 'end it with `"` on the same line; `\\n` stands for a line break'
        return _Bad(end, ("STRING", '""'), "E103", message, help_)
    end = closed.end()
    escape = _BAD_ESCAPE.search(text, start, end)
    found = escape.group() if escape else "\\"
    message = f"`{found}` means nothing in a string" if found.isprintable() else "a bad escape"
    help_ = 'a string knows `\\"`, `\\\\`, `\\n` and `\\t`; a backslash itself is `\\\\`'
    return _Bad(end, ("STRING", '""'), "E101", message, help_)


def _too_large(source: Source, tokens: list[Token]) -> list[Diagnostic]:
    """Numbers beyond what a float can hold, which no setting could mean."""
    errors = []
    for token in tokens:
        if token.type not in ("NUMBER", "PERCENT") or len(token) < 4:
            continue
        if float(token.rstrip("%")) == float("inf"):
            span = Span(source.path, token.start_pos or 0, token.end_pos or 0)
            message = f"`{_short(token)}` is too large for a number"
            errors.append(Diagnostic("E104", message, span, "the largest is about 1.8e308"))
            token.value = "0"
    return errors


def _short(word: str) -> str:
    return word if len(word) <= 30 else f"{word[:27]}..."
