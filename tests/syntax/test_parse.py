"""Text to tree: what each construct says, where it stands, and how mistakes are found."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import tree as s
from ktgdsl.syntax.lexer import tokenize
from ktgdsl.syntax.parse import parse, parse_value
from ktgdsl.syntax.read import MAX_BYTES, read
from ktgdsl.syntax.tree import CallExpression, Node
from tests.paths import TESTS
from tests.sketch import lines, sketch

GOOD = sorted((TESTS / "good").glob("*.ktg"))


def tree_of(name: str) -> s.File:
    """The tree of one of the good files."""
    source, _ = read(TESTS / "good" / f"{name}.ktg")
    assert source is not None
    tree, diagnostics = parse(source)
    assert diagnostics == ()
    assert tree is not None
    return tree


def errors_of(text: str) -> list[tuple[int, str]]:
    """The line and code of each error."""
    source = Source("a.ktg", text)
    return [(line_of(source, error), error.code) for error in parse(source)[1]]


def line_of(source: Source, error: Diagnostic) -> int:
    assert error.span is not None
    return source.position(error.span.start).line


def value_of(text: str) -> s.Value:
    value, diagnostics = parse_value(Source("-", text))
    assert diagnostics == ()
    assert value is not None
    return value


def parts(part: object) -> Iterator[s.Syntax]:
    """All parts of a tree."""
    if isinstance(part, s.Syntax):
        yield part
        for field in fields(part):
            if field.compare:
                yield from parts(getattr(part, field.name))
    elif isinstance(part, tuple):
        for item in part:
            yield from parts(item)


# What the examples of the language say


def test_dml3() -> None:
    assert lines(tree_of("dml3")) == [
        "graph dml3",
        "  node a, b, c = resnet8() {  }",
        "  target a",
        "  edge label -> *",
        "  edge * -> * : kl() via None",
        "data digits() { batch = 64; validation = 20% }",
        "train { epochs = 20; "
        "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.0005); "
        "schedule = step(every=30%, gamma=0.1); aggregate = mean() }",
    ]


def test_gates() -> None:
    assert lines(tree_of("gates"))[3:] == [
        "  edge label -> *",
        "  edge b -> a : kl() via correct()",
        "  edge c -> a : kl() via linear()",
        "  edge * -> b : kl() via ((0.5 * correct()) * linear())",
    ]


def test_space() -> None:
    assert lines(tree_of("space")) == [
        "let each gate = (through() | cutoff() | linear() | correct())",
        "graph space",
        "  node m1 = resnet8() {  }",
        "  node m2, m3 = (resnet8() | resnet14() | wrn10_2()) {  }",
        "  target m1",
        "  edge label -> * : ce() via gate()",
        "  edge * -> * : kl() via gate()",
        "search { trials = 60; sampler = random(seed=0); pruner = asha(min=1, reduction=2); "
        "objective = accuracy(m1()) }",
    ]


def test_kd() -> None:
    assert lines(tree_of("kd"))[4:] == [
        "  edge label -> student : ce() via 0.1",
        "  edge teacher -> student : kl(T=4) via 0.9",
    ]


def test_takd() -> None:
    assert lines(tree_of("takd"))[5:] == [
        "  edge label -> *",
        "  edge teacher -> assistant : kl(T=4) via None",
        "  edge assistant -> student : kl(T=4) via None",
        "phase teach { learn = [teacher()] }",
        "phase assist { learn = [assistant()] }",
        "phase study { learn = [student()] }",
    ]


def test_one() -> None:
    assert lines(tree_of("one")) == [
        "graph one",
        "  node h[3] = resnet32() {  }",
        "  node mix = ensemble(h(), combine=gated(by=h[0].stage2()), detach=False) {  }",
        "  target h[0]",
        "  share h { layers = [stem(), stage1(), stage2()] }",
        "  edge label -> *",
        "  edge label -> mix",
        "  edge mix -> h : kl(T=3) via rampup(80)",
    ]


def test_fitnets() -> None:
    assert lines(tree_of("fitnets")) == [
        "graph fitnets",
        "  node student = resnet20() {  }",
        "  node teacher = resnet56() {  }",
        "  target student",
        "  edge label -> student : None via during(distil())",
        "  edge teacher.stage2() -> student.stage2() : hint() via (100 * during(hints()))",
        "  edge teacher -> student : kl(T=4) via during(distil())"
        " : dkd(alpha=1, beta=8, T=4) via ((0.5 * correct()) * during(distil()))",
        "phase hints { learn = [student()]; epochs = 40 }",
        "phase distil { learn = [student()] }",
    ]


# What each construct says


def test_values() -> None:
    block = tree_of("values").block("train")
    assert block is not None
    assert {setting.name: sketch(setting.value) for setting in block.settings} == {
        "whole": "10000",
        "fraction": "12.5",
        "small": "0.0005",
        "part": "12.5%",
        "yes": "True",
        "no": "False",
        "text": repr('a "b" \\ \t\n # no comment'),
        "empty": "[]",
        "layers": "[stem(), stage1(), 'layer1.0.conv1']",
        "bare": "mean()",
        "call": "sgd(lr=0.1, momentum=0.9)",
        "mixed": "linear(1, 0, over=50%)",
        "none": "gated()",
        "sum": "((1 - correct()) - 2)",
        "product": "(1 + ((2 * 3) / 4))",
        "minus": "((-0.1) * (-entropy()))",
        "grouped": "(2 * (1 - correct()))",
        "options": "(through() | (0.5 * correct()) | linear() | cutoff())",
        "range": "(1 .. 6)",
        "tight": "(1 .. 6)",
        "log": "log((0.001 .. 0.1))",
        "open": "((1 .. 2) | ((8 - 1) .. 9))",
        "nested": "(correct() * (linear() | through()))",
        "place": "gated(by=h[0].stage2())",
        "tap": "fsp(with=a.stage1())",
        "path": "fsp(with=a.'layer1.0')",
        "every": "f(p[*], p[(1 + 1)])",
    }


def test_references() -> None:
    assert lines(tree_of("references")) == [
        "graph references",
        "  node a = resnet8() {  }",
        "  node p[4], aux[(1 .. 6)], b = resnet8() { frozen = True; weights = 't.safetensors' }",
        "  target a, p[0]",
        "  target b",
        "  edge a, b -> p",
        "  edge a, p[*] <-> b.stage2(), *.stage1(), b.'layer1.0.conv1', b.(stage1() | stage2())"
        " : hint() via None",
        "  edge p[(0 | 1)].stage1() -> a.stage1() : hint() via None",
        "  edge label -> *",
        "  share a, b { layers = [stem()]; grad = mean() }",
    ]


def test_edges() -> None:
    assert lines(tree_of("edges"))[3:] == [
        "  edge a -> b",
        "  edge a <-> b : None via 0.5",
        "  edge a -> b : kl() via None",
        "  edge a -> b : kl() via correct() : mse() via None"
        " : ((0.5 * kl(T=4)) + mse()) via (linear() | cutoff())",
        "  edge * None  : ((-0.1) * entropy()) via None",
        "  edge a, b None  : entropy() via linear() : entropy() via None",
    ]


def test_blocks() -> None:
    assert lines(tree_of("blocks")) == [
        "use 'recipes/cifar.ktg'",
        "let T = (1 | 2 | 4)",
        "let each gate = (through() | cutoff())",
        "data folder('images') {  }",
        "train {  }",
        "search { trials = 60; sampler = random(seed=0) }",
        "phase one { learn = [a()] }",
        "phase two { learn = [b()]; epochs = 40 }",
    ]


def test_windows() -> None:
    assert lines(tree_of("windows")) == ["graph g", "  node a = resnet8() {  }", "  target a"]


def test_a_byte_order_mark_in_text() -> None:
    assert parse(Source("a.ktg", "\ufefftrain { }"))[1] == ()


def test_an_empty_file_has_an_empty_tree() -> None:
    for text in ("", "\n", "# nothing"):
        tree, diagnostics = parse(Source("a.ktg", text))
        assert (lines(tree), diagnostics) == ([], ())


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("64", int, 64),
        ("007", int, 7),
        ("10_000", int, 10000),
        ("1.5", float, 1.5),
        ("1e3", float, 1000.0),
        ("1_0.2_5E+1", float, 102.5),
    ],
)
def test_numbers(text: str, kind: type, value: float) -> None:
    number = value_of(text)
    assert isinstance(number, s.Number)
    assert (type(number.value), number.value) == (kind, value)


def test_layout_means_nothing() -> None:
    spread, _ = parse(Source("a.ktg", "train\n{\nepochs\n=\n-\n1\nseed # one\n=(2)\n}"))
    tight, _ = parse(Source("b.ktg", "train{epochs=-1 seed=2}"))
    assert spread == tight
    assert lines(spread) == ["train { epochs = (-1); seed = 2 }"]


# Where it stands


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_span_of_a_value_holds_just_the_value(path: Path) -> None:
    source, _ = read(path)
    assert source is not None
    tree, _ = parse(source)
    for part in parts(tree):
        text = source.text[part.span.start : part.span.end]
        assert part.span.path == str(path)
        if isinstance(part, s.Reference) and part.name in ("*", "label"):
            assert text.startswith(part.name)
        elif isinstance(part, s.Value.__origin__):  # type: ignore[attr-defined] # of Annotated
            again = value_of(text)
            name_alone = isinstance(again, s.CallExpression) and isinstance(part, s.Reference)
            assert name_alone or again == part


def test_spans() -> None:
    text = 'graph g {\n  edge a, b.s -> [c] : kl(T=4) via (1 - x), -m\n}\nlet each n = [1, "b"]\n'
    tree, _ = parse(Source("a.ktg", text))
    shown: dict[str, list[str]] = {}
    for part in parts(tree):
        shown.setdefault(type(part).__name__, []).append(text[part.span.start : part.span.end])
    edge = "edge a, b.s -> [c] : kl(T=4) via (1 - x), -m"
    assert shown == {
        "File": [text],
        "Graph": ["graph g {\n  " + edge + "\n}"],
        "Edge": [edge],
        "Reference": ["a", "b.s", "c"],
        "Term": ["kl(T=4) via (1 - x)", "-m"],
        "CallExpression": ["s", "kl(T=4)", "x", "m"],
        "Argument": ["T=4"],
        "Binary": ["(1 - x)"],
        "Unary": ["-m"],
        "Number": ["4", "1", "1"],
        "String": ['"b"'],
        "Let": ['let each n = [1, "b"]'],
        "List": ['[1, "b"]'],
    }
    names = [
        text[part.name_span.start : part.name_span.end]
        for part in parts(tree)
        if isinstance(part, s.CallExpression | s.Let)
    ]
    assert names == ["s", "kl", "x", "m", "n"]


def test_a_node_validates_its_fields_and_does_not_change() -> None:
    span = Span("-", 0, 1)
    number = s.Number(span=span, value=4)
    with pytest.raises(ValidationError):
        s.Number(span=span, value="four")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValidationError):
        s.List(span=span, items=(4,))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValidationError):
        replace(number, value=None)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(FrozenInstanceError):
        number.value = 5  # type: ignore[misc]  # what is tested


# Mistakes

SOUND = "    edge n{0} -> n{1} : kl(T=4) via 0.5 * correct\n"
MISTAKES = [
    "    egde a -> b\n",
    "    edge a b\n",
    "    edge a ->\n",
    "    edge -> b\n",
    "    edge a -> b : kl(T=4\n",
    "    edge a -> b : via correct\n",
    "    edge a -> b vai correct\n",
    "    edge a -> b ; c\n",
    "    edge a → b : kl\n",
    "    node a\n",
    "    node train = resnet8\n",
    "    node a = \n",
    "    node a = resnet8 { frozen }\n",
    "    node a = resnet8 { frozen = true\n",
    '    node a = timm("resnet18)\n',
    "    node a = wrn(depth=28 widen=2)\n",
    "    node a[64px] = resnet8\n",
    "    target\n",
    "    target a // the best\n",
    "    teacher a = resnet8\n",
]


def test_forty_mistakes_are_forty_errors_at_their_lines() -> None:
    text = "graph g {\n"
    planted = []
    for i, mistake in enumerate(MISTAKES * 2):
        text += SOUND.format(i, i + 1) + mistake
        planted.append(text.count("\n"))
    text += "}\ntrain {\n    epochs = 20\n}\n"
    assert len(planted) == 40
    assert [line for line, _ in errors_of(text)] == planted
    tree, _ = parse(Source("a.ktg", text))
    assert tree is not None
    assert tree.graph is not None
    edges = [part for part in tree.graph.statements if isinstance(part, s.Edge)]
    assert len(edges) >= 40
    assert sketch(tree.statements[-1]) == "train { epochs = 20 }"


# What follows an open brace belongs to its block, so those are looked at on their own below.
CLOSED = [mistake for mistake in MISTAKES if mistake.count("{") == mistake.count("}")]


@pytest.mark.parametrize("mistake", CLOSED)
@pytest.mark.parametrize("other", CLOSED)
def test_neighbouring_mistakes_do_not_hide_each_other(mistake: str, other: str) -> None:
    assert [line for line, _ in errors_of("graph g {\n" + mistake + other + "}\n")] == [2, 3]


def test_each_setting_of_a_block_is_looked_at() -> None:
    text = "train {\n  epochs 3\n  seed = 1\n  clip =\n  reduce: sum\n  optimizer = sgd(lr=0.1\n}\n"
    assert errors_of(text) == [(2, "E102"), (4, "E103"), (5, "E102"), (6, "E103")]
    tree, _ = parse(Source("a.ktg", text))
    assert tree is None or lines(tree) == ["train { seed = 1 }"]


BODY = "    node a = resnet8 {\n        frozen = true\n    }\n    target a\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("graph g {\n" + BODY + "train {\n    epochs = 1\n}\n", [(5, "E103")]),
        ("graph g {\n" + BODY, [(5, "E103")]),
        ("graph g\n" + BODY + "}\n", [(1, "E103")]),
        ("graph g {\n" + BODY + "}\n}\n", [(7, "E102")]),
        ("graph g {\n" + BODY.replace("    }\n", "") + "}\n", [(3, "E103")]),
        ("graph g {\n" + BODY.replace("    }\n", "    }\n    }\n") + "}\n", [(5, "E102")]),
        ("train {\n    epochs = 1\ndata digits {\n    batch = 1\n}\n", [(2, "E103")]),
        ("train {\n    epochs = 1\n}}\ndata digits { }\n", [(3, "E102")]),
        ("graph g {\n" + BODY + "}\n    target a\n    target b\n", [(7, "E102")]),
        ("target a\ntarget b\n", [(1, "E102")]),
    ],
)
def test_braces_do_not_cascade(text: str, expected: list[tuple[int, str]]) -> None:
    assert errors_of(text) == expected


def test_sound_statements_survive() -> None:
    text = "let a = 1\nlet b = \ngraph g {\n    node x\n    target y\n}\ntrain { epochs = 2 }\n"
    tree, diagnostics = parse(Source("a.ktg", text))
    assert len(diagnostics) == 2
    assert lines(tree) == ["let a = 1", "graph g", "  target y", "train { epochs = 2 }"]


def test_a_guessed_keyword_counts() -> None:
    tree, diagnostics = parse(Source("a.ktg", "grpah g {\n    nod a = resnet8\n}\n"))
    assert [error.help for error in diagnostics] == [
        "did you mean `graph`?",
        "did you mean `node`?",
    ]
    assert lines(tree) == ["graph g", "  node a = resnet8() {  }"]


def test_nothing_sound_is_no_tree() -> None:
    assert parse(Source("a.ktg", "let = 1"))[0] is None


def test_tokens_are_left_as_they_were_written() -> None:
    source = Source("a.ktg", "grap g { node a = resnet8 }")
    lexed = tokenize(source)
    tree, errors = parse(source, lexed)
    assert tree is not None
    assert [error.help for error in errors] == ["did you mean `graph`?"]
    assert lexed == tokenize(source)


# Values alone


def test_parse_value() -> None:
    assert sketch(value_of("sgd(lr=0.1) | adamw")) == "(sgd(lr=0.1) | adamw())"
    for text in ("", "1 +", "1 2", "a = 1", "(1", "64px", "graph"):
        value, diagnostics = parse_value(Source("-", text))
        assert value is None
        assert len(diagnostics) == 1


# Limits


@pytest.mark.parametrize(
    "deep",
    [
        lambda n: "(" * n + "1" + ")" * n,
        lambda n: "[" * n + "]" * n,
        lambda n: "f(" * n + ")" * n,
        lambda n: "-" * n + "1",
        lambda n: " + ".join(["1"] * (n + 1)),
        lambda n: "2 * (" * (n // 2) + "1" + ")" * (n // 2),
    ],
)
def test_levels(deep: object) -> None:
    assert callable(deep)
    assert parse_value(Source("-", deep(64)))[1] == ()
    for levels in (66, 20_000):
        for found in (
            parse_value(Source("-", deep(levels)))[1],
            parse(Source("a.ktg", f"let a = {deep(levels)}"))[1],
        ):
            assert [error.code for error in found] == ["E003"]


def test_long_flat_values_are_no_nesting() -> None:
    assert isinstance(value_of(" | ".join(["1"] * 1000)), s.Choice)
    assert isinstance(value_of("[" + "-1, " * 1000 + "]"), s.List)
    assert errors_of("train {" + "a = 1 - 2 " * 1000 + "}") == []


def test_size() -> None:
    comment = "#" * MAX_BYTES
    assert parse(Source("a.ktg", comment))[1] == ()
    assert [error.code for error in parse(Source("a.ktg", comment + "#"))[1]] == ["E003"]


def test_a_thousand_errors_are_enough() -> None:
    for text in ("@ " * 5000, "edge\n" * 5000, "junk\n" * 5000, "train {\n" + "a =\n" * 5000):
        _, diagnostics = parse(Source("a.ktg", text))
        assert len(diagnostics) == 1001
        assert diagnostics[-1].code == "E003"


@pytest.mark.parametrize("gap", [" ", "\n    "])
def test_train_is_a_word_where_a_value_is_assigned(gap: str) -> None:
    text = f"graph g {{\n  node t = resnet8 {{ mode ={gap}train }}\n}}\ntrain {{ epochs = 3 }}\n"
    file, diagnostics = parse(Source("text", text))
    assert diagnostics == ()
    assert file is not None
    assert file.graph is not None
    (node,) = file.graph.statements
    assert isinstance(node, Node)
    assert isinstance(node.settings[0].value, CallExpression)
    assert node.settings[0].value.name == "train"
    assert file.block("train") is not None


def test_a_train_block_follows_a_value_that_is_missing() -> None:
    text = "graph g {\n  node t = resnet8 { mode =\ntrain { epochs = 3 }\n"
    file, diagnostics = parse(Source("text", text))
    assert [each.code for each in diagnostics] == ["E103", "E103"]
    assert file is not None
    assert file.block("train") is not None
