"""The places in a spec of nodes, taps and edges of its plan."""

import pytest

from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.places import span_of

SPEC = """\
graph g {
    node a = resnet8
    node p[2], b = resnet14 | python("m:f")
    target a
    edge label -> *
    edge * -> * : kl
    edge p[0] -> a : mse
    edge p[1] -> a : mse via linear
    edge a <-> b : js
    edge b : entropy
    edge a.(stage1 | stage2) -> b.stage3 : hint
    edge b."layer1.0" -> a.stage1 : attention
}
data mnist { holdout = true }
train { compile = on }
"""


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (Subject("a"), "resnet8"),
        (Subject("p[1]"), 'resnet14 | python("m:f")'),
        (Subject(edge=("label", "p[1]")), "edge label -> *"),
        (Subject(edge=("p[0]", "b")), "edge * -> * : kl"),
        (Subject(edge=("p[0]", "a")), "edge p[0] -> a : mse"),
        (Subject(edge=("p[1]", "a")), "edge p[1] -> a : mse via linear"),
        (Subject(edge=("b", "a")), "edge a <-> b : js"),
        (Subject(edge=("", "b")), "edge b : entropy"),
        (Subject(edge=("a.stage2", "b.stage3")), "edge a.(stage1 | stage2) -> b.stage3 : hint"),
        (Subject("b", "layer1.0"), 'b."layer1.0"'),
        (Subject(block="train", setting="compile"), "compile = on"),
        (Subject(block="train", setting="seed"), "train { compile = on }"),
        (Subject(block="data", setting="batch"), "mnist"),
        (Subject(block="search"), None),
        (Subject("c"), None),
        (Subject(edge=("a", "p[0].stage1")), None),
    ],
)
def test_places(subject: Subject, text: str | None) -> None:
    tree, problems = parse(Source("g.ktg", SPEC))
    assert tree is not None
    assert not problems
    span = span_of(tree, subject)
    assert (SPEC[span.start : span.end] if span else None) == text
