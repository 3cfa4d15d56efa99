"""Diagnostics as text: `full` for people, `concise` for editors and CI, `json` for programs."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from textwrap import wrap as wrap_words
from typing import Literal, NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span

Style = Literal["full", "concise", "json"]

_CONTEXT = 2  # lines shown before and after the one that a diagnostic is about
_TAB = 4
_CUT = "..."
_MIN_CODE_WIDTH = 20
_COLOURS = {"error": "1;31", "warning": "1;33", "gutter": "1;34", "help": "1;36", "strong": "1"}


def render(
    diagnostics: Sequence[Diagnostic],
    sources: Mapping[str, Source],
    style: Style,
    colour: bool = False,
    width: int = 80,
    wrap: bool = False,
) -> str:
    """All diagnostics in one style, in the order given; "" for none, but `[]` as JSON.

    `sources` are by path; without its source a diagnostic is shown without its place.
    `width` is that of the terminal in columns: longer source lines are cut, and with `wrap` the
    sentences of `full` are broken at words. Control characters are written as escapes, so that
    no file can command the terminal.
    """
    if style == "json":
        return json.dumps([_as_json(diagnostic, sources) for diagnostic in diagnostics], indent=2)
    if style == "concise":
        return "\n".join(_concise(diagnostic, sources) for diagnostic in diagnostics)
    paint = _Paint(colour, width if wrap else None)
    return "\n\n".join(_full(diagnostic, sources, paint, width) for diagnostic in diagnostics)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """How many there are: "2 errors, 1 warning", or "no errors"."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    counts = (errors, "error"), (len(diagnostics) - errors, "warning")
    parts = [f"{count} {noun}{'s' * (count > 1)}" for count, noun in counts if count]
    return ", ".join(parts) or "no errors"


