"""Lines of text from the items of a file: alignment, line breaks, blank lines.

Items are aligned in runs of one kind with no blank line between them. Whether an item fits on
a line is decided before anything is aligned, and a run that would not fit is not aligned, so
that a text laid out once is laid out the same again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

WIDTH = 88  # up to here a block or the terms of an edge stay on one line
LONGEST = 100  # up to here a value does, whose inner line breaks are harder to read
INDENT = "    "

_SPREAD = 8  # cells whose widths differ by more are not aligned
_HANG = 2 * len(INDENT)
_DEEPEST_HANG = WIDTH // 2
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[(\[]|[)\]]|, | (?=\| |via )')


class Item(NamedTuple):
    """A comment line, a statement or a setting.

    `heads` are the cells that may be padded so that what follows them is aligned; `tail` is
    the rest of the line. `terms` follow it with commas, one a line if they do not fit on one.
    `body` are the contents of a block, which may stand on the line of its head if `inline`.
    `comment` is the one on the line, `closing` the one beside the closing brace, `blank` says
    that a blank line comes before.
    """

    kind: str
    heads: tuple[str, ...] = ()
    tail: str = ""
    terms: tuple[str, ...] = ()
    body: tuple["Item", ...] | None = None
    inline: bool = False
    comment: str = ""
    closing: str = ""
    blank: bool = False

    @property
    def is_comment(self) -> bool:
        """Whether this is a line with nothing but a comment."""
        return self.kind == "comment"


class _Line(NamedTuple):
    text: str
    depth: int = 0
    comment: str = ""


def render(items: Iterable[Item]) -> str:
    """The text of a file."""
    settled = [_settle(item, "") for item in items]
    lines = list(_container(_separated(settled), 0))
    return "".join(f"{line}\n" for line in _with_comments(lines))


def _container(items: Sequence[Item], depth: int) -> Iterator[_Line]:
    indent = INDENT * depth
    first = True
    for run in _runs(items):
        for item, opening in zip(run, _aligned(run, indent), strict=True):
            if item.blank and not first:
                yield _Line("")
            first = False
            yield from (_Line(text, depth) for text in opening[:-1])
            yield _Line(opening[-1], depth, item.comment)
            if item.body is not None:
                inner = [_settle(part, indent + INDENT) for part in item.body]
                yield from _container(inner, depth + 1)
                yield _Line(f"{indent}}}", depth, item.closing)


def _settle(item: Item, indent: str) -> Item:
    """The item with its block put on its own line, or opened for the lines to come."""
    if item.body is None:
        return item
    if item.inline or not (item.body or item.comment):
        inner = "  ".join(_flat(part) for part in item.body)
        tail = f"{item.tail} {{ {inner} }}" if inner else f"{item.tail} {{}}"
        closed = item._replace(tail=tail.lstrip(), body=None, comment=item.closing)
        if not inner or len(indent + _flat(closed)) <= WIDTH:
            return closed
    return item._replace(tail=f"{item.tail} {{".lstrip())


def _flat(item: Item) -> str:
    terms = (", ".join(item.terms),) if item.terms else ()
    return " ".join((*item.heads, item.tail, *terms))


def _separated(items: Sequence[Item]) -> list[Item]:
    """The items of a file with blank lines between them, save between those of one line."""
    separated: list[Item] = []
    before: Item | None = None
    leader = 0  # the first of the comments that stand right above the next statement
    for i, item in enumerate(items):
        if item.blank or (i and not items[i - 1].is_comment):
            leader = i
        separated.append(item)
        if item.is_comment:
            continue
        if before is not None and not (_is_line(before) and _is_line(item)):
            separated[leader] = separated[leader]._replace(blank=True)
        before = item
    return separated


def _is_line(item: Item) -> bool:
    return item.body is None and len(_opening(item, "", ())) == 1


# Alignment


def _runs(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Neighbours of one kind, with the comments between them; a blank line ends a run.

    Not so among settings: a whole block is one run.
    """
    run: list[Item] = []
    kind = ""
    for item in items:
        other = not item.is_comment and kind not in ("", item.kind)
        if run and (other or (item.blank and kind != "setting")):
            yield run
            run, kind = [], ""
        run.append(item)
        if not item.is_comment:
            kind = item.kind
    if run:
        yield run


