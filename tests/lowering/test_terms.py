"""Gates, losses and scales of edges: what their expressions fold to."""

from collections import Counter
from typing import Any

import pytest

from ktgdsl.lowering.resolve import Resolver
from ktgdsl.plan.model import Constant
from ktgdsl.vocabulary.entry import Parameters
from tests.specs import codes, compiled, edge, graph, of, pairs, text_of

KL = "kl(T=1, scale=1)"
CE = "ce(smoothing=0)"


def terms(body: str, source: str, destination: str) -> str:
    return text_of(edge(of(body), source, destination))


def gate(written: str, source: str = "b") -> str:
    """A gate on an edge, folded and printed."""
    body = f"node a, b = resnet8 target a edge label -> b edge {source} -> a via {written}"
    return str(edge(of(body), source, "a").terms[0].gate)


def loss(written: str, source: str = "b") -> str:
    body = f"node a, b = resnet8 target a edge label -> b edge {source} -> a : {written}"
    return " + ".join(str(part) for part in edge(of(body), source, "a").terms[0].parts)


class TestGates:
    @pytest.mark.parametrize(
        ("written", "folded"),
        [
            ("through", "through"),
            ("1", "through"),
            ("0.5", "0.5"),
            ("correct", "correct"),
            ("linear", "linear(start=0, stop=1)"),
            ("linear(1, 0)", "linear(start=1, stop=0)"),
            ("cosine(0, 2)", "cosine(start=0, stop=2)"),
            ("until(60%)", "until(moment=60%)"),
            ("after(5)", "after(moment=5)"),
            ("rampup(80)", "rampup(length=80)"),
            ("through * correct", "correct"),
            ("2 * correct * 3 * linear", "6 * correct * linear(start=0, stop=1)"),
            ("correct * (linear * 2)", "2 * correct * linear(start=0, stop=1)"),
            ("1 - correct", "1 - correct"),
            ("correct + 0.25 + linear * 0 + 0.25", "0.5 + correct"),
            ("correct / 4", "0.25 * correct"),
            ("0.5 * (1 - correct)", "0.5 * (1 - correct)"),
            ("2 - 0.5 * correct - linear", "2 - 0.5 * correct - linear(start=0, stop=1)"),
            ("linear(3, 3)", "3"),
            ("linear(1, 1)", "through"),
            ("until(100%)", "through"),
            ("after(0)", "through"),
            ("after(0%)", "through"),
            (
                "0.3 - 0.2 * correct - 0.1 * linear",
                "0.3 - 0.2 * correct - 0.1 * linear(start=0, stop=1)",
            ),
            ("-(-correct)", "correct"),
        ],
    )
    def test_folded(self, written: str, folded: str) -> None:
        assert gate(written) == folded

    @pytest.mark.parametrize(
        "written",
        [
            "cutoff",
            "0",
            "0 * correct",
            "correct * cutoff",
            "linear(0, 0)",
            "until(0%)",
            "until(0)",
            "after(100%)",
            "correct * 0 + cutoff",
            "0.3 - 0.2 - 0.1",
            "(1 - through) * linear",
        ],
    )
    def test_folded_to_nothing(self, written: str) -> None:
        plan = of(f"node a, b = resnet8 target a edge label -> * edge b -> a via {written}")
        assert "b -> a" not in pairs(plan)

    def test_correct_from_the_labels_is_through(self) -> None:
        assert gate("correct", "label") == "through"
        assert gate("0.5 * correct * linear", "label") == "0.5 * linear(start=0, stop=1)"
        assert gate("1 - correct + 0.25", "label") == "0.25"

    def test_only_predicates_differ_from_sample_to_sample(self) -> None:
        body = "node a, b = resnet8 target a edge label -> b"
        plan = of(f"{body} edge b -> a via correct edge label -> a via linear")
        by_pair = {e.key: e.terms[0].gate for e in plan.graph.edges}
        assert getattr(by_pair["b", "a"], "per_sample", None) is True
        assert getattr(by_pair["label", "a"], "per_sample", None) is False

    @pytest.mark.parametrize(
        "written",
        [
            "correct - linear",
            "-0.5",
            "0.5 - linear",
            "linear - 0.1",
            "-correct",
            "1 - 2 * correct",
            "(correct - 1) * linear",
            "cosine(0, 2) - 1",
        ],
    )
    def test_could_be_negative(self, written: str) -> None:
        body = f"node a, b = resnet8 target a edge label -> b edge b -> a via {written}"
        assert codes(graph(body)) == ["E304"]

    @pytest.mark.parametrize("written", ["(1 - correct) * (1 - linear)", "(-correct) * (-linear)"])
    def test_never_negative(self, written: str) -> None:
        assert gate(written)

    def test_a_term_without_a_gate_vanishes_alone(self) -> None:
        body = "node a, b = resnet8 target a edge label -> * edge b -> a : kl via 0, mse, js via 0"
        assert terms(body, "b", "a") == "mse(on=logits) via through"


