"""Colours for `.ktg` text in documentation: a Pygments lexer, registered by entry point.

Only Pygments imports this module. What a name is follows from where it stands, and words of
the vocabulary are looked up, so a new loss or gate needs nothing here.
"""

from collections.abc import Iterator
from functools import cache
from re import ASCII, Match
from typing import ClassVar

from pygments.lexer import RegexLexer, default, include, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

from ktgdsl.vocabulary.networks import expand_shorthand
from ktgdsl.vocabulary.registry import kinds_of

KEYWORDS = (
    "graph node target edge share data train pretrain search phase let each use via "
    "true false label"
)
_END = r"(?![A-Za-z0-9_])"
_NAME = rf"(?!(?:{KEYWORDS.replace(' ', '|')}){_END})[A-Za-z_][A-Za-z0-9_]*"
_DIGITS = r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*)?"


@cache
def _known(word: str) -> bool:
    return bool(kinds_of(word)) or expand_shorthand(word) is not None


def _word(_: RegexLexer, match: Match[str]) -> Iterator[tuple[int, object, str]]:
    """A name in a value: of the vocabulary, or of a `let`, node or phase."""
    called = match.string.startswith("(", match.end())
    kind = Name.Builtin if _known(match[0]) else Name.Function if called else Name
    yield match.start(), kind, match[0]


class KtgLexer(RegexLexer):
    """Splits `.ktg` text into Pygments tokens; what is none becomes an `Error` token.

    Every state but `root` ends at the first thing that has no place in it, so that a broken
    statement does not discolour the next.
    """

    name = "ktg"
    aliases = ("ktg",)
    filenames = ("*.ktg",)
    flags = ASCII

    tokens: ClassVar[dict[str, list[object]]] = {
        "root": [
            include("blank"),
            (words(("graph", "phase"), suffix=_END), Keyword.Declaration, "title"),
            (rf"let{_END}", Keyword.Declaration, "constant"),
            (rf"node{_END}", Keyword.Declaration, "nodes"),
            (words(("target", "edge", "share"), suffix=_END), Keyword.Declaration, "places"),
            (words(("data", "train", "pretrain", "search"), suffix=_END), Keyword.Declaration),
            (rf"use{_END}", Keyword.Namespace),
            (rf"via{_END}", Keyword),
            (rf"{_NAME}(?=[ \t\r\n]*=)", Name.Attribute),
            (rf"{_NAME}(?=\[|\.(?!\.))", Name.Variable),
            (_NAME, _word),
            include("signs"),
            # Misplaced, but not unknown.
            (rf"each{_END}", Keyword.Declaration),
        ],
        "title": [include("blank"), (_NAME, Name.Class, "#pop"), default("#pop")],
        "constant": [
            include("blank"),
            (rf"each{_END}", Keyword.Declaration),
            (_NAME, Name.Constant, "#pop"),
            default("#pop"),
        ],
        "nodes": [
            include("blank"),
            (r"=", Operator, "#pop"),
            (r"[{}:]", Punctuation, "#pop"),
            (_NAME, Name.Variable),
            include("signs"),
            default("#pop"),
        ],
        "places": [
            include("blank"),
            (r"[{}:]", Punctuation, "#pop"),
            (_NAME, Name.Variable),
            include("signs"),
            default("#pop"),
        ],
        "tap": [
            include("blank"),
            (_NAME, Name.Property, "#pop"),
            (r"\(", Punctuation, ("#pop", "taps")),
            default("#pop"),
        ],
        "taps": [
            include("blank"),
            (r"\)", Punctuation, "#pop"),
            (r"[{}:]", Punctuation, "#pop"),
            (_NAME, Name.Property),
            include("signs"),
            default("#pop"),
        ],
        "blank": [(r"[ \t\r\n]+", Whitespace), (r"#[^\n]*", Comment.Single)],
        "signs": [
            (rf"{_DIGITS}%", Number),
            (rf"{_DIGITS}(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_%]|\.[0-9])", Number),
            (r'"(?:[^"\\\r\n]|\\["\\nt])*"', String.Double),
            (words(("true", "false"), suffix=_END), Keyword.Constant),
            (rf"label{_END}", Name.Builtin.Pseudo),
            (r"<->|->|\.\.|[-+*/|=]", Operator),
            (r"\.", Punctuation, "tap"),
            (r"[()\[\]{},:]", Punctuation),
        ],
    }