def _aligned(run: Sequence[Item], indent: str) -> list[list[str]]:
    """The opening lines of each item of a run."""
    plain = [_opening(item, indent, ()) for item in run]
    widths = _widths(run)
    if not widths:
        return plain
    padded = [_opening(item, indent, widths) for item in run]
    if all(_as_good(new, old) for new, old in zip(padded, plain, strict=True)):
        return padded
    return plain


def _as_good(padded: list[str], plain: list[str]) -> bool:
    widest = max(WIDTH, *map(len, plain))
    return len(padded) == len(plain) and all(len(line) <= widest for line in padded)


def _widths(run: Sequence[Item]) -> tuple[int, ...]:
    """How wide each column is, up to the first whose cells differ too much."""
    widths: list[int] = []
    for column in range(max(len(item.heads) for item in run)):
        sizes = [len(item.heads[column]) for item in run if column < len(item.heads)]
        if run[-1].kind != "setting" and max(sizes) - min(sizes) > _SPREAD:
            break
        widths.append(max(sizes))
    return tuple(widths)


# Line breaks


def _opening(item: Item, indent: str, widths: tuple[int, ...]) -> list[str]:
    """The lines of an item up to its block."""
    if item.is_comment:
        return [indent + item.tail]
    sizes = widths[: len(item.heads)]
    cells = zip_longest(item.heads, sizes, fillvalue=0)
    heads = "".join(f"{head:<{size}} " for head, size in cells)
    line, hang = indent + heads + item.tail, len(indent) + _HANG
    if not item.terms:
        below_equals = item.tail.startswith("=") and len(heads) < _DEEPEST_HANG
        return _wrap(line, len(indent + heads) if below_equals else hang)
    flat = f"{line} {', '.join(item.terms)}"
    if len(flat) <= WIDTH:
        return [flat]
    if len(line) < _DEEPEST_HANG:
        hang = len(line) + 1
    first, *others = (*(f"{term}," for term in item.terms[:-1]), item.terms[-1])
    lines = _wrap(f"{line} {first}", hang + len(INDENT))
    for term in others:
        lines += _wrap(" " * hang + term, hang + len(INDENT))
    return lines


def _wrap(text: str, hang: int) -> list[str]:
    """A line broken where it is too long: after commas, before `|` and `via`.

    It goes on at column `hang`, or below what an open bracket holds.
    """
    lines: list[str] = []
    hangs: tuple[int, ...] = (hang,)
    begin = column = 0
    while column + len(text) - begin > LONGEST:
        found = _break(text, begin, column, hangs)
        if found is None:
            break
        end, hangs = found
        lines.append(" " * column + text[begin:end].rstrip())
        begin, column = end, hangs[-1]
    return [*lines, " " * column + text[begin:]]


def _break(
    text: str, begin: int, column: int, hangs: tuple[int, ...]
) -> tuple[int, tuple[int, ...]] | None:
    """Where to end a line that begins at `column` with the character `begin` of the text.

    With it come the columns to go on at, one for each bracket open there.
    """
    best: tuple[int, tuple[int, ...]] | None = None
    first_half, whole = (begin - column + width for width in (LONGEST // 2, LONGEST))
    for piece in _PIECE.finditer(text, begin):
        if best is not None and piece.start() >= whole:
            break
        match piece.group():
            case "(" | "[":
                below = piece.end() - begin + column
                if below >= _DEEPEST_HANG:
                    below = min(hangs[-1] + len(INDENT), _DEEPEST_HANG)
                hangs = (*hangs, below)
            case ")" | "]":
                hangs = hangs[:-1]
            case ", " | " ":
                # As far out of brackets as can be, but not in the first half of the line.
                if best is None or best[0] < first_half or len(hangs) <= len(best[1]):
                    best = piece.end(), hangs
    return best


# Comments


def _with_comments(lines: Iterable[_Line]) -> Iterator[str]:
    """The text of the lines; comments of neighbours at one depth begin in one column."""
    for (commented, _), group in groupby(lines, lambda line: (bool(line.comment), line.depth)):
        run = list(group)
        width = max(len(line.text) for line in run)
        for line in run:
            yield f"{line.text:<{width}}  {line.comment}" if commented else line.text
