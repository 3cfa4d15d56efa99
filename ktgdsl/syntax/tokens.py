"""Text to tokens: one pass that never stops at a bad character.

Whatever cannot be a token is reported once and replaced by the token it was probably meant
to be, or left out, so that the parser sees the rest of the statement as the user does.
"""

import re
import unicodedata
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import grammar

MAX_ERRORS = 1000

_NUMBER_LIKE = re.compile(r"[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]+)*%?")
_STRING_LIKE = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
_WORD = re.compile(r"\w+")
_LINE_REST = re.compile(r"[^\r\n]*")
_QUOTED = re.compile(
    r"'[^'\"\r\n]*'|[\u201c\u201d][^\u201c\u201d\"\r\n]*[\u201c\u201d]"
    r"|[\u2018\u2019][^\u2018\u2019\"\r\n]*[\u2018\u2019]"
)
_NUMBER_START = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_BAD_ESCAPE = re.compile(r'\\[^"\\nt]')
_BAD_RUN = re.compile(r"[^\sA-Za-z0-9_\"'#<>(){}\[\]=,:|*/+.-]{1,50}")
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
_NUMBERS = ("NUMBER", "PERCENT")
_LISTED = ("NAME", "LABEL", "STAR", "COMMA", "ARROW", "BOTH")
_NAMING = ("NODE", "TARGET", "EDGE", "SHARE", "GRAPH", "PHASE", "LET", "EACH")
"""What a list of names consists of, and what it begins with."""
_BEFORE_A_CALL = ("VIA", "COLON", "STAR", "SLASH", "PLUS", "MINUS", "BAR", "EQUALS", "DATA")
"""Signs after which a word of the vocabulary is more likely than a string that says it."""
_BEFORE_A_WORD = ("EQUALS", "BAR")
"""Signs after which `train` on the same line is a word: no statement begins there."""

_HINTS = {
    ";": "statements and settings need no sign between them: leave it out",
    "<": "an arrow is written `->` or `<->`, from the source to the destination",
    ">": "an arrow is written `->` or `<->`, from the source to the destination",
    "&": "gates are combined with `*`, which is 'and' for those that are 0 or 1",
    "^": "there is no power; write the value itself, such as `1e-3`",
    "\u00a0": "this is a no-break space: type an ordinary one",
}


class Token(NamedTuple):
    """A word or sign: its kind, as the grammar names it, its text and its place.

    `first` says whether it is the first of its line.
    """

    type: str
    value: str
    start: int
    end: int
    first: bool

    def __str__(self) -> str:
        return self.value

    def become(self, kind: str, value: str) -> "Token":
        """Another token in the same place."""
        return self._replace(type=kind, value=value)


Words = tuple[list[Token], list[Diagnostic]]
"""The tokens of a text in order, and a complaint for whatever is none, in order as well."""

_new = tuple.__new__  # a named tuple in half the time


class _Bad(NamedTuple):
    """What was found where no token could start; it may include the token before."""

    start: int
    end: int
    token: tuple[str, str] | None
    code: str
    message: str
    help: str | None


def tokenize(source: Source) -> Words:
    """All words and signs of a text, and what else stands there.

    After `MAX_ERRORS` complaints the rest of the text is left alone.
    """
    text = source.text
    tokens: list[Token] = []
    errors: list[Diagnostic] = []
    position = len(_MARK) if text.startswith(_MARK) else 0
    first = True
    while position < len(text) and len(errors) < MAX_ERRORS:
        position, first = _scan(text, position, first, tokens)
        if position == len(text):
            break
        bad = _look(text, position, tokens)
        if bad.start < position:
            first = tokens.pop().first
        place = Span(source.path, bad.start, bad.end)
        errors.append(Diagnostic(bad.code, bad.message, place, bad.help))
        if bad.token is not None:
            tokens.append(Token(*bad.token, bad.start, bad.end, first))
            first = False
        position = bad.end
    errors.extend(_too_large(source, tokens))
    errors.sort(key=_start)
    return tokens, errors


def _scan(text: str, position: int, first: bool, tokens: list[Token]) -> tuple[int, bool]:
    """Append tokens up to where none begins; that place, and whether its line is still empty."""
    pattern, kinds = grammar.scanner()
    for match in pattern.finditer(text, position):
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        first = first or (start > position and "\n" in text[position:start])
        if kind == grammar.NOTHING:
            return start, first
        value = text[start:end]
        kind = kinds.get(value, kind)
        if kind == "TRAIN" and not first and tokens[-1].type in _BEFORE_A_WORD:
            kind = "NAME"  # of a mode: `mode = train`
        tokens.append(_new(Token, (kind, value, start, end, first)))
        first, position = False, end
    raise AssertionError("the pattern matches everything, even the end")


def _start(diagnostic: Diagnostic) -> int:
    return diagnostic.span.start if diagnostic.span else 0


