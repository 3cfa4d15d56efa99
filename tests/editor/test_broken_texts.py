"""Whatever is written so far, there are answers and no exception."""

from pathlib import Path
from random import Random

import pytest

from ktgdsl.diagnostics.source import Source
from ktgdsl.editor import names
from ktgdsl.editor.completion import complete
from ktgdsl.editor.document import Document
from ktgdsl.editor.fixes import fixes
from ktgdsl.editor.hover import hover
from ktgdsl.editor.symbols import symbols
from tests.mutate import mutated
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


def campaign(piece: int, number: int) -> None:
    """Ask at places in texts that are almost specs, the same for every run."""
    random = Random(f"piece {piece}")
    for text in (mutated(random) for _ in range(number)):
        offset = random.randrange(len(text) + 1)
        try:
            ask(text, offset, SPECS / "x.ktg")
        except Exception as error:
            raise AssertionError(f"at {offset} of {text!a}") from error


def test_texts_that_are_almost_specs() -> None:
    campaign(0, 20)


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(1, 21))
def test_thousands_of_texts(piece: int) -> None:
    campaign(piece, 250)


@pytest.mark.parametrize("text", STRANGE, ids=lambda text: ascii(text[:12]))
def test_strange_texts(text: str, tmp_path: Path) -> None:
    for offset in (0, len(text) // 2, len(text)):
        ask(text, offset, tmp_path / "gone" / "x.ktg")