def printable(text: str) -> str:
    """The text with every character that could command a terminal written as an escape."""
    return text if text.isprintable() else "".join(_escape(char) for char in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, whose ends stay."""
    return "\n".join(map(printable, text.split("\n")))


def _escape(char: str) -> str:
    code = ord(char)
    # Cc and Cf are the control and format characters, right-to-left overrides among them. XML
    # may hold no "noncharacter" such as U+FFFE either.
    harmless = unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    if harmless and code & 0xFFFE != 0xFFFE:
        return char
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    return f"\\x{code:02x}" if code < 256 else f"\\u{{{code:x}}}"


def _place(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> tuple[Source, Span] | None:
    span = diagnostic.span
    source = sources.get(span.path) if span is not None else None
    return None if span is None or source is None else (source, span)


def _as_json(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> dict[str, object]:
    place = _place(diagnostic, sources)
    start = end = None
    if place is not None:
        source, span = place
        start, end = source.position(span.start), source.position(span.end)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "path": diagnostic.path,
        "line": start and start.line,
        "column": start and start.column,
        "end_line": end and end.line,
        "end_column": end and end.column,
        "help": diagnostic.help,
    }


def where(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> str:
    """`path:line:column`, or as much of it as is known; of an option only the option."""
    place = _place(diagnostic, sources)
    path = printable(diagnostic.path or "")
    if place is None:
        return path
    if place[0].option:
        return printable(place[0].option)
    line, column = place[0].position(place[1].start)
    return f"{path}:{line}:{column}"


def _concise(diagnostic: Diagnostic, sources: Mapping[str, Source]) -> str:
    place = where(diagnostic, sources)
    message = printable(diagnostic.message)
    return f"{place}{': ' * bool(place)}{diagnostic.severity}[{diagnostic.code}] {message}"


class _Paint:
    """Writes text in a colour, or plainly; sentences in lines of `width` columns, if any."""

    def __init__(self, colour: bool, width: int | None = None) -> None:
        self._colour, self._width = colour, width

    def __call__(self, kind: str, text: str) -> str:
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if self._colour and text else text

    def sentence(self, kind: str, head: str, text: str, text_kind: str = "") -> str:
        """A sentence behind a head in a colour."""
        lines = [head + text]
        if self._width is not None:
            lines = wrap_words(
                lines[0],
                self._width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        painted = [each.removeprefix(head) if i == 0 else each for i, each in enumerate(lines)]
        if text_kind:
            painted = [self(text_kind, each) for each in painted]
        return self(kind, head) + "\n".join(painted)


def _full(diagnostic: Diagnostic, sources: Mapping[str, Source], paint: _Paint, width: int) -> str:
    severity = diagnostic.severity
    message = f": {printable(diagnostic.message)}"
    lines = [paint.sentence(severity, f"{severity}[{diagnostic.code}]", message, "strong")]
    place = _place(diagnostic, sources)
    if place is None:
        if diagnostic.path is not None:
            lines.append(f" {paint('gutter', '-->')} {printable(diagnostic.path)}")
    else:
        lines.extend(_excerpt(diagnostic, *place, where(diagnostic, sources), paint, width))
    if diagnostic.help is not None:
        lines.append(paint.sentence("help", "help", f": {printable(diagnostic.help)}"))
    return "\n".join(lines)


class _Mark(NamedTuple):
    """An underlined part of one line: characters `start` to `end` of it, counted from 0."""

    start: int
    end: int
    sign: str
    text: str


def _excerpt(
    diagnostic: Diagnostic, source: Source, span: Span, where: str, paint: _Paint, width: int
) -> list[str]:
    """The lines of the source around a diagnostic, with what it is about underlined."""
    number = source.position(span.start).line
    first, last = max(1, number - _CONTEXT), min(source.lines, number + _CONTEXT)
    shown = set(range(first, last + 1))
    marks: dict[int, list[_Mark]] = {}
    _mark(marks, source, span, "^", "")
    for label in diagnostic.labels:
        if label.span.path == source.path:
            shown.add(_mark(marks, source, label.span, "-", label.text))
    numbers = _trimmed(sorted(shown), source, marks)
    gutter = len(str(numbers[-1]))
    bar = paint("gutter", f"{'':{gutter}} |")
    lines = [f"{'':{gutter}}{paint('gutter', '-->')} {where}", bar]
    previous = numbers[0] - 1
    for line in numbers:
        if line != previous + 1:
            lines.append(paint("gutter", _CUT))
        previous = line
        for prefix, text in _line(source.line(line), marks.get(line, []), width - gutter - 3):
            left = paint("gutter", f"{line if not prefix else '':>{gutter}} |")
            if prefix:
                text = paint(diagnostic.severity if prefix == "^" else "gutter", text)
            lines.append(f"{left} {text}".rstrip() if not text.strip() else f"{left} {text}")
    return [*lines, bar]


def _mark(marks: dict[int, list[_Mark]], source: Source, span: Span, sign: str, text: str) -> int:
    """Note what to underline for a span, on the first of its lines; the line's number."""
    line, column = source.position(span.start)
    length = max(span.end - span.start, 1)
    marks.setdefault(line, []).append(_Mark(column - 1, column - 1 + length, sign, text))
    return line


def _trimmed(numbers: list[int], source: Source, marks: Mapping[int, object]) -> list[int]:
    """Without the blank lines at both ends, which tell nothing."""
    while numbers[0] not in marks and not source.line(numbers[0]).strip():
        numbers = numbers[1:]
    while numbers[-1] not in marks and not source.line(numbers[-1]).strip():
        numbers = numbers[:-1]
    return numbers


def _line(text: str, marks: list[_Mark], code_width: int) -> list[tuple[str, str]]:
    """A source line cut to `code_width` columns, and the lines that underline its marks.

    Each comes with the sign of its mark, "" for the source line itself.
    """
    code_width = max(code_width, _MIN_CODE_WIDTH)
    text, marks = _near(text, marks, 2 * code_width)
    cells, columns = _cells(text)
    focus = columns[min(marks[0].start, len(cells))] if marks else 0
    low, high = _window(columns[-1], focus, code_width)
    kept = "".join(cell for cell, start in zip(cells, columns, strict=False) if low <= start < high)
    before = _CUT if low else ""
    # A wide character may begin before the window and end inside it.
    offset = next((column for column in columns if column >= low), low) - len(before)
    lines = [("", f"{before}{kept}{_CUT if high < columns[-1] else ''}".rstrip())]
    for mark in marks:
        start = min(max(columns[min(mark.start, len(cells))], low), high)
        end = max(min(columns[min(mark.end, len(cells))], high), start + 1)
        under = " " * (start - offset) + mark.sign * (end - start)
        lines.append((mark.sign, f"{under} {printable(mark.text)}".rstrip()))
    return lines


def _near(text: str, marks: list[_Mark], reach: int) -> tuple[str, list[_Mark]]:
    """The part of a line that can be shown: so many characters on each side of the first mark.

    A line may hold the whole file, and is shown with every one of its mistakes.
    """
    focus = marks[0].start if marks else 0
    begin, end = max(focus - reach, 0), focus + reach
    near = text[begin:end]

    def place(i: int) -> int:
        return min(max(i - begin, 0), len(near))

    return near, [m._replace(start=place(m.start), end=place(m.end)) for m in marks]


def _cells(text: str) -> tuple[list[str], list[int]]:
    """The text to print for each character, and the column where each begins, with the end's."""
    if text.isascii() and text.isprintable():
        return list(text), list(range(len(text) + 1))
    cells: list[str] = []
    columns = [0]
    for char in text:
        column = columns[-1]
        if char == "\t":
            cell = " " * (_TAB - column % _TAB)
            size = len(cell)
        else:
            cell = _escape(char)
            size = len(cell)
            if cell == char:
                size = 2 if unicodedata.east_asian_width(char) in "WF" else size
                size = 0 if unicodedata.combining(char) else size
        cells.append(cell)
        columns.append(column + size)
    return cells, columns


def _window(total: int, focus: int, code_width: int) -> tuple[int, int]:
    """The columns to show of a line of `total` columns, so that `focus` is among them."""
    if total <= code_width:
        return 0, total
    if focus < code_width - 2 * len(_CUT):
        return 0, code_width - len(_CUT)
    low = focus - code_width // 3
    high = low + code_width - 2 * len(_CUT)
    return (low, high) if high < total else (total - code_width + len(_CUT), total)
