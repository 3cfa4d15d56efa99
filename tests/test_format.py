"""Printing a tree gives text that parses to an equal tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ktgdsl.language.format import format_file, format_value
from ktgdsl.language.parse import parse, parse_value
from ktgdsl.language.source import Source, Span
from ktgdsl.language.syntax import (
    Argument,
    Binary,
    Boolean,
    Call,
    Choice,
    List,
    Number,
    Percent,
    Range,
    Reference,
    String,
    Unary,
    Value,
)

AT = Span("generated", 0, 0)
NAMES = st.sampled_from(["a", "kl", "correct", "T", "stage2", "h_1"])
NUMBERS = st.integers(0, 10**9) | st.floats(
    0, allow_nan=False, allow_infinity=False, allow_subnormal=False
)
PERCENTS = st.integers(0, 1000) | st.sampled_from([12.5, 0.1, 99.99])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"))
LEAVES = st.one_of(
    NUMBERS.map(lambda n: Number(span=AT, value=n)),
    PERCENTS.map(lambda n: Percent(span=AT, value=n)),
    st.booleans().map(lambda b: Boolean(span=AT, value=b)),
    TEXTS.map(lambda s: String(span=AT, value=s)),
    NAMES.map(lambda n: Call(span=AT, name=n, name_span=AT)),
    st.builds(
        lambda name, index: Reference(span=AT, name=name, index=Number(span=AT, value=index)),
        NAMES,
        st.integers(0, 9),
    ),
)


def _flat(options: list[Value]) -> Choice:
    inner = [
        o
        for option in options
        for o in (option.options if isinstance(option, Choice) else (option,))
    ]
    return Choice(span=AT, options=tuple(inner))


def _deeper(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    arithmetic = values.filter(lambda v: not isinstance(v, Range | Choice))
    return st.one_of(
        st.lists(values, max_size=3).map(lambda items: List(span=AT, items=tuple(items))),
        st.builds(lambda v: Unary(span=AT, operator="-", operand=v), values),
        st.builds(
            lambda o, left, right: Binary(span=AT, operator=o, left=left, right=right),
            st.sampled_from("+-*/"),
            values,
            values,
        ),
        st.builds(lambda low, high: Range(span=AT, low=low, high=high), arithmetic, arithmetic),
        st.lists(values, min_size=2, max_size=3).map(_flat),
        st.builds(
            lambda name, positional, named: Call(
                span=AT,
                name=name,
                name_span=AT,
                arguments=(
                    *(Argument(span=AT, name=None, value=v) for v in positional),
                    *(Argument(span=AT, name=n, value=v) for n, v in named.items()),
                ),
            ),
            NAMES,
            st.lists(values, max_size=2),
            st.dictionaries(NAMES, values, max_size=2),
        ),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(LEAVES, _deeper, max_leaves=12))
def test_values(value: Value) -> None:
    text = format_value(value)
    assert parse_value(Source("text", text)) == (value, ()), text


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


def test_a_file_with_everything() -> None:
    tree, diagnostics = parse(Source("text", FILE))
    assert tree is not None
    assert diagnostics == ()
    text = format_file(tree)
    assert parse(Source("again", text)) == (tree, ())
    assert "edge label -> *\n" in text
    assert 'edge t."layer1.0.conv1" <-> a.(stage1 | stage2) via 0.9\n' in text


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
    value, diagnostics = parse_value(Source("text", text))
    assert value is not None
    assert diagnostics == ()
    assert format_value(value) == printed
