"""How often large spaces are gone through: counts of calls, which do not depend on the machine."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ktgdsl.lowering import blocks, edges, let_checks, lower
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.space.space import plan_at
from tests.specs import graph, sound


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often graphs and edges are expanded, words looked up, and `let`s measured."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, call)

    counted(lower, "expand")
    counted(Resolver, "bind")
    counted(edges, "make_pair")
    counted(let_checks, "strong_components")
    counted(blocks, "_lower_settings")
    return counts


OPTIONS = {
    "let": (" | ".join(f"{i / 1000}" for i in range(1, 1001)), "edge b -> a : kl via x"),
    "loss": ("1", f"edge b -> a : {' | '.join(f'kl(T={i})' for i in range(1, 1001))}"),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_a_thousand_options_are_looked_up_once_each(what: str, calls: Counter[str]) -> None:
    value, written = OPTIONS[what]
    plan = sound(
        f"let x = {value}\n" + graph(f"node a, b = resnet8 target a edge label -> a {written}")
    )
    assert calls["strong_components"] <= 5
    assert calls["expand"] == 1000 + 2  # each option, the draws, and the first point
    assert calls["bind"] <= 1000 + 100
    assert calls["_lower_settings"] == 1
    calls.clear()
    for index in range(3):
        (draw,) = plan.space.draws if plan.space else ()
        assert plan_at(plan, {draw.name: index}) is not None
    assert calls["strong_components"] <= 1
    assert calls["_lower_settings"] <= 1


def test_open_settings_are_looked_up_at_each_point(calls: Counter[str]) -> None:
    text = graph("node a = resnet8 target a edge label -> a", "train { epochs = 1 | 2 | 3 }")
    plan = sound(text)
    assert calls["_lower_settings"] >= 3
    points = [plan_at(plan, {"train.epochs": index}) for index in range(3)]
    assert [each.train.epochs for each in points if each is not None] == [1, 2, 3]


def test_open_nodes_are_looked_up_by_what_they_may_be(calls: Counter[str]) -> None:
    plan = sound(
        graph(
            f"node {', '.join(f'n{i}' for i in range(64))} = resnet8 | resnet14 | wrn10_2 "
            "target n0 edge label -> * edge * -> n0 : kl"
        )
    )
    assert calls["expand"] == 3 + 2  # the options of all nodes at once, the draws, the first point
    assert calls["bind"] <= 60
    assert calls["make_pair"] == 64 + 63  # which nothing open touches
    calls.clear()
    assert plan_at(plan, {"node.n5": 1, "node.n9": 2}) is not None
    assert plan_at(plan, {"node.n6": 1, "node.n7": 2}) is not None
    assert calls["bind"] <= 60


def test_pairs_are_expanded_once_where_only_gates_are_open(calls: Counter[str]) -> None:
    plan = sound(
        graph(
            "node a[3] = resnet8 target a[0] edge label -> * "
            "edge * -> * : kl via through | cutoff | linear"
        )
    )
    assert calls["make_pair"] == 3 + 6
    assert plan.space is not None
    names = [draw.name for draw in plan.space.draws]
    assert names == [
        f"edge.a[{source}]->a[{into}].gate"
        for source in range(3)
        for into in range(3)
        if source != into
    ]


def test_pairs_follow_the_number_of_nodes(calls: Counter[str]) -> None:
    plan = sound(
        graph(
            "node a[2 .. 4] = resnet8 target a[0] edge label -> * "
            "edge * -> * : kl via through | linear"
        )
    )
    counts = {"node.a.count": 4, "edge.a[3]->a[0].gate": 1}
    large, small = plan_at(plan, counts), plan_at(plan, {"node.a.count": 2})
    assert large is not None
    assert small is not None
    left = [str(edge) for edge in small.graph.edges if edge.transfers]
    assert left == ["a[0] -> a[1]", "a[1] -> a[0]"]
    gates = {str(edge): str(edge.terms[0].gate) for edge in large.graph.edges if edge.transfers}
    assert gates["a[3] -> a[0]"].startswith("linear")
    assert gates["a[2] -> a[0]"] == "through"
