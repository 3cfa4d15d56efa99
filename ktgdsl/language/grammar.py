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
def scanner() -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    """What splits a text: a pattern of all terminals, the keywords, the terminals to skip.

    The names of its groups are the terminals, and `NOTHING` for a character where none of
    them begins. A keyword is first a NAME. Lark's own lexer does the same, at several times
    the cost for each token.
    """
    terminals = parser().terminals
    signs = {t.name: t.pattern.value for t in terminals if t.pattern.type == "str"}
    keywords = {text: name for name, text in signs.items() if text.isalpha()}
    words = [(t.name, t.pattern.to_regexp()) for t in terminals if t.name not in signs]
    # Of two signs that begin alike the longer one is meant: `..` before `.`.
    longest = sorted(signs.items(), key=lambda sign: -len(sign[1]))
    words += [(name, re.escape(text)) for name, text in longest if text not in keywords]
    words.append((NOTHING, r"[\s\S]"))
    pattern = re.compile("|".join(f"(?P<{name}>{regexp})" for name, regexp in words))
    return pattern, keywords, frozenset(parser().lexer_conf.ignore)


def _integer_keys(table: dict[str, Any]) -> dict[int, Any]:
    # JSON has no integer keys, Lark's tables no others.
    return {int(key): value for key, value in table.items()}