def _look(text: str, start: int, before: list[Token]) -> _Bad:
    char = text[start]
    if char.isascii() and char.isdigit():
        return _bad_number(text, start, names=_named(before))
    if char == '"':
        return _bad_string(text, start)
    if char in "'\u2018\u2019\u201c\u201d":
        return _other_quotes(text, start, before[-1].type if before else "")
    if text.startswith("<-", start) or text[start - 1 : start + 1] == "=>":
        begin, arrow = (start - 1, "=>") if char == ">" else (start, "<-")
        help_ = "an arrow is written `->` or `<->`, from the source to the destination"
        message = f"`{arrow}` is not an arrow"
        return _Bad(begin, begin + 2, ("ARROW", "->"), "E101", message, help_)
    if char in _LOOKALIKES:
        token = _LOOKALIKES[char]
        message = f"{_describe(char)} is not a sign of the language"
        return _Bad(start, start + 1, token, "E101", message, f"did you mean `{token[1]}`?")
    if char.isalnum():
        return _foreign_word(text, start)
    run = _BAD_RUN.match(text, start)
    end = run.end() if run else start + 1
    found = text[start:end]
    for i, other in enumerate(found):
        if i and (other in _LOOKALIKES or other in _HINTS or other.isalnum()):
            found, end = found[:i], start + i
            break
    what = _describe(char) if len(found) == 1 else f"{found[:20]!r}"
    hint = _HINTS.get(char)
    if char == "%":
        number = before[-1].value if before and before[-1].type == "NUMBER" else "30"
        hint = f"write a percentage as one word: `{number}%`"
    return _Bad(start, end, None, "E101", f"{what} has no meaning here", hint)


def _named(before: list[Token]) -> bool:
    """Whether the next word would name something, such as a node."""
    kinds = (token.type for token in reversed(before))
    return next((kind for kind in kinds if kind not in _LISTED), "") in _NAMING


def _other_quotes(text: str, start: int, before: str) -> _Bad:
    quoted = _QUOTED.match(text, start)
    message = "a string is written between double quotes"
    if quoted is None:
        return _Bad(start, start + 1, None, "E101", message, None)
    inside = quoted.group()[1:-1]
    written = f'"{inside}"'
    if before in _BEFORE_A_CALL and _is_word(inside):
        message, help_ = (
            f"`{inside}` is a word of the language",
            f"leave the quotes out: `{inside}`",
        )
        return _Bad(start, quoted.end(), ("NAME", inside), "E101", message, help_)
    help_ = f"did you mean `{_short(written)}`?"
    return _Bad(start, quoted.end(), ("STRING", written), "E101", message, help_)


def _is_word(text: str) -> bool:
    from ktgdsl.vocabulary.registry import kinds_of  # only a mistake needs it

    return bool(kinds_of(text))


def _foreign_word(text: str, start: int) -> _Bad:
    """A word with letters beyond ASCII, whatever it begins with."""
    begin = start
    while begin and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
        begin -= 1
    rest = _WORD.match(text, start)
    end = rest.end() if rest else start + 1
    message = f"`{_short(text[begin:end])}` is not a name"
    help_ = "names consist of a-z, A-Z, 0-9 and _"
    return _Bad(begin, end, ("NAME", text[begin:end]), "E101", message, help_)


def _describe(char: str) -> str:
    if char.isascii() and char.isprintable():
        return f"`{char}`"
    name = unicodedata.name(char, "a control character")
    return f"the character U+{ord(char):04X} ({name})"


def _bad_number(text: str, start: int, *, names: bool) -> _Bad:
    found = _NUMBER_LIKE.match(text, start)
    end = found.end() if found else start + 1
    word = text[start:end]
    if word[-1] in "eE" and text[end : end + 1] in ("+", "-"):
        end += 1
        word = text[start:end]
    digits = _NUMBER_START.match(word)
    value = digits.group() if digits else "0"
    rest = word[len(value) :]
    if names and value.isdigit() and rest.isidentifier():
        message, help_ = (
            f"`{_short(word)}` is not a name",
            f"a name begins with a letter: `{rest}{value}`",
        )
        return _Bad(start, end, ("NAME", word), "E101", message, help_)
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
    return _Bad(start, end, ("NUMBER", value), "E104", f"`{_short(word)}` is not a number", help_)


def _bad_string(text: str, start: int) -> _Bad:
    closed = _STRING_LIKE.match(text, start)
    if closed is None:
        rest = _LINE_REST.match(text, start)
        end = rest.end() if rest else start + 1
        message = "this string is never closed"
        help_ = 'end it with `"` on the same line; `\\n` stands for a line break'
        return _Bad(start, end, ("STRING", '""'), "E103", message, help_)
    end = closed.end()
    escape = _BAD_ESCAPE.search(text, start, end)
    found = escape.group() if escape else "\\"
    message = f"`{found}` means nothing in a string" if found.isprintable() else "a bad escape"
    help_ = 'a string knows `\\"`, `\\\\`, `\\n` and `\\t`; a backslash itself is `\\\\`'
    return _Bad(start, end, ("STRING", '""'), "E101", message, help_)


def _too_large(source: Source, tokens: list[Token]) -> list[Diagnostic]:
    """Numbers beyond what a float can hold, which no setting could mean."""
    errors = []
    for i in [i for i, token in enumerate(tokens) if token.type in _NUMBERS]:
        token = tokens[i]
        if len(token.value) > 3 and float(token.value.rstrip("%")) == float("inf"):
            place = Span(source.path, token.start, token.end)
            message = f"`{_short(token.value)}` is too large for a number"
            errors.append(Diagnostic("E104", message, place, "the largest is about 1.8e308"))
            tokens[i] = token.become("NUMBER", "0")
    return errors


def _short(word: str) -> str:
    return word if len(word) <= 30 else f"{word[:27]}..."
