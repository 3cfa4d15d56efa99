"""Diagnostics as text: golden files for all syntax errors, and the fine print by hand."""

import json
import os
from pathlib import Path

import pytest

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.render import printable, render, summary
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import read
from tests.paths import TESTS

BAD = sorted((TESTS / "bad" / "syntax").glob("*.ktg"))


def full(text: str, start: int, end: int, *labels: Label, width: int = 80) -> list[str]:
    """The lines of a rendering of one error about part of a text."""
    diagnostic = Diagnostic("E102", "message", Span("f.ktg", start, end), labels=labels)
    sources = {"f.ktg": Source("f.ktg", text)}
    return render([diagnostic], sources, "full", width=width).split("\n")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    """Each bad file renders as the text beside it; KTG_UPDATE_GOLDEN=1 writes it anew."""
    source, unread = read(path)
    assert source is not None
    assert not unread
    source = Source(path.name, source.text)
    _, diagnostics = parse(source)
    rendered = render(diagnostics, {path.name: source}, "full")
    text = f"{rendered}\n\n{summary(diagnostics)}\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("KTG_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_syntax_code_has_a_golden_file() -> None:
    shown = "".join(path.with_suffix(".txt").read_text(encoding="utf-8") for path in BAD)
    assert {code for code in ("E003", "E101", "E102", "E103", "E104", "E105") if code in shown} == {
        "E003",
        "E101",
        "E102",
        "E103",
        "E104",
        "E105",
    }


def test_full() -> None:
    text = "graph g {\n    egde a -> b\n}\n"
    span = Span("f.ktg", 14, 18)
    diagnostic = Diagnostic("E102", "`egde` starts no statement", span, "did you mean `edge`?")
    rendered = render([diagnostic], {"f.ktg": Source("f.ktg", text)}, "full")
    assert rendered.split("\n") == [
        "error[E102]: `egde` starts no statement",
        " --> f.ktg:2:5",
        "  |",
        "1 | graph g {",
        "2 |     egde a -> b",
        "  |     ^^^^",
        "3 | }",
        "  |",
        "help: did you mean `edge`?",
    ]


def test_two_lines_around_and_numbers_aligned() -> None:
    text = "\n".join(f"line {i}" for i in range(1, 21))
    start = text.index("line 10")
    assert full(text, start, start + 4)[2:] == [
        "   |",
        " 8 | line 8",
        " 9 | line 9",
        "10 | line 10",
        "   | ^^^^",
        "11 | line 11",
        "12 | line 12",
        "   |",
    ]


def test_labels_on_the_same_and_on_a_distant_line() -> None:
    text = "{ a\n1\n2\n3\n4\n5\nb c\n"
    start = text.index("b c")
    near = Label(Span("f.ktg", start + 2, start + 3), "this one")
    far = Label(Span("f.ktg", 0, 1), "opened here")
    assert full(text, start, start + 1, near, far)[2:] == [
        "  |",
        "1 | { a",
        "  | - opened here",
        "...",
        "5 | 4",
        "6 | 5",
        "7 | b c",
        "  | ^",
        "  |   - this one",
        "  |",
    ]


def test_tabs_expand_to_the_next_stop() -> None:
    assert full("\tab\tc", 4, 5)[3:5] == ["1 |     ab  c", "  |         ^"]


def test_wide_characters_count_two_columns() -> None:
    assert full("x = 网络 y", 4, 6)[3:5] == ["1 | x = 网络 y", "  |     ^^^^"]
    assert full("x = 网络 y", 7, 8)[3:5] == ["1 | x = 网络 y", "  |          ^"]


def test_combining_characters_take_no_column() -> None:
    assert full("e\u0301 b", 3, 4)[3:5] == ["1 | e\u0301 b", "  |   ^"]


def test_crlf_leaves_no_trace() -> None:
    assert full("ab\r\ncd\r\n", 4, 6)[3:6] == ["1 | ab", "2 | cd", "  | ^^"]


def test_a_span_over_several_lines_shows_its_first() -> None:
    assert full("ab {\ncd\n}", 3, 9)[3:7] == ["1 | ab {", "  |    ^", "2 | cd", "3 | }"]


