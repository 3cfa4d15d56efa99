"""Lowering: what the nodes and edges of a graph mean, from the language reference."""

import pytest

from ktgdsl.plan.model import Node
from tests.paths import SPECS
from tests.specs import codes, compiled, edge, graph, of, pairs, said, sound, text_of

KL = "kl(T=1, scale=1)"
CE = "ce(smoothing=0)"


def terms(body: str, source: str, destination: str) -> str:
    return text_of(edge(of(body), source, destination))


class TestFreezing:
    """The table of the reference, row by row."""

    def node(self, body: str, name: str = "t") -> Node:
        base = "node a = resnet8 target a edge label -> a edge t -> a"
        return of(f"{base} {body}").graph.node(name)

    def test_no_live_incoming_edge(self) -> None:
        node = self.node("node t = resnet8")
        assert node.frozen == "no live edge enters it"
        assert (node.learns, node.pretrained) == (False, True)

    def test_an_edge_that_folds_to_cutoff_is_not_live(self) -> None:
        node = self.node("node t = resnet8 edge label -> t via 0 * correct * linear")
        assert node.frozen == "no live edge enters it"

    def test_frozen_by_its_setting(self) -> None:
        node = self.node("node t = resnet8 { frozen = true }")
        assert node.frozen == "frozen = true"
        assert node.pretrained

    def test_a_live_edge_makes_it_learn(self) -> None:
        node = self.node("node t = resnet8 edge label -> t via 0.001")
        assert node.frozen is None
        assert (node.learns, node.pretrained) == (True, False)

    def test_batch_norm_mode(self) -> None:
        assert self.node("node t = resnet8").mode == "eval"
        assert self.node("node t = resnet8 { mode = train }").mode == "train"

    def test_an_edge_into_a_frozen_node_by_name(self) -> None:
        body = "node t = resnet8 { frozen = true } node a = resnet8 target a edge label -> a, t"
        assert codes(graph(body)) == ["E403"]

    def test_a_cut_edge_into_a_frozen_node_is_no_edge(self) -> None:
        assert self.node("node t = resnet8 { frozen = true } edge a -> t via cutoff").frozen

    def test_a_star_skips_frozen_nodes_as_destinations_only(self) -> None:
        plan = of("node a, b = resnet8 node t = resnet8 { frozen = true } target a edge * -> *")
        assert pairs(plan) == ["a -> b", "b -> a", "t -> a", "t -> b"]

    @pytest.mark.parametrize("into", ["", "edge label -> a via 0", "edge b -> a via cutoff"])
    def test_a_target_that_learns_nothing(self, into: str) -> None:
        assert codes(graph(f"node a, b = resnet8 target a edge a -> b {into}")) == ["E402"]

    def test_only_targets_that_learn_nothing_are_named(self) -> None:
        found = said(graph("node a, b = resnet8 target a, b edge label -> a"))
        assert found == ["E402 the target `b` learns nothing: no live edge enters it"]

    def test_a_warning_about_drops_waits_for_the_target(self) -> None:
        assert codes(graph("node a, b = resnet8 target a edge label -> b")) == ["E402"]


