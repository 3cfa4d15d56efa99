"""The grammar is strict LALR(1), and the tables stored beside it are made from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lark
import pytest

from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax import grammar
from ktgdsl.syntax.tokens import tokenize
from tests.paths import TESTS

GOOD = sorted((TESTS / "good").glob("*.ktg"))


@pytest.fixture(scope="module")
def strict() -> lark.Lark:
    """The parser from the grammar's text; conflicts and colliding terminals are errors."""
    return grammar.build(strict=True)


def test_tables_are_current() -> None:
    """KTG_UPDATE_GOLDEN=1 makes them anew, with a fixed hash seed so that they compare."""
    path = grammar.folder() / "tables.json"
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        code = (
            "import json; from ktgdsl.language import grammar;"
            "facts = {'made_from': grammar.fingerprint(), **grammar.made()._asdict()};"
            "print(json.dumps(facts, separators=(',', ':')))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        made = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True
        )
        path.write_bytes(made.stdout)
    assert json.loads(path.read_bytes())["made_from"] == grammar.fingerprint()


def test_tables_are_those_of_the_grammar() -> None:
    """States may have other numbers: from each start symbol the same rows are met."""
    stored, fresh = grammar.tables(), grammar.made()
    for name in ("rules", "terminals", "ignored"):
        assert getattr(stored, name) == getattr(fresh, name)
    same = {stored.first[start]: fresh.first[start] for start in grammar.STARTS}
    waiting = list(same.items())
    while waiting:
        one, other = waiting.pop()
        assert stored.states[one].keys() == fresh.states[other].keys()
        for symbol, to in stored.states[one].items():
            too = fresh.states[other][symbol]
            if to < 0:
                assert too == to
            elif to not in same:
                same[to] = too
                waiting.append((to, too))
            assert to < 0 or same[to] == too
    assert sorted(same) == list(range(len(stored.states)))
    assert {start: same[to] for start, to in stored.last.items()} == fresh.last


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_tokens_are_those_of_the_grammar(path: Path, strict: lark.Lark) -> None:
    text = path.read_text(encoding="utf-8-sig")
    tokens, errors = tokenize(Source("a.ktg", text))
    expected = [(t.type, t.value, t.start_pos, t.end_pos) for t in strict.lex(text)]
    assert [token[:4] for token in tokens] == expected
    assert errors == []


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"made_from": "abc"}'])
def test_stale_tables_are_not_used(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (grammar.folder() / "ktg.lark").read_bytes()
    (tmp_path / "ktg.lark").write_bytes(text)
    if content is not None:
        (tmp_path / "tables.json").write_bytes(content)
    monkeypatch.setattr(grammar, "folder", lambda: tmp_path)
    made = grammar.tables.__wrapped__()
    assert (made.rules, made.terminals) == (grammar.made().rules, grammar.made().terminals)


def test_every_terminal_has_a_name(strict: lark.Lark) -> None:
    """Lark names those written in a rule itself, and leaves them out of the tree."""
    assert not [t.name for t in strict.terminals if t.name.startswith("__")]
    filtered = [s for rule in strict.rules for s in rule.expansion if getattr(s, "filter_out", 0)]
    assert filtered == []
