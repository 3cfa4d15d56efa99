"""Texts with a mark where the cursor is."""

from pathlib import Path

from ktgdsl.diagnostics.source import Source
from ktgdsl.editor.document import Document

MARK = "‸"
HERE = Path("/nowhere/at/all")

GRAPH = """\
graph g {
    node a, b = resnet8
    node t = resnet14 { frozen = true }
    target a
    edge label -> a
    edge t -> a : kl(T=T) via linear * 0.5
}
let T = 2 * 2
phase warm { learn = [a] }
data digits { batch = 32 }
"""


def document(text: str, folder: Path = HERE) -> Document:
    """A text that is being written."""
    return Document(Source(str(folder / "x.ktg"), text), folder)


def marked(text: str, folder: Path = HERE) -> tuple[Document, int]:
    """A text without its mark, and where that stood."""
    assert text.count(MARK) == 1
    return document(text.replace(MARK, ""), folder), text.index(MARK)


def at(part: str, text: str = GRAPH) -> tuple[Document, int]:
    """The place in a text that a part of it, with a mark in it, points to."""
    plain = part.replace(MARK, "")
    assert text.count(plain) == 1, plain
    return marked(text.replace(plain, part))
