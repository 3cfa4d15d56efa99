"""Phases: who learns when, the freezing rule with phases, and `during`."""

import pytest

from ktgdsl.plan.model import Call
from tests.specs import edge, graph, of, pairs, said, text_of

BODY = "node a, b, t = resnet8 target a edge label -> a, b edge b, t -> a\n"
"""`a` and `b` have something to learn from, and `t` has not."""


class TestPlan:
    def test_in_order_with_what_they_say(self) -> None:
        plan = of(
            BODY,
            "train { epochs = 9 } phase one { learn = [b] epochs = 3 }\n"
            "phase two { learn = [a, b, a] optimizer = adamw(lr=0.5) schedule = constant }",
        )
        one, two = plan.phases
        assert (one.name, one.learn, one.epochs, one.take) == ("one", ("b",), 3, "last")
        assert (one.optimizer, one.schedule) == (None, None)
        assert (two.name, two.learn, two.epochs) == ("two", ("a", "b"), 9)
        assert two.optimizer is not None
        assert (two.optimizer.name, two.optimizer.arguments["lr"]) == ("adamw", 0.5)
        assert two.schedule == Call(name="constant", arguments={"warmup": 0.0})

    def test_a_percentage_of_epochs_is_of_those_of_train(self) -> None:
        rest = "phase one { learn = [a, b] epochs = 20% } pretrain { epochs = 150% }"
        for epochs, one, teacher in [(200, 40, 300), (7, 1, 10), (2, 1, 3)]:
            plan = of(BODY, f"train {{ epochs = {epochs} }} {rest}")
            assert (plan.phases[0].epochs, plan.pretraining_epochs) == (one, teacher)
        of(BODY, "phase one { learn = [a, b] epochs = 1 .. 5 | 20% }")

    @pytest.mark.parametrize(
        ("length", "message"),
        [
            ("0%", "E302 `epochs` must be more than 0%, not 0%"),
            ("0", "E302 `epochs` must be at least 1, not 0"),
            ("0.5", "E301 `epochs` must be a whole number or a percentage of the epochs of "
                    "`train`, not 0.5"),
        ],
    )  # fmt: skip
    def test_other_lengths(self, length: str, message: str) -> None:
        assert said(graph(BODY, f"phase one {{ learn = [a, b] epochs = {length} }}")) == [message]

    def test_arrays(self) -> None:
        plan = of(
            "node h[3] = resnet8 target h[0] edge label -> h edge h -> h[0]",
            "phase one { learn = [h] } phase two { learn = [h[2], h[0]] }",
        )
        assert [phase.learn for phase in plan.phases] == [
            ("h[0]", "h[1]", "h[2]"), ("h[2]", "h[0]"),
        ]  # fmt: skip

    def test_without_phases(self) -> None:
        assert of(BODY).phases == ()

    def test_a_dropped_node_may_be_listed(self) -> None:
        plan = of("node a, b = resnet8 target a edge label -> *", "phase p { learn = [a, b] }")
        assert [node.name for node in plan.graph.nodes] == ["a"]


class TestFreezing:
    """The table of Sec. 3.4, with phases: each node is listed, or it is not."""

    @pytest.mark.parametrize(
        ("nodes", "edges", "learn", "message"),
        [
            # with live incoming edges
            ("a, b = resnet8", "", "a, b", None),
            ("a, b = resnet8", "", "a", "E410 edges lead into `b`, and no phase lets it learn"),
            # without
            ("a, b = resnet8", "cut", "a", None),
            ("a, b = resnet8", "cut", "a, b",
             "E410 `b` cannot learn in the phase `p`, since no live edge enters it"),
            ("a, b = resnet8", "unary", "a, b",
             "E410 `b` cannot learn in the phase `p`, since no live edge enters it"),
            # frozen = true
            ("b = resnet8 { frozen = true } node a = resnet8", "", "a", None),
            ("b = resnet8 { frozen = true } node a = resnet8", "", "a, b",
             "E410 `b` cannot learn in the phase `p`, since it is frozen"),
        ],
    )  # fmt: skip
    def test_table(self, nodes: str, edges: str, learn: str, message: str | None) -> None:
        own = {
            "": "edge label -> *",
            "cut": "edge label -> a edge label -> b via cutoff",
            "unary": "edge label -> a edge b : entropy",
        }[edges]
        body = graph(f"node {nodes} target a {own} edge b -> a")
        told = said(body + f"phase p {{ learn = [{learn}] }}")
        assert told == ([] if message is None else [message])

    def test_once_is_enough(self) -> None:
        more = "phase one { learn = [b] } phase two { learn = [a] }"
        plan = of(BODY, more)
        assert {node.name: node.learns for node in plan.graph.nodes} == {
            "a": True, "b": True, "t": False,
        }  # fmt: skip

    def test_an_edge_of_another_phase_counts(self) -> None:
        """Freezing is about live edges, and an edge is live unless its gate is 0 in all phases."""
        body = "node a, b = resnet8 target a edge label -> a edge label -> b via during(one) "
        told = said(graph(body + "edge b -> a"), ())
        assert told[0].startswith("E201 there is no phase called `one`")
        plan = of(body + "edge b -> a", "phase one { learn = [a, b] } phase two { learn = [a] }")
        assert plan.graph.node("b").learns

    def test_a_mix_that_learns(self) -> None:
        body = BODY + "node m = ensemble(a, b, combine=linear) edge label -> m edge m -> a"
        assert said(graph(body) + "phase p { learn = [a, b] }") == [
            "E410 edges lead into `m`, and no phase lets it learn"
        ]
        assert of(body, "phase p { learn = [a, b, m] }").phases[0].learn == ("a", "b", "m")


