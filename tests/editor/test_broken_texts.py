"""Whatever is written so far, there are answers and no exception."""

from pathlib import Path

import pytest

from ktgdsl.diagnostics.source import Source
from ktgdsl.editor import names
from ktgdsl.editor.completion import complete
from ktgdsl.editor.document import Document
from ktgdsl.editor.fixes import fixes
from ktgdsl.editor.hover import hover
from ktgdsl.editor.symbols import symbols
from tests.paths import ROOT, SPECS

ALL = sorted(SPECS.glob("**/*.ktg"))
SOME = [
    SPECS / "methods" / "takd.ktg",
    SPECS / "space.ktg",
    *sorted(ROOT.glob("tests/good/one.ktg")),
]
STRANGE = ["", "\0", "\ud800", "\ufeffgraph", "let a = a\nlet b = b\ntrain { clip = a }", "{" * 300,
           "}" * 300, "(" * 300, "edge " * 300, "let x = " * 300, "use \"\0\"", 'use "x',
           "graph g { node a = ema(a) edge a. }", "graph", "é" * 300, "train = = {", "a.b.c[d].(e",
           "node", "let", "let each", "phase", "edge a[0].", "edge .", ".", "[", "train { = ",
           "graph g { node a = f( g( h(", "a" * (1 << 20) + "b"]  # fmt: skip


def ask(text: str, offset: int, path: Path) -> None:
    """Ask everything that an editor may ask at a place."""
    document = Document(Source(str(path), text), path.parent)
    complete(document, offset)
    hover(document, offset)
    names.definition(document, offset)
    names.references(document, max(offset - 1, 0))
    names.rename(document, offset, "zz")
    fixes(document, max(offset - 9, 0), offset)
    symbols(document)


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_a_spec_as_it_is_typed(path: Path) -> None:
    text = path.read_bytes().decode()
    for end in range(0, len(text), 41):
        ask(text[:end], end, path)


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_spec_as_it_is_typed(path: Path) -> None:
    text = path.read_bytes().decode()
    for end in range(len(text) + 1):
        ask(text[:end], end, path)


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: ascii(text[:12]))
def test_strange_texts(text: str, tmp_path: Path) -> None:
    for offset in (0, len(text) // 2, len(text)):
        ask(text, offset, tmp_path / "gone" / "x.ktg")
