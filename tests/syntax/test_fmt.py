"""`format_source`: one layout for a file with its comments, that says what the file said."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lark import Token

from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax import format as format_module
from ktgdsl.syntax.format import format_file, format_source
from ktgdsl.syntax.lexer import tokenize
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import MAX_BYTES, read
from ktgdsl.syntax.tokens import end_offset, start_offset
from ktgdsl.syntax.tree import File
from tests.paths import TESTS
from tests.trees import FILES

HERE = TESTS
PAIRS = sorted(HERE.glob("format/*.from.ktg"))
LAID_OUT = sorted(
    (set(HERE.glob("format/*.ktg")) - set(PAIRS)) | set(HERE.parent.glob("specs/**/*.ktg"))
)
OTHERS = sorted([*HERE.glob("good/*.ktg"), *HERE.parent.glob("specs/**/*.ktg")])


def _formatted(text: str) -> str:
    formatted, diagnostics = format_source(Source("text", text))
    assert diagnostics == ()
    assert formatted is not None
    return formatted


def _read(path: Path) -> str:
    source, _ = read(path)
    assert source is not None
    return source.text


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.name)
def test_golden(path: Path) -> None:
    expected = path.with_name(path.name.replace(".from", ""))
    assert _formatted(_read(path)) == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", LAID_OUT, ids=lambda path: path.name)
def test_what_is_laid_out_stays(path: Path) -> None:
    assert _formatted(_read(path)) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_spec_can_be_laid_out(path: Path) -> None:
    text = _read(path)
    _check(text, _formatted(text))


def _tokens(text: str) -> list[Token]:
    return tokenize(Source("text", text)).tokens


def _literals(text: str) -> Counter[str]:
    kinds = ("NUMBER", "PERCENT", "STRING")
    return Counter(token.value for token in _tokens(text) if token.type in kinds)


def _comments(text: str) -> Counter[str]:
    """The comments of a text: what stands from a `#` outside tokens to the end of its line."""
    found: Counter[str] = Counter()
    ends = [end_offset(token) for token in _tokens(text)]
    starts = [start_offset(token) for token in _tokens(text)]
    for start, end in zip([0, *ends], [*starts, len(text)], strict=True):
        for line in text[start:end].split("\n"):
            _, sign, comment = line.partition("#")
            found[f"#{comment}".rstrip()] += len(sign)
    return found


def _check(text: str, formatted: str) -> None:
    """The promises that hold for every text."""
    assert parse(Source("new", formatted)) == parse(Source("old", text))
    assert _comments(formatted) == _comments(text)
    assert _literals(formatted) == _literals(text)
    assert _formatted(formatted) == formatted
    lines = formatted.split("\n")
    assert lines.pop() == ""
    assert all(line == line.rstrip() for line in lines)
    pairs = list(zip(["{", *lines], [*lines, "}"], strict=True))
    assert ("", "") not in pairs
    assert not any(not line and before.endswith("{") for before, line in pairs)
    assert not any(not line and after.strip().startswith("}") for line, after in pairs)


GAPS = st.lists(
    st.sampled_from(
        [" ", "\t", "\n", "\r\n", "\n\n\n", "# one\n", " #two  \r\n", "#\n", "\n# x\n"]
    ),
    max_size=3,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES, st.data())
def test_any_text_keeps_what_it_says_and_its_comments(tree: File, data: st.DataObject) -> None:
    _scramble(_words(format_file(tree)), data)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LAID_OUT), st.data())
def test_any_layout_of_a_spec_keeps_its_comments(path: Path, data: st.DataObject) -> None:
    _scramble(_words(_read(path)), data)


def _words(text: str) -> list[str]:
    """What may have gaps between: not a number and its unit, which stand in one line."""
    words: list[str] = []
    for token in _tokens(text):
        if token.type == "STEPS":
            words[-1] += f" {token.value}"
        else:
            words.append(token.value)
    return words


def _scramble(words: list[str], data: st.DataObject) -> None:
    gaps = {}
    if words:
        gaps = data.draw(st.dictionaries(st.integers(0, len(words)), GAPS, max_size=12))
    text = ""
    for i, word in enumerate([*words, ""]):
        text += "".join(gaps.get(i, ())) + " " + word
    _check(text, _formatted(text))


COMMENTS = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))


@settings(deadline=None)
@given(COMMENTS)
@example(["a\rb", "\x0b", "\u2028", " # ", '"', "}"])
def test_a_comment_may_hold_anything(comments: list[str]) -> None:
    text = "train {\n" + "".join(f"x{i} = 1 #{text}\n" for i, text in enumerate(comments)) + "}"
    formatted = _formatted(text)
    assert Counter(line.partition("#")[2] for line in formatted.split("\n")[1:-2]) == Counter(
        text.rstrip(" \t\r") for text in comments
    )


def test_numbers_and_strings_keep_their_spelling() -> None:
    assert _formatted(r'let a = f( (5e-4), 10_000,-1.50, 0.10%, "\"\\\t" )') == (
        r'let a = f(5e-4, 10_000, -1.50, 0.10%, "\"\\\t")' + "\n"
    )


def test_a_list_has_one_spelling() -> None:
    text = "data digits {{ resize = {} }}\n"
    assert _formatted(text.format("(32, 48,)")) == text.format("[32, 48]")
    assert _formatted(text.format("(32)")) == text.format("32")


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("", ""),
        (" \n\t\r\n", ""),
        ("#a", "#a\n"),
        ("# a \n\n\n\n# b\n\n", "# a\n\n# b\n"),
        ("let a = 1", "let a = 1\n"),
        ("\ufefflet a = 1\n", "let a = 1\n"),
        ("\ufeff# a\nlet a = 1\n", "# a\nlet a = 1\n"),
        ("train {\r\n\tseed = 1 # c\r\n}\r\n", "train {\n    seed = 1  # c\n}\n"),
        ("let\ta\t=\t1\t# c\t", "let a = 1  # c\n"),
    ],
)
def test_line_endings_tabs_and_little_files(text: str, formatted: str) -> None:
    assert _formatted(text) == formatted


@pytest.mark.parametrize("text", ["let a =", "graph g {", "let a = 1 # fine\nlet b = ?"])
def test_a_file_with_mistakes_has_no_layout(text: str) -> None:
    source = Source("text", text)
    formatted, diagnostics = format_source(source)
    assert formatted is None
    assert diagnostics == parse(source)[1] != ()


@pytest.mark.parametrize(
    "text",
    [
        f'let a="{"x" * (MAX_BYTES - 8)}"',  # two spaces and the last newline are too many
        f"let a = {'1 + ' * 64}1 .. 2",  # and so are parentheses around 64 levels
    ],
    ids=["size", "levels"],
)
def test_a_file_that_would_exceed_a_limit_has_no_layout(text: str) -> None:
    assert parse(Source("text", text))[1] == ()
    formatted, diagnostics = format_source(Source("text", text))
    assert formatted is None
    assert [d.code for d in diagnostics] == ["E003"]


@pytest.mark.parametrize(
    "wrong",
    ["let a = 2  # c\n", "let a = 1\n", "let a = 1  # d\n", "let a = \n", "# c\nlet a = (3)\n"],
)
def test_a_text_that_says_something_else_is_never_returned(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_module, "render", lambda items: wrong)
    with pytest.raises(AssertionError, match="would change what it says"):
        format_source(Source("text", "let a = 1 # c"))