class TestDropping:
    def test_a_chain_stays_as_far_as_it_leads_to_the_target(self) -> None:
        plan = of(
            "node a, b, c, d = resnet8 target a edge label -> a, b edge c -> b edge b -> a "
            "edge a -> d"
        )
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        assert [(d.kind, d.name, d.reason) for d in plan.graph.dropped] == [
            ("node", "d", "no path of live edges leads from it to a target"),
            ("edge", "a -> d", "`d` is dropped"),
        ]

    def test_a_cut_edge_leads_nowhere(self) -> None:
        result = compiled(graph("node a, b = resnet8 target a edge label -> * edge b -> a via 0"))
        assert result.plan is not None
        assert pairs(result.plan) == ["label -> a"]
        assert [(d.name, d.reason) for d in result.plan.graph.dropped] == [
            ("b -> a", "its gate is cutoff"),
            ("b", "no path of live edges leads from it to a target"),
            ("label -> b", "`b` is dropped"),
        ]
        assert [(d.code, d.severity) for d in result.diagnostics] == [("W101", "warning")]

    def test_kept(self) -> None:
        text = "node a = resnet8 node b = resnet8 { keep = true } node c = resnet8 target a"
        plan = of(f"{text} edge label -> * edge c -> b")
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        assert [node.keep for node in plan.graph.nodes] == [False, True, False]
        assert plan.graph.dropped == ()

    def test_several_targets(self) -> None:
        plan = of("node a, b, c = resnet8 target c, a edge label -> *")
        assert plan.graph.targets == ("c", "a")
        assert [node.name for node in plan.graph.nodes] == ["a", "c"]

    def test_a_circle_without_a_way_out(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> a edge b <-> c edge a -> b")
        assert [node.name for node in plan.graph.nodes] == ["a"]

    def test_a_frozen_node_beside_the_graph(self) -> None:
        plan = of("node a, b = resnet8 target a edge label -> a")
        assert [(d.kind, d.name) for d in plan.graph.dropped] == [("node", "b")]


class TestPairs:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("edge label -> *", ["label -> a", "label -> b", "label -> c"]),
            ("edge a -> *", ["a -> b", "a -> c"]),
            ("edge * -> a", ["b -> a", "c -> a"]),
            ("edge a, b -> b, c", ["a -> b", "a -> c", "b -> c"]),
            ("edge [a, b] -> [c]", ["a -> c", "b -> c"]),
            ("edge label, b -> a", ["label -> a", "b -> a"]),
            ("edge a <-> b, c", ["a -> b", "a -> c", "b -> a", "c -> a"]),
            ("edge a, * -> c", ["a -> c", "b -> c"]),
            ("edge a.logits -> b", ["a -> b"]),
        ],
    )
    def test_product(self, written: str, expected: list[str]) -> None:
        keep = "{ keep = true }"
        body = f"node a, b, c = resnet8 {keep} target a, b, c"
        plan = compiled(graph(f"{body} {written} edge label -> *")).plan
        if plan is None:  # `edge label -> *` would replace what is named: leave it out
            plan = of(f"node a, b, c = resnet8 {keep} target a {written}")
        assert [pair for pair in pairs(plan) if pair in expected] == expected
        extra = {"label -> a", "label -> b", "label -> c"}
        assert set(pairs(plan)) - extra == set(expected) - extra

    def test_arrays(self) -> None:
        plan = of("node p[3] = resnet8 node a = wrn10_2 target a, p[1] edge label -> * edge p -> a")
        assert [node.name for node in plan.graph.nodes] == ["p[0]", "p[1]", "p[2]", "a"]
        assert plan.graph.targets == ("a", "p[1]")
        assert pairs(plan)[4:] == ["p[0] -> a", "p[1] -> a", "p[2] -> a"]

    def test_parts_of_arrays(self) -> None:
        plan = of("node p[3] = resnet8 target p edge p -> p[*] edge p[2] -> p[0] : mse")
        found = {edge.key: str(edge.terms[0].parts[0].loss.name) for edge in plan.graph.edges}
        names = ["p[0]", "p[1]", "p[2]"]
        expected = {(s, d): "kl" for s in names for d in names if s != d}
        assert found == {**expected, ("p[2]", "p[0]"): "mse"}
        assert plan.graph.targets == ("p[0]", "p[1]", "p[2]")

    def test_an_array_is_a_pattern_and_one_of_its_nodes_a_name(self) -> None:
        body = "node p[2] = resnet8 target p edge label -> *"
        assert codes(graph(f"{body} edge p[0] -> p[1] edge p -> p")) == ["E404"]
        assert codes(graph(f"{body} edge p -> p edge p[0] -> p[1]")) == []

    def test_the_size_of_an_array_is_a_value(self) -> None:
        plan = sound("let n = 2\ngraph g { node p[n * 2] = resnet8 target p edge label -> p }")
        assert len(plan.graph.nodes) == 4


