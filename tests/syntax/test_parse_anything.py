"""No text makes the parser raise, hang or say something that is not about the text."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ktgdsl.diagnostics.render import render
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.parse import parse, parse_value
from tests.paths import TESTS

GOOD = [path.read_text("utf-8") for path in sorted((TESTS / "good").glob("*.ktg"))]
WORDS = sorted({word for text in GOOD for word in re.findall(r"\w+|[^\w\s]+", text)})
STRANGE = [
    "@",
    "'",
    '"',
    "\\",
    "%",
    "=>",
    "<-",
    "→",
    "é",
    "\x1b",
    "\0",
    "\u202e",
    ".5",
    "1.",
    "64px",
]
JARGON = re.compile(r"Token|\$END|LBRACE|Unexpected|Traceback|__")
# The alphabet of the language and some of what is outside of it.
TEXTS = st.text(st.sampled_from("abk(){}[]=,.|*/+-<>:\"'%#_ \n\r\t015eé\x00\u202e@;→"), max_size=60)


def look(text: str) -> None:
    """Parse a text and check all that is said about it."""
    source = Source("a.ktg", text)
    tree, diagnostics = parse(source)
    parse_value(source)
    assert tree is not None or diagnostics
    starts = [error.span.start for error in diagnostics if error.span is not None]
    assert starts == sorted(starts)
    for error in diagnostics:
        assert error.span is not None
        assert 0 <= error.span.start < error.span.end <= len(text)
        assert not JARGON.search(re.sub(r"`[^`]*`", "", error.message))
        for label in error.labels:
            assert 0 <= label.span.start < label.span.end <= len(text)
    full = render(diagnostics, {"a.ktg": source}, "full")
    assert not set(full) & set("\x1b\0\r\t\u202e")
    assert len(json.loads(render(diagnostics, {"a.ktg": source}, "json"))) == len(diagnostics)
    assert render(diagnostics, {"a.ktg": source}, "concise").count("\n") == max(
        len(diagnostics) - 1, 0
    )


@settings(deadline=None)
@given(TEXTS)
def test_any_text(text: str) -> None:
    look(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*WORDS, *STRANGE, "\n", "{", "}"]), max_size=40))
def test_any_words(words: list[str]) -> None:
    look(" ".join(words))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_sound_text_changed_somewhere(data: st.DataObject) -> None:
    pieces = re.findall(r"\s+|\w+|[^\w\s]", data.draw(st.sampled_from([t for t in GOOD if t])))
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(pieces) - 1))
        match data.draw(st.sampled_from(["leave out", "insert", "replace", "swap"])):
            case "leave out":
                pieces[i] = ""
            case "insert":
                pieces.insert(i, data.draw(st.sampled_from(WORDS + STRANGE)) + " ")
            case "replace":
                pieces[i] = data.draw(st.sampled_from(WORDS + STRANGE))
            case _:
                j = data.draw(st.integers(0, len(pieces) - 1))
                pieces[i], pieces[j] = pieces[j], pieces[i]
    look("".join(pieces))
