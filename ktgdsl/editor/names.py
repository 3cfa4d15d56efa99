"""Definition, references and rename of a name, across a spec and the files that it uses."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.editor.document import Document
from ktgdsl.editor.mentions import Mention
from ktgdsl.syntax.boundaries import RESERVED

_RENAMED = {"node": "node", "let": "`let`", "phase": "phase", "graph": "graph"}
_WORDS = frozenset(word.lower() for word in RESERVED)


class Edit(NamedTuple):
    """A place of the text, and what is to stand there."""

    span: Span
    text: str


class Refused(NamedTuple):
    """Why a name cannot be changed."""

    reason: str


def definition(document: Document, offset: int) -> list[Span]:
    """Where the name at a place is declared; for the path of a `use`, the start of that file."""
    mention = document.mention_at(offset)
    if mention is None:
        return []
    if mention.role == "file":
        return [Span(path, 0, 0) for path in document.used if _is(path, document, mention.name)]
    return [each.span for each in _same(document, mention) if each.declares]


def references(document: Document, offset: int, *, declarations: bool = True) -> list[Span]:
    """Every place that says the name at a place, in this file and in those that it uses."""
    mention = document.mention_at(offset)
    same = [] if mention is None else list(_same(document, mention))
    return [each.span for each in same if declarations or not each.declares]


def highlights(document: Document, offset: int) -> list[Span]:
    """The references in this file alone."""
    return [s for s in references(document, offset) if s.path == document.source.path]


def renamable(
    document: Document, offset: int, others: Iterable[Document] = ()
) -> Mention | Refused:
    """The name at a place, if it can be changed from here.

    `others` are texts that are open, too: those that use this one may say the name.
    """
    mention = document.mention_at(offset)
    if mention is None or mention.role not in _RENAMED:
        what = "a node, a `let`, a phase or a graph is renamed where its name stands"
        return Refused(f"there is no name to change here: {what}")
    own = document.source.path
    elsewhere = [s.path for s in references(document, offset) if s.path != own]
    users = [o for o in others if o.source.path != own and own in o.used]
    elsewhere += [
        o.source.path for o in users if any(_means_same(each, mention) for each in o.mentions)
    ]
    if elsewhere:
        file = Path(elsewhere[0]).name
        return Refused(
            f"`{mention.name}` stands in {file} as well, which is not changed with this file"
        )
    if not any(each.declares for each in _same(document, mention)):
        return Refused(f"`{mention.name}` is not declared")
    if mention.name in document.unparsed:
        return Refused(f"`{mention.name}` may stand in what does not parse: correct that first")
    return mention


def rename(
    document: Document, offset: int, new: str, others: Iterable[Document] = ()
) -> list[Edit] | Refused:
    """The edits that give the name at a place another spelling everywhere; or why there are none.

    Refused is what is no name or taken, or would bring an error that is not there already.
    """
    mention = renamable(document, offset, others)
    if isinstance(mention, Refused):
        return mention
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", new) or new in _WORDS:
        why = "is a keyword" if new in _WORDS else "is not a name: letters, digits and `_`"
        return Refused(f"`{new}` {why}")
    if new == mention.name:
        return []
    taken = {
        "phase": document.phases,
        "graph": frozenset[str](),
    }.get(mention.role, document.nodes | document.let_names)
    if new in taken:
        return Refused(f"`{new}` is the name of something else already")
    edits = [Edit(each.span, new) for each in _same(document, mention)]
    problem = new_error(document, edited(document.source, edits))
    return Refused(problem) if problem else edits


def edited(source: Source, edits: list[Edit]) -> Source:
    """The text with all edits in it, none of which overlap."""
    text = source.text
    for span, new in sorted(edits, key=lambda edit: edit.span, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return Source(source.path, text)


def new_error(document: Document, changed: Source) -> str | None:
    """The first error of the changed text that the text did not have, None if there is none."""
    before = [each.code for each in document.compiled.diagnostics if each.severity == "error"]
    for each in replace(document, source=changed).compiled.diagnostics:
        if each.severity == "error" and each.code not in before:
            return each.message
        if each.severity == "error":
            before.remove(each.code)
    return None


def _same(document: Document, mention: Mention) -> Iterator[Mention]:
    """All mentions of what a mention names, in this file and those that it uses."""
    for each in document.mentions:
        if _means_same(each, mention):
            yield each
    for other in document.used.values():
        for each in document.mentions_of(other):
            if _means_same(each, mention):
                yield each


def _means_same(one: Mention, other: Mention) -> bool:
    same_owner = one.owner == other.owner or one.role in ("let", "node", "phase", "graph", "head")
    return one.role == other.role and one.name == other.name and same_owner


def _is(path: str, document: Document, written: str) -> bool:
    try:
        return Path(path).resolve() == (document.folder / written).resolve()
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        return False