class TestReplacing:
    body = "node a, b, c = resnet8 target a edge label -> * : ce via 0.5"

    def test_an_exception_replaces_the_rule_as_a_whole(self) -> None:
        body = f"{self.body} edge * -> a : kl via 0.5, mse via linear edge b -> a via correct"
        assert terms(body, "b", "a") == f"{KL} via correct"
        assert terms(body, "c", "a") == f"{KL} via 0.5, mse(on=logits) via linear(start=0, stop=1)"

    def test_a_rule_replaces_a_rule(self) -> None:
        assert codes(graph(f"{self.body} edge * -> * edge * -> * : mse edge label -> *")) == []
        assert terms(f"{self.body} edge * -> * edge * -> a : js edge label -> *", "label", "a") == (
            f"{CE} via through"
        )

    def test_an_edge_keeps_the_place_of_its_first_mention(self) -> None:
        body = f"{self.body} edge * -> a edge label -> a : ce"
        assert pairs(of(body))[0] == "label -> a"

    def test_a_rule_after_its_exception(self) -> None:
        assert codes(graph(f"{self.body} edge b -> a edge * -> a")) == ["E404"]

    def test_a_name_after_a_name(self) -> None:
        result = compiled(graph(f"{self.body} edge b -> a, c edge b <-> a : mse edge c -> b"))
        assert [d.code for d in result.diagnostics] == ["W102"]
        assert result.plan is not None
        assert edge(result.plan, "b", "a").terms[0].parts[0].loss.name == "mse"

    def test_one_statement_does_not_replace_itself(self) -> None:
        assert codes(graph(f"{self.body} edge b, b -> a edge a <-> c edge c -> b")) == []

    def test_a_replaced_edge_that_was_cut(self) -> None:
        plan = of(f"{self.body} edge * -> a via cutoff edge b -> a via through")
        assert "b -> a" in pairs(plan)
        assert "c -> a" not in pairs(plan)


class TestLimits:
    def test_256_nodes_and_all_their_edges(self) -> None:
        plan = of("node p[256] = resnet8 target p edge label -> * edge * -> *")
        assert (len(plan.graph.nodes), len(plan.graph.edges)) == (256, 65_536)

    @pytest.mark.parametrize("nodes", ["p[257]", "p[256], q", "p[200], q[56], r"])
    def test_one_node_more(self, nodes: str) -> None:
        found = codes(graph(f"node {nodes} = resnet8 target p edge label -> * edge p -> p"))
        assert found in (["E003"], ["E302"])  # E302: one array alone is too large

    def test_a_thousand_nodes_are_told_once(self) -> None:
        names = ", ".join(f"n{i}" for i in range(1000))
        assert codes(graph(f"node {names} = resnet8 target n0 edge * -> * edge n999 -> n1")) == [
            "E003"
        ]

    def test_the_same_edges_over_and_over(self) -> None:
        body = "node p[256] = resnet8 target p" + " edge * -> *" * 1_000
        assert codes(graph(body)) == ["E003"]
        stars = ", ".join("*" * 1_000)
        assert codes(graph(f"node p[256] = resnet8 target p edge {stars} -> *")) == ["E003"]


class TestShippedSpecs:
    """What their comments say."""

    def plan_of(self, name: str) -> list[str]:
        result = compiled((SPECS / f"{name}.ktg").read_text(encoding="utf-8"))
        assert result.plan is not None
        assert result.diagnostics == ()
        plan = result.plan
        assert plan.graph.name == name
        return [
            f"{pair} {text_of(e)}" for pair, e in zip(pairs(plan), plan.graph.edges, strict=True)
        ]

    def test_dml3(self) -> None:
        assert self.plan_of("dml3") == [
            *(f"label -> {n} {CE} via through" for n in "abc"),
            *(f"{s} -> {d} {KL} via through" for s in "abc" for d in "abc" if s != d),
        ]
        plan = sound((SPECS / "dml3.ktg").read_text(encoding="utf-8"))
        assert {e.scale for e in plan.graph.edges if not e.from_label} == {0.5}

    def test_vanilla(self) -> None:
        assert self.plan_of("vanilla") == [f"label -> a {CE} via through"]

    def test_kd(self) -> None:
        assert self.plan_of("kd") == [
            f"label -> student {CE} via 0.1",
            "teacher -> student kl(T=4, scale=16) via 0.9",
        ]
        plan = sound((SPECS / "kd.ktg").read_text(encoding="utf-8"))
        assert plan.graph.node("teacher").pretrained

    def test_gates(self) -> None:
        linear = "linear(start=0, stop=1)"
        assert self.plan_of("gates") == [
            *(f"label -> {n} {CE} via through" for n in "abc"),
            f"b -> a {KL} via correct",
            f"c -> a {KL} via {linear}",
            f"a -> b {KL} via 0.5 * correct * {linear}",
            f"c -> b {KL} via 0.5 * correct * {linear}",
        ]
        plan = sound((SPECS / "gates.ktg").read_text(encoding="utf-8"))
        assert [(d.kind, d.name) for d in plan.graph.dropped] == [("edge", "b -> c")]