class TestDuring:
    TWO = "phase one { learn = [a, b] } phase two { learn = [a, b] }"

    @pytest.mark.parametrize(
        ("written", "folded"),
        [
            ("during(one)", "during(phases=[one])"),
            ("during(one, two)", "through"),
            ("during(two, one, two)", "through"),
            ("0.5 * during(two, one)", "0.5"),
            ("2 * during(two)", "2 * during(phases=[two])"),
            ("1 - during(one)", "1 - during(phases=[one])"),
            ("during(one) + during(two)", "during(phases=[one]) + during(phases=[two])"),
        ],
    )
    def test_folded(self, written: str, folded: str) -> None:
        plan = of(BODY + f"edge a -> b : js via {written}", self.TWO)
        assert text_of(edge(plan, "a", "b")) == f"js(T=1, scale=1) via {folded}"

    def test_all_phases_less_one_could_not_be_negative(self) -> None:
        assert said(graph(BODY + "edge a -> b via during(one, two) - linear") + self.TWO) == []
        told = said(graph(BODY + "edge a -> b via during(one) - linear") + self.TWO)
        assert [each[:4] for each in told] == ["E304"]

    def test_did_you_mean(self) -> None:
        told = said(graph(BODY + "edge a -> b via during(on)") + self.TWO)
        assert told == ["E201 there is no phase called `on`"]

    def test_a_named_edge_may_be_in_one_phase_and_its_rule_in_none(self) -> None:
        plan = of(BODY + "edge * -> b via cutoff edge a -> b via during(two)", self.TWO)
        assert "a -> b" in pairs(plan)
        assert "t -> b" not in pairs(plan)


class TestThroughAnEnsemble:
    """A node that learns in a phase from what an ensemble passes on to it is not idle."""

    @pytest.mark.parametrize(("detach", "idle"), [("false", []), ("true", ["W104", "W104"])])
    def test_a_member_is_idle_only_where_nothing_reaches_it(
        self, detach: str, idle: list[str]
    ) -> None:
        body = (
            "node a, b = resnet8 target a, b edge label -> * : ce via during(one)\n"
            f"node m = ensemble(a, b, combine=linear, detach={detach}) {{ keep = true }}\n"
            "edge label -> m"
        )
        more = "phase one { learn = [a, b, m] } phase two { learn = [a, b, m] }"
        told = said(graph(body) + more)
        assert [each[:4] for each in told] == idle


class TestIdle:
    """A node that is to learn in a phase in which no edge into it is open: a warning."""

    @pytest.mark.parametrize(
        ("gate", "idle"),
        [
            ("during(one)", ["two"]),
            ("0.5 * linear * during(one)", ["two"]),
            ("during(one) * during(two)", ["one", "two"]),
            ("1 - during(one)", ["one"]),
            ("during(one) + during(two)", []),
            ("linear", []),
        ],
    )
    def test_warned_of(self, gate: str, idle: list[str]) -> None:
        body = (
            f"node a, b = resnet8 target a edge label -> a edge b -> a edge label -> b via {gate}"
        )
        more = "phase one { learn = [a, b] } phase two { learn = [a, b] }"
        assert said(graph(body, more)) == [
            f"W104 no edge into `b` is open in the phase `{phase}`, so it learns nothing there"
            for phase in idle
        ]


class TestMistakes:
    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("phase p { }", "E208 `phase` needs `learn`"),
            ("phase p { learn = [] }", "E302 "),
            ("phase p { learn = [a, b, x] }", "E201 there is no node called `x`"),
            ("phase p { learn = [a, b] epochs = 0 }", "E302 "),
            ("phase p { learn = [a, b] } phase p { learn = [a] }", "E206 there are two phases"),
            ("phase p { learn = [a, b] lern = [a] }", "E204 `phase` has no setting `lern`"),
            (
                "phase p { learn = [a, b] take = best }",
                "E410 the best epoch is chosen on held-out samples, and none are held out",
            ),
        ],
    )
    def test_told(self, more: str, message: str) -> None:
        told = said(graph(BODY) + more)
        assert told[0].startswith(message)
        assert len(told) == 1

    @pytest.mark.parametrize("held", ["data digits { holdout = true }", "search { trials = 3 }"])
    def test_the_best_epoch_needs_a_held_out_split(self, held: str) -> None:
        body = BODY.replace("t = resnet8", "t = resnet8 | resnet14") if "search" in held else BODY
        plan = of(body, f"{held} phase p {{ learn = [a, b] take = best }}")
        assert plan.phases[0].take == "best"
