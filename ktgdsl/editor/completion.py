"""Completion: what can be written at a place, from the tables that the checker suggests from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ktgdsl.editor import documentation
from ktgdsl.editor.context import Context, context_at
from ktgdsl.editor.document import Document
from ktgdsl.editor.mentions import ANYTHING, Wanted
from ktgdsl.editor.resolved import let_text
from ktgdsl.editor.taps import taps
from ktgdsl.files import expand_home
from ktgdsl.plan.model import LABEL
from ktgdsl.syntax.boundaries import RESERVED
from ktgdsl.vocabulary.installed import installed_words
from ktgdsl.vocabulary.registry import KINDS, entries, settings_of

Kind = Literal[
    "keyword", "node", "let", "phase", "word", "setting", "argument", "choice", "tap", "file"
]

SHORT_FORMS = (
    *(f"resnet{depth}" for depth in (8, 14, 20, 32, 56, 110)),
    *(f"wrn{size}" for size in ("10_2", "16_1", "16_2", "28_2", "40_1", "40_2")),
)
"""Networks that papers train; others, such as `resnet44`, are written the same way."""


class Suggestion(NamedTuple):
    """Something to write: `text` is inserted, `label` shown, `documentation` is Markdown."""

    label: str
    kind: Kind
    detail: str = ""
    documentation: str = ""
    text: str = ""


def complete(document: Document, offset: int) -> list[Suggestion]:
    """All that can be written at a place, whatever part of it is there already."""
    if (path := _unfinished_path(document, offset)) is not None:
        return list(_files(document.folder, path))
    if _is_text(document, offset):
        return []
    before = [token for token in document.tokens if (token.end_pos or 0) <= offset]
    if (
        before
        and before[-1].end_pos == offset
        and before[-1].type in ("NAME", "PRE", "STEPS", *RESERVED)
    ):
        before.pop()  # which is being written
    assigned = re.compile(r"\w*[ \t]*=").match(document.source.text, offset) is not None
    suggestions = _suggestions(document, context_at(before), assigned)
    return list({(each.label, each.kind): each for each in suggestions}.values())


def _suggestions(document: Document, context: Context, assigned: bool) -> Iterator[Suggestion]:
    equals = "" if assigned else " = "
    if context.settings:
        for name, field in settings_of(context.settings).model_fields.items():
            if name not in context.present:
                text = documentation.parameter(name, field)
                yield Suggestion(name, "setting", context.settings, text, f"{name}{equals}")
    if context.arguments is not None:
        _, entry = context.arguments
        for name in entry.positions():
            if name not in context.present and name != entry.variadic:
                text = documentation.parameter(name, entry.model_fields[name])
                insert = name if assigned else f"{name}="
                yield Suggestion(f"{name}=", "argument", entry.word, text, insert)
    if context.values is not None:
        yield from _values(document, context.values)
    if context.endpoint:
        yield from (Suggestion(name, "node") for name in sorted(document.nodes))
        if context.endpoint == "source":
            yield Suggestion(LABEL, "keyword", "the labels", documentation.keyword(LABEL))
        yield Suggestion("*", "keyword", "every network node")
    if context.tap_of:
        yield from (
            Suggestion(tap, "tap", context.tap_of) for tap in taps(document, context.tap_of)
        )
    for word in context.keywords:
        yield Suggestion(word, "keyword", "", documentation.keyword(word))


def _values(document: Document, wanted: Wanted) -> Iterator[Suggestion]:
    for word in wanted.words:
        yield Suggestion(word, "choice", wanted.owner)
    for kind in wanted.kinds:
        yield from _of_kind(document, kind, wanted)
    anything = wanted.kinds == ANYTHING.kinds
    for name in sorted(document.let_names):
        yield Suggestion(name, "let", "let", let_text(document, name))
    if anything:
        yield from (Suggestion(name, "node") for name in sorted(document.nodes))


def _of_kind(document: Document, kind: str, wanted: Wanted) -> Iterator[Suggestion]:
    if kind in KINDS:
        if kind == "network":
            for word in SHORT_FORMS:
                yield Suggestion(word, "word", kind, documentation.word(kind, word))
        fitting = [word for word, found in entries(kind).items() if wanted.takes(found)]
        for word in (*fitting, *installed_words(kind)):
            yield Suggestion(word, "word", kind, documentation.word(kind, word))
    elif kind == "phase":
        yield from (Suggestion(name, "phase") for name in sorted(document.phases))
    elif kind == "layer":
        yield from (Suggestion(tap, "tap", wanted.owner) for tap in taps(document, wanted.owner))
    elif kind != "head":  # of which only the data know
        yield from (Suggestion(name, "node") for name in sorted(document.nodes))


_STRING = re.compile(r'[^"\n]*"(?:[^"\\\n]|\\.)*"')


def _open_string(document: Document, offset: int) -> str | None:
    """The line up to a quote that is open at a place, and what follows it; None outside of one."""
    start = document.source.text.rfind("\n", 0, offset) + 1
    line = document.source.text[start:offset]
    while found := _STRING.match(line):
        line = line[found.end() :]
    return line if '"' in line else None


def _is_text(document: Document, offset: int) -> bool:
    """Whether a place is inside of a comment or a string."""
    comments = document.lexed.comments
    inside = any((c.start_pos or 0) < offset <= (c.end_pos or 0) for c in comments)
    return inside or _open_string(document, offset) is not None


def _unfinished_path(document: Document, offset: int) -> str | None:
    """The path of a `use` as far as it is written at a place; None if there is none."""
    found = re.fullmatch(r'\s*use\s*"([^"]*)', _open_string(document, offset) or "")
    return found[1] if found else None


def _files(folder: Path, written: str) -> Iterator[Suggestion]:
    """The specs and folders that a path may go on with."""
    try:
        inside = sorted((folder / expand_home(written.rpartition("/")[0] or ".")).iterdir())
        for path in inside:
            if path.is_dir() and not path.name.startswith("."):
                yield Suggestion(f"{path.name}/", "file")
            elif path.suffix == ".ktg":
                yield Suggestion(path.name, "file")
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        return
