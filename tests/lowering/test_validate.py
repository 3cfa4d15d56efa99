"""What a wrong spec is told: golden files, one mistake or one kind of mistake each."""

import os
from pathlib import Path

import pytest

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.render import render, summary
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.read import read
from tests.paths import ROOT, TESTS

BAD = sorted((TESTS / "bad").glob("*.ktg"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    """Each bad file renders as the text beside it; KTG_UPDATE_GOLDEN=1 writes it anew."""
    source, unread = read(path)
    assert source is not None
    assert not unread
    compiled = compile_source(Source(path.name, source.text), path.parent)
    rendered = render(compiled.diagnostics, compiled.sources, "full")
    text = f"{rendered}\n\n{summary(compiled.diagnostics)}\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_code_that_a_spec_can_earn_has_a_golden_file() -> None:
    """All but those of files, syntax (tests/bad/syntax), overrides, runs and test_pedantic."""
    elsewhere = {code for code in CODES if code[:2] in ("E0", "E1", "E5", "W2", "W3", "W4")}
    elsewhere |= {"E210"}
    shown = "".join(path.with_suffix(".txt").read_text(encoding="utf-8") for path in BAD)
    told = {code for code in CODES if f"[{code}]" in shown}
    assert told - {"E003", "E102", "E103", "E104"} == set(CODES) - elsewhere | {"E106"}


def test_every_code_is_used() -> None:
    package = ROOT / "ktgdsl"
    files = [path for path in package.rglob("*.py") if path.name != "diagnostic.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert [code for code in CODES if f'"{code}"' not in text] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_sentences(path: Path) -> None:
    """A message stands alone: no full stop, no capital, no word of our own machinery."""
    for diagnostic in compile_source(Source("x", path.read_text("utf-8")), path.parent).diagnostics:
        for text in (diagnostic.message, diagnostic.help or ""):
            assert not text.endswith((".", "!", " "))
            assert text[:1] == text[:1].lower()
            assert text.count("`") % 2 == 0
            assert not any(
                word in text for word in ("pydantic", "None", "Percentage", "<", "INVALID")
            )


@pytest.mark.parametrize("name", ["graph", "node", "array"])
def test_a_name_that_is_too_long_for_a_file(name: str) -> None:
    for length, codes in ((200, []), (201, ["E003"])):
        long = "x" * length
        node = {"node": long, "array": f"{long}[2]"}.get(name, "a")
        text = (
            f"graph {long if name == 'graph' else 'g'} {{ node {node} = resnet8 "
            f"target {node.replace('[2]', '[0]')} edge label -> * }}"
        )
        found = compile_source(Source("x.ktg", text), Path()).diagnostics
        assert [each.code for each in found if each.severity == "error"] == codes
