"""The tables that Lark makes of `grammar/ktg.lark`, as plain data.

Lark needs some 0.2 s to turn a grammar into tables, and 0.1 s to be imported: more than all the
rest of a check. So the tables lie beside the grammar in `tables.json`, together with what they
were made from, and only when the grammar is another are they made afresh.
"""

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import lark

NOTHING = "NOTHING"
STARTS = ("file", "member", "setting", "value")

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """Where the grammar lies: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / "grammar"
    return inside if inside.is_dir() else _PACKAGE.parent / "grammar"


class Rule(NamedTuple):
    """A rule of the grammar: the symbol that its parts make, its alias, and its parts.

    `expand` tells one that stands for its part where it has only one. The names of tokens are
    upper case.
    """

    symbol: str
    alias: str | None
    expand: bool
    parts: list[str]


class Terminal(NamedTuple):
    """A kind of word: its name, and its text or a pattern of it."""

    name: str
    text: str
    is_pattern: bool


class Tables(NamedTuple):
    """The automaton and the words that it reads.

    `states` says for each state and symbol the state to go to, or `-1 - i` for the rule `i` to
    apply. `first` and `last` are the states before and after what a start symbol stands for.
    `ignored` are the names of the terminals that say nothing.
    """

    rules: list[Rule]
    states: list[dict[str, int]]
    first: dict[str, int]
    last: dict[str, int]
    terminals: list[Terminal]
    ignored: list[str]


def build(*, strict: bool = False) -> "lark.Lark":
    """The parser made from the grammar's text; `strict` also refuses colliding terminals."""
    import lark

    text = (folder() / "ktg.lark").read_text(encoding="utf-8")
    return lark.Lark(text, parser="lalr", lexer="basic", start=list(STARTS), strict=strict)


def fingerprint() -> str:
    """What the tables depend on: the grammar."""
    grammar = (folder() / "ktg.lark").read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(grammar).hexdigest()


def made() -> Tables:
    """The tables of a freshly built parser."""
    parser = build()
    rules = [
        Rule(str(r.origin.name), r.alias, r.options.expand1, [part.name for part in r.expansion])
        for r in parser.rules
    ]
    numbers = {id(rule): -1 - number for number, rule in enumerate(parser.rules)}
    of: Any = parser.parse_interactive(start=STARTS[0]).parser_state.parse_conf.parse_table
    return Tables(
        rules,
        [
            {kind: to if isinstance(to, int) else numbers[id(to)] for kind, (_, to) in row.items()}
            for _, row in sorted(of.states.items())
        ],
        of.start_states,
        of.end_states,
        [
            Terminal(t.name, t.pattern.value, False)
            if t.pattern.type == "str"
            else Terminal(t.name, t.pattern.to_regexp(), True)
            for t in parser.terminals
        ],
        list(parser.lexer_conf.ignore),
    )


@cache
def tables() -> Tables:
    """The tables, the stored ones if they are current."""
    try:
        stored = json.loads((folder() / "tables.json").read_bytes())
    except (OSError, ValueError):
        return made()
    if stored.pop("made_from", None) != fingerprint():
        return made()
    stored["rules"] = [Rule(*rule) for rule in stored["rules"]]
    stored["terminals"] = [Terminal(*terminal) for terminal in stored["terminals"]]
    return Tables(**stored)


@cache
def scanner() -> tuple[re.Pattern[str], dict[str, str]]:
    """What splits a text: a pattern for one word with all that is skipped before it, and kinds.

    The word is the group that matched last, whose name is its kind: that of a terminal, SIGN,
    or `NOTHING` for a character where no terminal begins and for the end of the text. The kind
    of a SIGN, and of a NAME that is a keyword, is in the dictionary. Lark's own lexer does the
    same, at several times the cost for each token.
    """
    fixed, words, blanks = {}, [], []
    for name, text, is_pattern in tables().terminals:
        if not is_pattern:
            fixed[text] = name
        elif name in tables().ignored:
            blanks.append(text)
        else:
            words.append(f"(?P<{name}>{text})")
    # Of two signs that begin alike the longer one is meant: `..` before `.`.
    signs = sorted((text for text in fixed if not text.isalpha()), key=len, reverse=True)
    words.append(f"(?P<SIGN>{'|'.join(map(re.escape, signs))})")
    words.append(rf"(?P<{NOTHING}>[\s\S]|\Z)")
    # What is skipped is never given back, or a comment at the end would be read as words.
    return re.compile(f"(?:{'|'.join(blanks)})*+(?:{'|'.join(words)})"), fixed
