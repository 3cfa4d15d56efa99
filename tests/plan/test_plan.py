"""The plan as plain data: to JSON and back, its digest, and how its parts print."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

import ktgdsl
from ktgdsl.plan.model import (
    Call,
    Constant,
    GateCall,
    NodeOutput,
    Part,
    Plan,
    Product,
    Sum,
    per_sample,
)
from ktgdsl.report.pictures.picture import write_picture
from tests.generate import specs
from tests.paths import ROOT
from tests.specs import sound

BASE = """
graph g {
    node a, b, c = resnet8
    node t       = resnet14
    target a
    edge label   -> a, b, c
    edge b, c, t -> a : kl(T=2) via 0.5 * linear
    edge a       -> b, c
}
data digits { batch = 32  validation = 100  holdout = true }
train {
    epochs    = 3
    optimizer = sgd(lr=0.1, momentum=0.9)
    schedule  = step(every=30%)
    seed      = 1
}
"""


@given(specs())
def test_json_and_back(text: str) -> None:
    plan = sound(text)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.to_json() == plan.to_json()
    assert again.digest == plan.digest


@settings(deadline=None)
@given(specs())
def test_lowered_plans_pass_validation(text: str) -> None:
    """The front end builds plans unvalidated: every value has the type the model says."""
    plan = sound(text)
    content = plan.model_dump()
    assert Plan.model_validate(content, strict=True).model_dump() == content


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"version": 2}', sound(BASE).to_json().replace("digits", '1"', 1)],
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Plan.from_json(text)


def test_a_plan_is_frozen() -> None:
    plan = sound(BASE)
    with pytest.raises(ValidationError):
        plan.train.__setattr__("epochs", 4)


class TestDigest:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("graph g", "graph another"),
            ("epochs    = 3", "epochs = 3 checkpoint = 2"),
            ("epochs    = 3", "epochs = 3 checkpoint = 500 steps"),
            ("epochs    = 3", "epochs = 3 repeats = 5"),
            ("target a", "# a comment\n\n\ttarget a  # and another"),
            ("lr=0.1", "lr=1e-1"),
            ("epochs    = 3", "epochs = 6 / 2"),
            ("edge a       -> b, c", "edge a -> b, c edge b -> c via cutoff"),
            ("edge a       -> b, c", "edge a -> b, c edge b <-> c : mse via 0 * correct"),
            ("0.5 * linear", "linear * 0.25 * through * 2"),
            ("kl(T=2)", "kl(2, scale=4)"),
            ("resnet14", "resnet(depth=14)"),
            ("target a", "node unused = wrn10_1 target a"),
            ("schedule  = step(every=30%)", "schedule = step(every=30%, gamma=0.1, warmup=0)"),
            ("node t       = resnet14", "node t = resnet14 { frozen = true }"),
            ("data digits {", "data digits { augment = none"),
            ("data digits {", "data digits { evaluation_batch = 7"),
            ("data digits {", "data digits { drop_last = true"),
            ("node t       = resnet14", "node t = resnet(depth=14, width=16)"),
        ],
    )  # fmt: skip
    def test_unchanged_by(self, old: str, new: str) -> None:
        assert old in BASE
        assert sound(BASE.replace(old, new)).digest == sound(BASE).digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("seed      = 1", "seed = 2"),
            ("epochs    = 3", "epochs = 4"),
            ("lr=0.1", "lr=0.2"),
            ("momentum=0.9", "momentum=0.9, nesterov=true"),
            ("every=30%", "every=30"),
            ("batch = 32", "batch = 33"),
            ("batch = 32", "batch = 32 drop_last = false"),
            ("node t       = resnet14", "node t = resnet(depth=14, width=8)"),
            ("holdout = true", "holdout = false"),
            ("validation = 100", "validation = 101"),
            ("linear", "correct"),
            ("0.5 *", "0.6 *"),
            ("kl(T=2)", "kl(T=2, scale=1)"),
            ("kl(T=2)", "js(T=2)"),
            ("resnet14", "resnet20"),
            ("node t       = resnet14", "node t = resnet14 { mode = train }"),
            ("node t       = resnet14", "node t = resnet14 { optimizer = adamw }"),
            ("target a", "target b"),
            ("edge a       -> b, c", "edge a -> b"),
            ("edge a       -> b, c", "edge a -> c, b"),
            ("seed      = 1", "seed = 1 reduce = sum"),
            ("seed      = 1", "seed = 1 aggregate = mean"),
            ("seed      = 1", "seed = 1 clip = 5"),
        ],
    )  # fmt: skip
    def test_changed_by(self, old: str, new: str) -> None:
        assert old in BASE
        assert sound(BASE.replace(old, new)).digest != sound(BASE).digest

    def test_changed_by_the_name_of_a_node(self) -> None:
        renamed = BASE.replace("b, c", "m, c").replace("-> a, b", "-> a, m")
        assert sound(renamed.replace("a, b", "a, m")).digest != sound(BASE).digest

    def test_unchanged_by_the_size_of_a_split_that_is_not_held_out(self) -> None:
        text = BASE.replace("holdout = true", "")
        other = text.replace("validation = 100", "validation = 7")
        assert sound(text).digest == sound(other).digest

    def test_the_same_in_every_process(self) -> None:
        code = "import sys, ktgdsl; print(ktgdsl.loads(sys.stdin.read()).digest)"
        found = {
            subprocess.run(
                [sys.executable, "-c", code],
                input=BASE,
                capture_output=True,
                text=True,
                check=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout.strip()
            for seed in ("0", "1")
        }
        assert found == {sound(BASE).digest}


LINEAR = GateCall(gate=Call(name="linear"), per_sample=False)
CORRECT = GateCall(gate=Call(name="correct"), per_sample=True)


class TestText:
    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (Call(name="through"), "through"),
            (Call(name="kl", arguments={"T": 4.0}), "kl(T=4)"),
            (Call(name="f", arguments={"a": 0.1, "b": 1e-7, "c": 3}), "f(a=0.1, b=1e-07, c=3)"),
            (Call(name="f", arguments={"x": 0.123456789}), "f(x=0.123456789)"),
            (Call(name="f", arguments={"a": True, "b": None, "c": 'q"'}), 'f(a=true, '
             'c="q\\"")'),
            (Call(name="f", arguments={"at": [{"percent": 12.5}, {"percent": 30.0}, 7.0]}),
             "f(at=[12.5%, 30%, 7])"),
        ],
    )  # fmt: skip
    def test_call(self, call: Call, text: str) -> None:
        assert str(call) == text

    @pytest.mark.parametrize(
        ("gate", "text"),
        [
            (Constant(value=1), "through"),
            (Constant(value=0), "cutoff"),
            (Constant(value=0.25), "0.25"),
            (CORRECT, "correct"),
            (Product(factors=(Constant(value=0.5), CORRECT, LINEAR)), "0.5 * correct * linear"),
            (Sum(terms=(Constant(value=1), CORRECT)), "1 + correct"),
            (
                Sum(terms=(Constant(value=1), Product(factors=(Constant(value=-1), CORRECT)))),
                "1 - correct",
            ),
            (
                Sum(terms=(CORRECT, Product(factors=(Constant(value=-0.5), LINEAR)))),
                "correct - 0.5 * linear",
            ),
            (
                Product(factors=(CORRECT, Sum(terms=(Constant(value=2), LINEAR)))),
                "correct * (2 + linear)",
            ),
        ],
    )
    def test_gate(self, gate: Constant | GateCall | Product | Sum, text: str) -> None:
        assert str(gate) == text

    def test_parts_and_node_outputs(self) -> None:
        assert str(Part(coefficient=1, loss=Call(name="kl"))) == "kl"
        assert str(Part(coefficient=-0.5, loss=Call(name="kl"))) == "-0.5 * kl"
        assert str(NodeOutput(node="a")) == "a"
        assert str(NodeOutput(node="a", tap="stage2")) == "a.stage2"


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        (Constant(value=1), False),
        (LINEAR, False),
        (CORRECT, True),
        (Product(factors=(LINEAR, CORRECT)), True),
        (Product(factors=(Constant(value=2), LINEAR)), False),
        (Sum(terms=(LINEAR, Product(factors=(LINEAR, CORRECT)))), True),
    ],
)
def test_per_sample(gate: Constant | GateCall | Product | Sum, expected: bool) -> None:
    assert per_sample(gate) is expected


class TestSteps:
    @pytest.mark.parametrize(
        ("data", "steps"),
        [
            ("batch = 64", 20),  # 1,297 // 64
            ("batch = 64 holdout = true", 16),  # (1,297 - 259) // 64
            ("batch = 1297", 1),
            ("batch = 5000", 1),
            ("batch = 1", 1297),
            ("batch = 64 drop_last = false", 21),  # and one of 17
            ("batch = 1297 drop_last = false", 1),
            ("batch = 5000 drop_last = false", 1),
        ],
    )
    def test_batches_of_an_epoch(self, data: str, steps: int) -> None:
        text = "graph g { node a = resnet8 target a edge label -> a }"
        plan = sound(f"{text} data digits {{ {data} }} train {{ epochs = 3 }}")
        assert plan.data.steps_per_epoch == steps
        assert plan.steps == 3 * steps

    def test_nodes_and_edges_by_name(self) -> None:
        graph = sound(BASE).graph
        assert graph.node("t").network.arguments == {"depth": 14, "stride": 1}
        assert [str(edge.source) for edge in graph.into("a")] == ["label", "b", "c", "t"]
        assert graph.into("t") == ()
        with pytest.raises(KeyError):
            graph.node("z")


class TestNotebook:
    def test_a_plan_is_one_line(self) -> None:
        plan = ktgdsl.loads("graph g { node a, b = resnet8 target a edge label, b -> a }")
        expected = "<Plan g: 2 nodes, 2 edges, target a; digits, 20 epochs>"
        assert (repr(plan), str(plan)) == (expected, expected)

    def test_a_space_says_how_many_values_are_open(self) -> None:
        text = "graph g { node a, b = resnet8 | resnet14 target a edge label -> * }"
        assert (
            repr(ktgdsl.loads(text))
            == "<Plan g: 1 node, 1 edge, 2 open values, target a; digits, 20 epochs>"
        )

    def test_a_plan_shows_its_picture(self, tmp_path: Path) -> None:
        plan = ktgdsl.loads("graph g { node a = resnet8 target a edge label -> a }")
        write_picture(tmp_path / "g.svg", plan)
        assert plan._repr_svg_() == (tmp_path / "g.svg").read_text("utf-8")

    def test_a_graph_too_large_for_a_picture_is_text(self) -> None:
        plan = ktgdsl.loads("graph g { node a[30] = resnet8 target a[0] edge label, * -> * }")
        assert plan._repr_svg_() is None
