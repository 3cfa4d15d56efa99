"""The parser that Lark makes of `grammar/ktg.lark`, built once and only when needed.

Lark needs some 0.2 s to turn a grammar into tables, more than all the rest of a check. So
the tables lie beside the grammar in `tables.json`, together with what they were made from;
when the grammar or Lark is another, they are made afresh.
"""

import hashlib
import io
import json
import pickle
import re
from functools import cache
from pathlib import Path
from typing import Any

import lark

NOTHING = "NOTHING"
STARTS = ("file", "member", "setting", "value")

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """Where the grammar lies: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / "grammar"
    return inside if inside.is_dir() else _PACKAGE.parent / "grammar"


def build(*, strict: bool = False) -> lark.Lark:
    """The parser made from the grammar's text; `strict` also refuses colliding terminals."""
    text = (folder() / "ktg.lark").read_text(encoding="utf-8")
    return lark.Lark(text, parser="lalr", lexer="basic", start=list(STARTS), strict=strict)


def fingerprint() -> str:
    """What the tables depend on: the grammar and the version of Lark."""
    grammar = (folder() / "ktg.lark").read_bytes().replace(b"\r\n", b"\n")
    return f"lark {lark.__version__} {hashlib.sha256(grammar).hexdigest()}"


def tables() -> dict[str, Any]:
    """The tables of a freshly built parser, as plain data for `tables.json`."""
    stream = io.BytesIO()
    build().save(stream)
    made: dict[str, Any] = pickle.loads(stream.getvalue())
    return {"made_from": fingerprint(), "memo": made["memo"], "data": made["data"]}


@cache
def parser() -> lark.Lark:
    """The parser, from the stored tables if they are current."""
    try:
        stored = json.loads((folder() / "tables.json").read_bytes())
    except (OSError, ValueError):
        return build()
    if stored.get("made_from") != fingerprint():
        return build()
    automaton = stored["data"]["parser"]["parser"]
    automaton["tokens"] = _integer_keys(automaton["tokens"])
    automaton["states"] = {
        state: _integer_keys(actions)
        for state, actions in _integer_keys(automaton["states"]).items()
    }
    memo = _integer_keys(stored["memo"])
    loaded: lark.Lark = lark.Lark.load({"data": stored["data"], "memo": memo})
    return loaded


@cache
def scanner() -> tuple[re.Pattern[str], dict[str, str]]:
    """What splits a text: a pattern for one word with all that is skipped before it, and kinds.

    The word is the group that matched last, whose name is its kind: that of a terminal, SIGN,
    or `NOTHING` for a character where no terminal begins and for the end of the text. The kind
    of a SIGN, and of a NAME that is a keyword, is in the dictionary. Lark's own lexer does the
    same, at several times the cost for each token.
    """
    skipped = frozenset(parser().lexer_conf.ignore)
    fixed, words, blanks = {}, [], []
    for terminal in parser().terminals:
        if terminal.pattern.type == "str":
            fixed[terminal.pattern.value] = terminal.name
        elif terminal.name in skipped:
            blanks.append(terminal.pattern.to_regexp())
        else:
            words.append(f"(?P<{terminal.name}>{terminal.pattern.to_regexp()})")
    # Of two signs that begin alike the longer one is meant: `..` before `.`.
    signs = sorted((text for text in fixed if not text.isalpha()), key=len, reverse=True)
    words.append(f"(?P<SIGN>{'|'.join(map(re.escape, signs))})")
    words.append(rf"(?P<{NOTHING}>[\s\S]|\Z)")
    # What is skipped is never given back, or a comment at the end would be read as words.
    return re.compile(f"(?:{'|'.join(blanks)})*+(?:{'|'.join(words)})"), fixed


def _integer_keys(table: dict[str, Any]) -> dict[int, Any]:
    # JSON has no integer keys, Lark's tables no others.
    return {int(key): value for key, value in table.items()}
