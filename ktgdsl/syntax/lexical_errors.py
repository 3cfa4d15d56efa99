"""Characters where no token begins: what was probably meant, and what to say about it."""

import re
import unicodedata
from typing import NamedTuple

from lark import Token

from ktgdsl.vocabulary.registry import kinds_of

# Compiled where they are used, since few checks meet any of them.
_NUMBER_LIKE = r"[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]+)*%?"
_STRING_LIKE = r'"(?:[^"\\\r\n]|\\[^\r\n])*"'
_WORD = r"\w+"
_LINE_REST = r"[^\r\n]*"
_QUOTED = (
    r"'[^'\"\r\n]*'|[\u201c\u201d][^\u201c\u201d\"\r\n]*[\u201c\u201d]"
    r"|[\u2018\u2019][^\u2018\u2019\"\r\n]*[\u2018\u2019]"
)
_NUMBER_START = r"[0-9]+(?:\.[0-9]+)?"
_BAD_ESCAPE = r'\\[^"\\nt]'
_BAD_RUN = r"[^\sA-Za-z0-9_\"'#<>(){}\[\]=,:|*/+.-]{1,50}"

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
_LISTED = ("NAME", "LABEL", "STAR", "COMMA", "ARROW", "BOTH")
_NAMING = ("NODE", "TARGET", "EDGE", "SHARE", "GRAPH", "PHASE", "LET", "EACH")
"""Tokens of a list of names, and keywords that one follows."""
_BEFORE_A_CALL = ("VIA", "COLON", "STAR", "SLASH", "PLUS", "MINUS", "BAR", "EQUALS", "DATA")
"""Signs after which a word of the vocabulary is more likely than a string that says it."""
_HINTS = {
    ";": "statements and settings need no sign between them: leave it out",
    "<": "an arrow is written `->` or `<->`, from the source to the destination",
    ">": "an arrow is written `->` or `<->`, from the source to the destination",
    "&": "gates are combined with `*`, which is 'and' for those that are 0 or 1",
    "!": "what is 1 where a gate is 0 is written `1 - correct`",
    "^": "there is no power; write the value itself, such as `1e-3`",
    "\u00a0": "this is a no-break space: type an ordinary one",
}


class BadText(NamedTuple):
    """Text where no token can start; it may include the token before."""

    start: int
    end: int
    token: tuple[str, str] | None
    code: str
    message: str
    help: str | None


def explain_bad_text(text: str, start: int, before: list[Token]) -> BadText:
    """The bad text at `start`, where no token begins; `before` are the tokens in front of it."""
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
        return BadText(begin, begin + 2, ("ARROW", "->"), "E101", message, help_)
    if char in _LOOKALIKES:
        token = _LOOKALIKES[char]
        message = f"{_describe(char)} is not a sign of the language"
        return BadText(start, start + 1, token, "E101", message, f"did you mean `{token[1]}`?")
    if char.isalnum():
        return _foreign_word(text, start)
    run = re.compile(_BAD_RUN).match(text, start)
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
    return BadText(start, end, None, "E101", f"{what} has no meaning here", hint)


def _named(before: list[Token]) -> bool:
    """Whether the next word would name something, such as a node."""
    kinds = (token.type for token in reversed(before))
    return next((kind for kind in kinds if kind not in _LISTED), "") in _NAMING


def _other_quotes(text: str, start: int, before: str) -> BadText:
    match = re.compile(_QUOTED).match(text, start)
    message = "a string is written between double quotes"
    if match is None:
        return BadText(start, start + 1, None, "E101", message, None)
    inside = match.group()[1:-1]
    written = f'"{inside}"'
    if before in _BEFORE_A_CALL and _is_word(inside):
        message, help_ = (
            f"`{inside}` is a word of the language",
            f"leave the quotes out: `{inside}`",
        )
        return BadText(start, match.end(), ("NAME", inside), "E101", message, help_)
    help_ = f"did you mean `{quoted(written)}`?"
    return BadText(start, match.end(), ("STRING", written), "E101", message, help_)


def _is_word(text: str) -> bool:
    return bool(kinds_of(text))


def _foreign_word(text: str, start: int) -> BadText:
    """A word with letters beyond ASCII, whatever it begins with."""
    begin = start
    while begin and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
        begin -= 1
    rest = re.compile(_WORD).match(text, start)
    end = rest.end() if rest else start + 1
    message = f"`{quoted(text[begin:end])}` is not a name"
    help_ = "names consist of a-z, A-Z, 0-9 and _"
    return BadText(begin, end, ("NAME", text[begin:end]), "E101", message, help_)


def _describe(char: str) -> str:
    if char.isascii() and char.isprintable():
        return f"`{char}`"
    name = unicodedata.name(char, "a control character")
    return f"the character U+{ord(char):04X} ({name})"


def _bad_number(text: str, start: int, *, names: bool) -> BadText:
    found = re.compile(_NUMBER_LIKE).match(text, start)
    end = found.end() if found else start + 1
    word = text[start:end]
    if word[-1] in "eE" and text[end : end + 1] in ("+", "-"):
        end += 1
        word = text[start:end]
    digits = re.compile(_NUMBER_START).match(word)
    value = digits.group() if digits else "0"
    rest = word[len(value) :]
    if names and value.isdigit() and rest.isidentifier():
        message, help_ = (
            f"`{quoted(word)}` is not a name",
            f"a name begins with a letter: `{rest}{value}`",
        )
        return BadText(start, end, ("NAME", word), "E101", message, help_)
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
    elif {"loss", "gate"}.intersection(kinds_of(rest)):
        help_ = f"did you mean `{value} * {rest}`?"
    else:
        help_ = f"did you mean `{value}`? Numbers have no units, and names start with a letter"
    return BadText(
        start, end, ("NUMBER", value), "E104", f"`{quoted(word)}` is not a number", help_
    )


def _bad_string(text: str, start: int) -> BadText:
    closed = re.compile(_STRING_LIKE).match(text, start)
    if closed is None:
        rest = re.compile(_LINE_REST).match(text, start)
        end = rest.end() if rest else start + 1
        message = "this string is never closed"
        help_ = 'end it with `"` on the same line; `\\n` stands for a line break'
        return BadText(start, end, ("STRING", '""'), "E103", message, help_)
    end = closed.end()
    escape = re.compile(_BAD_ESCAPE).search(text, start, end)
    found = escape.group() if escape else "\\"
    message = f"`{found}` means nothing in a string" if found.isprintable() else "a bad escape"
    help_ = 'a string knows `\\"`, `\\\\`, `\\n` and `\\t`; a backslash itself is `\\\\`'
    return BadText(start, end, ("STRING", '""'), "E101", message, help_)


def quoted(word: str) -> str:
    """A word as a message quotes it, shortened."""
    return word if len(word) <= 30 else f"{word[:27]}..."