class TestLosses:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("kl", KL),
            ("kl(T=4)", "kl(T=4, scale=16)"),
            ("kl(T=4, scale=1)", "kl(T=4, scale=1)"),
            ("kl(4)", "kl(T=4, scale=16)"),
            ("reverse_kl(T=2)", "reverse_kl(T=2, scale=4)"),
            ("js(0.5)", "js(T=0.5, scale=0.25)"),
            ("mse", "mse(on=logits)"),
            ("mse(on=probabilities)", "mse(on=probabilities)"),
            ("cosine_distance", "cosine_distance"),
            ("0.5 * kl", f"0.5 * {KL}"),
            ("kl * 0.5 * 4", f"2 * {KL}"),
            ("kl / 4", f"0.25 * {KL}"),
            ("-kl", f"-1 * {KL}"),
            ("kl - 0.5 * mse", f"{KL} + -0.5 * mse(on=logits)"),
            ("0.9 * (kl + 2 * js)", f"0.9 * {KL} + 1.8 * js(T=1, scale=1)"),
            ("kl + kl(T=2) + kl", f"2 * {KL} + kl(T=2, scale=4)"),
        ],
    )
    def test_combination(self, written: str, expected: str) -> None:
        assert loss(written) == expected

    @pytest.mark.parametrize("written", ["ce(smoothing=0.1)", "kl", "mse(on=probabilities)"])
    def test_from_the_labels(self, written: str) -> None:
        assert loss(written, "label").startswith(written.split("(")[0])

    def test_defaults(self) -> None:
        body = "node a, b = resnet8 target a edge label, b -> a edge label -> b via 0.5"
        assert terms(body, "label", "a") == f"{CE} via through"
        assert terms(body, "label", "b") == f"{CE} via 0.5"
        assert terms(body, "b", "a") == f"{KL} via through"


class TestAggregate:
    body = "node a, b, c, d = resnet8 target a edge label -> * edge * -> a"

    def test_sum_leaves_all_as_they_are(self) -> None:
        assert {e.scale for e in of(self.body).graph.edges} == {1.0}

    def test_mean_divides_the_transfer_by_its_live_sources(self) -> None:
        plan = of(f"{self.body} edge d -> a via cutoff edge b <-> c", "train { aggregate = mean }")
        scales = {e.key: e.scale for e in plan.graph.edges}
        assert scales == {
            ("label", "a"): 1.0,
            ("label", "b"): 1.0,
            ("label", "c"): 1.0,
            ("b", "a"): 0.5,
            ("c", "a"): 0.5,
            ("b", "c"): 1.0,
            ("c", "b"): 1.0,
        }


def test_constants_are_floats() -> None:
    plan = of("node a = resnet8 target a edge label -> a via 2")
    assert edge(plan, "label", "a").terms[0].gate == Constant(value=2.0)


class TestSaidAgain:
    """What edges say again is looked up once, and complained about wherever it stands."""

    @staticmethod
    def many(number: int, said: str) -> str:
        nodes = ", ".join(f"n{i}" for i in range(16))
        names = [(f"n{i}", f"n{j}") for i in range(16) for j in range(16) if i != j]
        edges = "\n".join(f"edge {a} -> {b} : {said}" for a, b in names[:number])
        return graph(f"node {nodes} = resnet8 target {nodes} edge label -> *\n{edges}")

    def test_the_same_words_are_bound_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bound: list[str] = []
        bind = Resolver.bind

        def counted(self: Resolver, cls: type[Parameters], *given: Any) -> Parameters | None:
            bound.append(cls.__name__)
            return bind(self, cls, *given)

        monkeypatch.setattr(Resolver, "bind", counted)
        counts = []
        for number in (2, 200):
            bound.clear()
            assert codes(self.many(number, "0.5 * kl(T=2) + mse via linear(0, 1)")) == []
            counts.append(Counter(bound))
        assert counts[0] == counts[1]
        assert (counts[0]["Kl"], counts[0]["Mse"], counts[0]["Linear"]) == (1, 1, 1)

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ("kl(T=0)", "E302"),
            ("kul", "E201"),
            ("kl via 1 - 2", "E304"),
            ("kl via 1 / 0", "E305"),
            ("irg([nowhere])", "E201"),
        ],
    )
    def test_the_same_mistake_is_told_at_each_place(self, said: str, code: str) -> None:
        found = compiled(self.many(20, said)).diagnostics
        assert [each.code for each in found] == [code] * 20
        assert len({each.span for each in found}) == 20

    def test_whole_numbers_are_not_fractions(self) -> None:
        words = 'edge b -> a : python("m:f", n=1)\nedge c -> a : python("m:f", n=1.0)'
        plan = of(f"node a, b, c = resnet8 target a edge label -> *\n{words}")
        values = [edge(plan, name, "a").terms[0].parts[0].loss.arguments["n"] for name in "bc"]
        assert [type(value) for value in values] == [int, float]
