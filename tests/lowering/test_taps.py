"""Taps, unary terms, and edges within one node: what they join, and what they count for."""

import pytest

from ktgdsl.plan.model import tap_of
from tests.specs import edge, graph, of, pairs, said, text_of

TWO = "node a, b = resnet8 target a edge label -> *\n"
VIEWS = "data digits { augment = paper views = 2 }"


class TestPairs:
    """A pair is identified by its endpoints with their taps."""

    def test_taps_tell_pairs_apart(self) -> None:
        plan = of(TWO + "edge b -> a edge b.stage1 -> a.stage1 : hint edge b -> a.stage2 : hint")
        assert pairs(plan)[2:] == ["b -> a", "b.stage1 -> a.stage1", "b -> a.stage2"]

    def test_logits_are_where_no_tap_is_written(self) -> None:
        plan = of(TWO + "edge b -> a : js edge b.logits -> a.logits : mse")
        assert pairs(plan)[2:] == ["b -> a"]
        assert text_of(edge(plan, "b", "a")) == "mse(on=logits) via through"

    def test_a_name_and_a_string_are_one_tap(self) -> None:
        plan = of(
            TWO + 'edge b.stage1 -> a.stage1 : hint edge b."stage1" -> a."stage1" : attention'
        )
        assert pairs(plan)[2:] == ["b.stage1 -> a.stage1"]

    def test_a_place_before_a_relu_with_and_without_quotes(self) -> None:
        bare = TWO + "edge b.stage1.pre -> a.stage1.pre : hint edge b -> a : irg(taps=[stem.pre])"
        quoted = bare.replace("stage1.pre", '"stage1.pre"').replace("stem.pre", '"stem.pre"')
        assert of(bare).digest == of(quoted).digest
        assert pairs(of(quoted))[2:] == ["b.stage1.pre -> a.stage1.pre", "b -> a"]
        mix = "node m = ensemble(a, b, combine=gated(by=a.stage1.pre)) edge label -> m edge m -> a"
        same = mix.replace("stage1.pre", '"stage1.pre"')
        assert of(TWO + mix).digest == of(TWO + same).digest

    def test_an_exception_replaces_the_rule_of_its_taps_only(self) -> None:
        plan = of(
            "node a, b, c = resnet8 target a edge label -> *\n"
            "edge * -> a : js\n"
            "edge *.stage1 -> a.stage1 : attention\n"
            "edge b.stage1 -> a.stage1 : hint via linear"
        )
        assert {pair: text_of(edge(plan, *pair.split(" -> "))) for pair in pairs(plan)[3:]} == {
            "b -> a": "js(T=1, scale=1) via through",
            "c -> a": "js(T=1, scale=1) via through",
            "b.stage1 -> a.stage1": "hint(connector=conv) via linear(start=0, stop=1)",
            "c.stage1 -> a.stage1": "attention via through",
        }

    def test_a_rule_for_taps_after_its_exception(self) -> None:
        body = TWO + "edge b.stage1 -> a.stage1 : hint\nedge *.stage1 -> *.stage1 : attention"
        assert said(graph(body)) == [
            "E404 this pattern would replace the edge b.stage1 -> a.stage1, "
            "written out by name before"
        ]

    def test_a_name_after_a_name(self) -> None:
        body = TWO + "edge b.stage1 -> a.stage1 : hint\nedge b.stage1 -> a.stage1 : attention"
        assert [each[:4] for each in said(graph(body))] == ["W102"]
        body = TWO + "edge b.stage1 -> a.stage1 : hint\nedge b.stage1 -> a.stage2 : attention"
        assert said(graph(body)) == []

    def test_both_directions(self) -> None:
        plan = of(TWO + "edge a.stage1 <-> b.stage2 : attention")
        assert pairs(plan)[2:] == ["a.stage1 -> b.stage2", "b.stage2 -> a.stage1"]

    def test_a_star_joins_different_nodes(self) -> None:
        plan = of(TWO + "edge *.stage1 -> *.stage1 : attention edge *.stage1 -> *.stage2 : hint")
        assert pairs(plan)[2:] == [
            "a.stage1 -> b.stage1", "b.stage1 -> a.stage1",
            "a.stage1 -> b.stage2", "b.stage1 -> a.stage2",
        ]  # fmt: skip

    @pytest.mark.parametrize("library", ['torchvision("resnet18")', 'python("m:f")'])
    def test_nobody_knows_what_is_inside_of_other_networks(self, library: str) -> None:
        plan = of(
            f"node a = resnet8 node t = {library} target a edge label -> a\n"
            'edge t."layer1.0.conv1" -> a.stage1 : hint edge t.layer2 -> a.stage2 : hint'
        )
        assert pairs(plan)[1:] == ['t."layer1.0.conv1" -> a.stage1', "t.layer2 -> a.stage2"]

    @pytest.mark.parametrize("tap", ["stem", "stage1", "stage2", "stage3", "features", "logits"])
    @pytest.mark.parametrize("network", ["resnet8", "wrn10_1"])
    def test_the_stages_of_built_in_networks(self, network: str, tap: str) -> None:
        body = f"node a, b = {network} target a edge label -> a edge b.{tap} -> a.{tap} : rkd"
        plan = of(body)
        (found,) = plan.graph.edges[1:]
        assert (tap_of(found.source), found.destination.tap) == (tap, tap)


