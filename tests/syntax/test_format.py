"""Printing a tree gives text that parses to an equal tree."""

import pytest
from hypothesis import HealthCheck, given, settings

from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_file
from ktgdsl.syntax.parse import parse, parse_value
from ktgdsl.syntax.tree import File, Value
from ktgdsl.syntax.unparse import Unparser
from tests.trees import FILES, values


@settings(max_examples=120, deadline=None)
@given(values())
def test_values(value: Value) -> None:
    text = Unparser().value(value)
    assert parse_value(Source("text", text)) == (value, ()), text


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
def test_files(tree: File) -> None:
    text = format_file(tree)
    assert parse(Source("text", text)) == (tree, ()), text


FILE = """
use "recipes/cifar.ktg"
let each g = through | 0.5 * (correct + linear)
graph all {
    node a, p[2] = resnet(depth=8) { frozen = true  weights = "t.safetensors" }
    node aux[1 .. 6] = resnet8 | wrn10_2
    node e = ensemble(a, p[*], combine=gated(by=p[0].stage2), detach=false)
    target a, p[0]
    share a, p { layers = [stem, stage1] }
    edge label -> *
    edge a, p[1] -> *.stage1 : hint via 1 - g, -0.5 * fsp(with=stage2)
    edge t."layer1.0.conv1" <-> a.(stage1 | stage2) via 0.9
    edge * : -0.1 * entropy
}
data folder("my images") { batch = 64  validation = 20% }
phase one { learn = [a, p]  epochs = 2 }
search { objective = accuracy(a)  trials = 10_000 }
"""

# Without the source, numbers have Python's spelling and blocks are always opened.
PRINTED = """\
use "recipes/cifar.ktg"
let each g = through | 0.5 * (correct + linear)

graph all {
    node a, p[2] = resnet(depth=8) { frozen = true  weights = "t.safetensors" }
    node aux[1 .. 6] = resnet8 | wrn10_2
    node e = ensemble(a, p[*], combine=gated(by=p[0].stage2), detach=false)
    target a, p[0]
    share a, p { layers = [stem, stage1] }
    edge label -> *
    edge a, p[1] -> *.stage1 : hint via 1 - g, -0.5 * fsp(with=stage2)
    edge t."layer1.0.conv1" <-> a.(stage1 | stage2) via 0.9
    edge * : -0.1 * entropy
}

data folder("my images") {
    batch      = 64
    validation = 20%
}

phase one {
    learn  = [a, p]
    epochs = 2
}

search {
    objective = accuracy(a)
    trials    = 10000
}
"""


def test_a_file_with_everything() -> None:
    tree, diagnostics = parse(Source("text", FILE))
    assert tree is not None
    assert diagnostics == ()
    assert format_file(tree) == PRINTED


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("(a + b) * c", "(a + b) * c"),
        ("(a * b) + c", "a * b + c"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("-(a + b)", "-(a + b)"),
        ("x() | (1 .. 2)", "x | 1 .. 2"),
        ("correct * (linear | through)", "correct * (linear | through)"),
        ("log(1e-3 .. 1e-1)", "log(0.001 .. 0.1)"),
    ],
)
def test_only_the_parentheses_that_are_needed(text: str, printed: str) -> None:
    assert _printed(text) == printed


@pytest.mark.parametrize(
    ("text", "printed"),
    [("1 .. 2 * n", "1 .. (2 * n)"), ("8 - 1 .. -n", "(8 - 1) .. -n")],
)
def test_and_those_that_show_how_loosely_a_range_binds(text: str, printed: str) -> None:
    assert _printed(text) == printed


def test_a_percentage_has_no_exponent() -> None:
    assert _printed("0.0000001%") == "0.0000001%"
    large = f"1{'0' * 23}.0%"  # as a float, which no integer is
    assert _printed(large) == _printed(_printed(large)) == large


def test_a_number_of_steps_is_a_number_and_a_word() -> None:
    assert _printed("10_000   step") == "10000 steps"
    assert _printed("1 steps | 5e2 steps") == "1 step | 500.0 steps"


def _printed(text: str) -> str:
    value, diagnostics = parse_value(Source("text", text))
    assert value is not None
    assert diagnostics == ()
    return Unparser().value(value)
