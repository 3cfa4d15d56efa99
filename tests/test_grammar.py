"""The grammar is strict LALR(1), and the tables stored beside it are made from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lark
import pytest

from ktgdsl.language import grammar
from ktgdsl.language.source import Source
from ktgdsl.language.tokens import tokenize

GOOD = sorted((Path(__file__).parent / "good").glob("*.ktg"))


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
            "print(json.dumps(grammar.tables(), separators=(',', ':')))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        made = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=True
        )
        path.write_bytes(made.stdout)
    stored = json.loads(path.read_bytes())
    assert stored["made_from"].split()[-1] == grammar.fingerprint().split()[-1]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_tables_and_grammar_give_the_same_trees(path: Path, strict: lark.Lark) -> None:
    text = path.read_text(encoding="utf-8-sig")
    assert grammar.parser().parse(text, start="file") == strict.parse(text, start="file")


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_tokens_are_those_of_the_grammar(path: Path, strict: lark.Lark) -> None:
    text = path.read_text(encoding="utf-8-sig")
    tokens, errors = tokenize(Source("a.ktg", text))
    expected = [(t.type, t.value, t.start_pos, t.end_pos) for t in strict.lex(text)]
    assert [token[:4] for token in tokens] == expected
    assert errors == []


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"made_from": "lark 0.1 abc"}'])
def test_stale_tables_are_not_used(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (grammar.folder() / "ktg.lark").read_bytes()
    (tmp_path / "ktg.lark").write_bytes(text)
    if content is not None:
        (tmp_path / "tables.json").write_bytes(content)
    monkeypatch.setattr(grammar, "folder", lambda: tmp_path)
    made = grammar.parser.__wrapped__()
    assert made.parse("train { }", start="file") == grammar.build().parse("train { }", start="file")


def test_every_terminal_has_a_name(strict: lark.Lark) -> None:
    """Lark names those written in a rule itself, and leaves them out of the tree."""
    assert not [t.name for t in strict.terminals if t.name.startswith("__")]
    filtered = [s for rule in strict.rules for s in rule.expansion if getattr(s, "filter_out", 0)]
    assert filtered == []
