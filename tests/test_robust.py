"""Whatever the text, a check takes time linear in its length; `tests.fuzz` has what else holds."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.render import render
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_source
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import read

# Time, counted in calls of functions, since seconds are another on every machine

GRAPH = "graph g { node a, b = resnet8 target a edge label -> * }\n"


def _repeated(part: str, before: str = "", after: str = "") -> Callable[[int], str]:
    """A text with `part` so many times, in which `#` is the number of each."""
    return lambda n: before + "".join(part.replace("#", str(i)) for i in range(n)) + after


APART = ["(", "[", "{", "}", "]", ")", "=", ",", ".", "-", "|", "f(", "edge"]
CLOSE = ["(", "[", "{", ")", "-", "é", "@", "1.", "1_", '"', "'", "\\", "#", "a.", "=>", "→"]
SHAPES = {
    # what is sound, or would be with other words
    "lets": _repeated("let x# = 1 + # * 2\n", GRAPH),
    "a chain of lets": _repeated("let x#0 = x#\n", GRAPH),
    "edges": _repeated(
        "edge b -> a : kl via 0.5\n", "graph g { node a, b = resnet8 target a\n", "}"
    ),
    "edges of no node": _repeated("edge x# -> a : kl\n", "graph g { node a = resnet8\n", "}"),
    "nodes": _repeated("node a# = resnet8\n", "graph g {", "}"),
    "terms": _repeated("ce via linear, ", "graph g { node a = resnet8 edge label -> a : ", "ce }"),
    "settings": _repeated("x# = 1\n", GRAPH + "train {", "}"),
    "a list": _repeated("1, ", GRAPH + "train { x = [", "] }"),
    "arguments": _repeated("x# = 1, ", GRAPH + "train { optimizer = sgd(", ") }"),
    "phases": _repeated("phase p# { learn = [a] }\n", GRAPH),
    "graphs": _repeated(GRAPH),
    "levels of lists": lambda n: f"let x = {'[' * 60}1{']' * 60}\n" * (n // 20),
    "levels of calls": lambda n: f"let x = {'f(' * 60}1{')' * 60}\n" * (n // 20),
    "uses": _repeated('use "x#.ktg"\n', GRAPH),
    # what is not
    "broken statements": _repeated("let = 1\n"),
    "broken members": _repeated("edge a ->\n", "graph g {", "}"),
    "broken settings": _repeated("x = = 1\n", "train {", "}"),
    "misspelt keywords": _repeated("nodee a# = resnet8\n"),
    "calls never closed": _repeated("x = f(1\n", "train {", "}"),
    "wrong signs": _repeated("let a = 1 ;\n"),
    "wrong signs in one line": _repeated("let a = 1 ; "),
    **{f"many {sign}": _repeated(f"{sign} ", "let a = ") for sign in APART},
    **{f"close {sign}": _repeated(sign, "let a = ") for sign in CLOSE},
    "a long name": _repeated("x", "let ", " = 1"),
    "a long number": _repeated("0", "let a = 0.", "1"),
    "a long string": _repeated("x", 'let a = "', '"'),
    "a string of escapes": _repeated("\\n", 'let a = "', '"'),
    "a long comment": _repeated("x", "# ", "\nlet a = 1"),
    "comments": _repeated("# x\n", "let a = [\n", "1]"),
    "comments beside": _repeated("let x# = 1 # x\n"),
    "blank lines": _repeated("\n", GRAPH, GRAPH),
    "carriage returns": _repeated("\r", GRAPH, GRAPH),
}


def calls(text: str) -> int:
    """How many functions are called to compile, render and format a text."""
    count = 0

    def see(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    source = Source("spec.ktg", text)
    before = sys.getprofile()
    sys.setprofile(see)
    try:
        result = compile_source(source, Path("/nowhere"))
        render(result.diagnostics, result.sources, "full")
        format_source(source)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_takes_twice_the_steps(shape: str) -> None:
    make = SHAPES[shape]
    calls(make(3))  # what is only done once
    once, twice = calls(make(300)), calls(make(600))
    assert twice < 2.3 * once


def test_a_file_has_a_limit(tmp_path: Path) -> None:
    """A mebibyte is read, and one byte more is one complaint, whoever asks."""
    path = tmp_path / "large.ktg"
    path.write_bytes(b"#" * (1 << 20))
    source, problems = read(path)
    assert source is not None
    assert problems == parse(source)[1] == ()
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert [problem.code for problem in read(path)[1]] == ["E003"]
    assert [p.code for p in parse(Source("a", source.text + "#"))[1]] == ["E003"]
