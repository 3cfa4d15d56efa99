"""What a wrong spec is told: golden files, one mistake or one kind of mistake each."""

import os
from pathlib import Path

import pytest

from ktgdsl.language.diagnostic import CODES
from ktgdsl.language.read import read
from ktgdsl.language.render import render, summary
from ktgdsl.language.source import Source
from ktgdsl.spec import compile_source

BAD = sorted((Path(__file__).parent / "bad").glob("*.ktg"))


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