def test_an_empty_span_and_the_end_of_the_text_are_pointed_at() -> None:
    assert full("ab", 1, 1)[3:5] == ["1 | ab", "  |  ^"]
    assert full("ab\n", 3, 3)[3:6] == ["1 | ab", "2 |", "  | ^"]
    assert full("", 0, 0)[3:5] == ["1 |", "  | ^"]


@pytest.mark.parametrize("start", [0, 10, 150, 299])
def test_long_lines_are_cut_around_the_span(start: int) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(300))
    lines = full(text, start, start + 1, width=40)
    line, under = lines[3:5]
    assert all(len(shown) <= 40 for shown in lines[2:])
    assert line[under.index("^")] == text[start]
    assert line.startswith("1 | ...") == (start > 30)
    assert line.endswith("...") == (start < 280)


def test_no_control_character_reaches_the_terminal() -> None:
    text = "a = \x1b[31m\x07 \u202e b"
    diagnostic = Diagnostic("E101", "bad \x1b]0;title\x07", Span("\x1b.ktg", 4, 5), "do \x9b not")
    for style in ("full", "concise", "json"):
        rendered = render([diagnostic], {"\x1b.ktg": Source("\x1b.ktg", text)}, style)
        assert not set(rendered) & set("\x1b\x07\x9b\u202e")
    lines = full(text, 4, 5)
    assert lines[3:5] == ["1 | a = \\x1b[31m\\x07 \\u{202e} b", "  |     ^^^^"]
    assert printable("a\tb\n") == "a\\tb\\n"


def test_concise() -> None:
    sources = {"f.ktg": Source("f.ktg", "ab\ncd")}
    diagnostics = [
        Diagnostic("E102", "one", Span("f.ktg", 4, 5)),
        Diagnostic("W101", "two", path="g.ktg", severity="warning"),
        Diagnostic("E504", "three"),
    ]
    assert render(diagnostics, sources, "concise").split("\n") == [
        "f.ktg:2:2: error[E102] one",
        "g.ktg: warning[W101] two",
        "error[E504] three",
    ]


def test_json() -> None:
    sources = {"f.ktg": Source("f.ktg", "ab\ncd")}
    diagnostics = [
        Diagnostic("E102", "one", Span("f.ktg", 1, 5), "help"),
        Diagnostic("E001", "two", path="g.ktg"),
    ]
    assert json.loads(render(diagnostics, sources, "json")) == [
        {
            "code": "E102",
            "severity": "error",
            "message": "one",
            "path": "f.ktg",
            "line": 1,
            "column": 2,
            "end_line": 2,
            "end_column": 3,
            "help": "help",
        },
        {
            "code": "E001",
            "severity": "error",
            "message": "two",
            "path": "g.ktg",
            "line": None,
            "column": None,
            "end_line": None,
            "end_column": None,
            "help": None,
        },
    ]
    assert json.loads(render([], {}, "json")) == []


def test_without_a_place() -> None:
    lines = render([Diagnostic("E001", "message", path="f.ktg")], {}, "full").split("\n")
    assert lines == ["error[E001]: message", " --> f.ktg"]
    assert render([Diagnostic("E504", "message")], {}, "full") == "error[E504]: message"


def test_colour_only_when_asked() -> None:
    diagnostic = Diagnostic("E102", "one", Span("f.ktg", 0, 1), "help")
    sources = {"f.ktg": Source("f.ktg", "ab")}
    coloured = render([diagnostic], sources, "full", colour=True)
    plain = render([diagnostic], sources, "full")
    assert "\x1b" not in plain
    assert "\x1b[1;31merror[E102]\x1b[0m" in coloured
    for code in ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_summary() -> None:
    error = Diagnostic("E102", "one")
    warning = Diagnostic("W101", "two", severity="warning")
    assert summary([error, warning, error]) == "2 errors, 1 warning"
    assert summary([error]) == "1 error"
    assert summary([warning, warning]) == "2 warnings"
    assert summary([]) == "no errors"