class TestLosses:
    @pytest.mark.parametrize(
        ("term", "told"),
        [
            ("edge b.stage1 -> a.stage1", ["E407"]),
            ("edge b.stage1 -> a.stage1 : kl", ["E407"]),
            ("edge b -> a : attention", ["E407"]),
            ("edge b.features -> a.stage1 : attention", ["E407"]),
            ("edge b -> a : fsp(with=stage1)", ["E407"]),
            ("edge b.stage2 -> a.stage2 : fsp(with=stage1)", []),
            ("edge b.stage2 -> a.stage2 : fsp(with=stage7)", ["E201"]),
            ("edge b.features -> a.features : rkd", []),
            ("edge b -> a : rkd + similarity", []),
            ("edge b.stage4 -> a.stage1 : hint", ["E201"]),
            ("edge label.stem -> a", ["E405"]),
            ("edge a : entropy", []),
            ("edge a : kl", ["E407"]),
            ("edge b -> a : entropy", ["E407"]),
            ("edge label -> a : entropy", ["E407"]),
            ("edge a.stage1 : entropy", ["E407"]),
            ("edge a : entropy via correct", ["E407"]),
            ("edge a : entropy via 0.5 * linear", []),
        ],
    )
    def test_what_goes_with_what(self, term: str, told: list[str]) -> None:
        body = "node a, b = resnet8 target a edge label -> a, b edge b -> a : js\n" + term
        found = [each[:4] for each in said(graph(body))]
        assert [code for code in found if code != "W102"] == told


class TestUnary:
    """A term without a source, and an edge within one node, are neither peers nor lessons."""

    def test_has_no_source(self) -> None:
        plan = of("node a, b = resnet8 target a edge label, b -> a edge a : -0.1 * entropy")
        (found,) = [each for each in plan.graph.edges if each.unary]
        assert (found.key, found.transfers, str(found)) == (("", "a"), False, "a")
        assert text_of(found) == "-0.1 * entropy via through"

    def test_a_pattern_is_one_for_each_node_that_is_not_frozen(self) -> None:
        plan = of(
            "node a, b = resnet8 node t = resnet8 { frozen = true } target a\n"
            "edge label -> * edge b, t -> a edge * : entropy"
        )
        assert [str(each) for each in plan.graph.edges if each.unary] == ["a", "b"]

    def test_replaces_as_other_edges_do(self) -> None:
        plan = of(TWO + "edge b -> a edge * : entropy edge a : 0.5 * entropy")
        assert text_of(edge(plan, "", "a")) == "0.5 * entropy via through"
        assert text_of(edge(plan, "", "b")) == "entropy via through"

    @pytest.mark.parametrize(
        "own", ["edge t : entropy", "edge t -> t : js", "edge t.stage1 -> t.stage2 : attention"]
    )
    def test_teaches_nothing_alone(self, own: str) -> None:
        plan = of(f"node a, t = resnet8 target a edge label, t -> a {own}", VIEWS)
        assert plan.graph.node("t").frozen == "no live edge enters it"
        assert pairs(plan) == ["label -> a", "t -> a"]
        assert [each.reason for each in plan.graph.dropped] == ["`t` is frozen"]

    @pytest.mark.parametrize("own", ["edge a : entropy", "edge a -> a"])
    def test_does_not_make_a_target_learn(self, own: str) -> None:
        assert said(graph(f"node a = resnet8 target a {own}", VIEWS)) == [
            "E402 the target `a` learns nothing: no live edge enters it"
        ]

    def test_is_no_peer(self) -> None:
        body = (
            "node a, b, c = resnet8 target a edge label -> * edge b, c -> a\n"
            "edge a : entropy edge a -> a : js edge a.stage1 -> a.stage2 : attention"
        )
        plan = of(body, VIEWS + " train { aggregate = mean }")
        scales = {" ".join(each.key): each.scale for each in plan.graph.into("a")}
        assert scales == {
            "label a": 1, "b a": 0.5, "c a": 0.5, " a": 1, "a a": 1, "a.stage1 a.stage2": 1,
        }  # fmt: skip

    def test_a_source_with_two_taps_is_one_peer(self) -> None:
        body = (
            "node a, b, c = resnet8 target a edge label -> * edge b, c -> a\n"
            "edge b.stage1 -> a.stage1 : hint"
        )
        plan = of(body, "train { aggregate = mean }")
        assert {each.scale for each in plan.graph.into("a") if each.transfers} == {0.5}


class TestViews:
    def test_a_node_teaches_itself_from_view_to_view(self) -> None:
        plan = of("node a = resnet8 target a edge label -> a edge a -> a : mse via stable", VIEWS)
        assert text_of(edge(plan, "a", "a")) == "mse(on=logits) via stable(threshold=0.8)"

    @pytest.mark.parametrize("gate", ["stable", "steadier(0.5)", "stable * steadier"])
    def test_the_labels_are_stable(self, gate: str) -> None:
        plan = of(f"node a = resnet8 target a edge label -> a via 0.5 * {gate}", VIEWS)
        assert text_of(edge(plan, "label", "a")) == "ce(smoothing=0) via 0.5"

    def test_from_tap_to_tap_it_needs_no_views(self) -> None:
        plan = of("node a = resnet8 target a edge label -> a edge a.stage3 -> a.stage1 : attention")
        assert pairs(plan) == ["label -> a", "a.stage3 -> a.stage1"]

    def test_a_pattern_never_joins_a_node_with_itself(self) -> None:
        plan = of(TWO + "edge * -> * edge a, b -> b, a : js", VIEWS)
        assert pairs(plan)[2:] == ["a -> b", "b -> a"]

    def test_without_views(self) -> None:
        body = "node a = resnet8 target a edge label -> a "
        assert said(graph(body + "edge a -> a : js")) == [
            "E405 an edge from `a` to itself transfers nothing"
        ]
        body = "node a, b = resnet8 target a edge label -> a edge b -> a via stable"
        assert [each[:4] for each in said(graph(body))] == ["E407"]
