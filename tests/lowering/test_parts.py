"""The rules for taps, unary terms, derived nodes, shared layers and phases."""

import pytest

from ktgdsl.plan.model import Plan
from tests.specs import codes, compiled, edge, graph, of, pairs, sound, text_of


def nodes(plan: Plan) -> list[str]:
    """The names of the networks, and of the derived nodes in brackets."""
    own = [node.name for node in plan.graph.nodes]
    return own + [f"[{node.name}]" for node in plan.graph.derived]


def frozen(plan: Plan) -> dict[str, str]:
    return {node.name: node.frozen for node in plan.graph.nodes if node.frozen is not None}


class TestTaps:
    BODY = "node a, b = resnet8 target a edge label -> *"

    def test_a_pair_is_its_endpoints_with_their_taps(self) -> None:
        plan = of(f"{self.BODY} edge b -> a edge b.stage1 -> a.stage1 : hint "
                  "edge b.stage1 -> a.stage2 : hint edge b.logits -> a : js")  # fmt: skip
        transfer = [pair for pair in pairs(plan) if "label" not in pair]
        assert transfer == ["b -> a", "b.stage1 -> a.stage1", "b.stage1 -> a.stage2"]
        assert text_of(edge(plan, "b", "a")) == "js(T=1, scale=1) via through"  # the later one

    def test_a_pattern_takes_the_tap_of_every_node(self) -> None:
        plan = of(
            "node a, b, c = resnet8 target a edge label -> * edge *.stage1 -> a.stage2 : hint"
        )
        transfer = [pair for pair in pairs(plan) if "label" not in pair]
        assert transfer == ["b.stage1 -> a.stage2", "c.stage1 -> a.stage2"]

    def test_a_node_may_teach_itself_from_another_tap(self) -> None:
        plan = of(f"{self.BODY} edge b -> a edge a.stage3 -> a.stage1 : attention")
        assert "a.stage3 -> a.stage1" in pairs(plan)

    def test_two_views_let_a_node_teach_itself(self) -> None:
        plan = of(
            f"{self.BODY} edge b -> a edge a -> a : mse via stable", "data digits { views = 2 }"
        )
        assert "a -> a" in pairs(plan)

    def test_paths_of_modules(self) -> None:
        plan = of('node a = resnet8 node t = python("m:f") target a edge label -> a '
                  'edge t."layer1.0" -> a."stage1.0" : hint '
                  "edge t.features -> a.features : metric")  # fmt: skip
        assert pairs(plan)[1:] == ['t."layer1.0" -> a."stage1.0"', "t.features -> a.features"]

    def test_transfer_from_a_tap_counts_as_one_source(self) -> None:
        plan = of(f"{self.BODY} node c = resnet8 edge label -> c edge b, c -> a "
                  "edge b.stage1 -> a.stage1 : hint", "train { aggregate = mean }")  # fmt: skip
        assert {e.scale for e in plan.graph.into("a") if not e.from_label} == {0.5}


class TestUnary:
    def test_it_has_no_source_and_is_no_peer(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> * edge b, c -> a "
                  "edge a : -0.1 * entropy", "train { aggregate = mean }")  # fmt: skip
        (unary,) = [each for each in plan.graph.edges if each.unary]
        assert str(unary) == "a"
        assert text_of(unary) == "-0.1 * entropy via through"
        assert unary.scale == 1
        assert edge(plan, "b", "a").scale == 0.5

    def test_it_does_not_make_a_node_learn(self) -> None:
        plan = of("node a, t = resnet8 target a edge label, t -> a edge * : 0.1 * entropy")
        assert frozen(plan) == {"t": "no live edge enters it"}
        assert [str(each) for each in plan.graph.edges if each.unary] == ["a"]
        assert [(d.name, d.reason) for d in plan.graph.dropped] == [("t", "`t` is frozen")]

    def test_a_later_one_replaces_an_earlier(self) -> None:
        plan = of("node a = resnet8 target a edge label -> a edge * : entropy edge a : 2 * entropy")
        assert [text_of(each) for each in plan.graph.edges if each.unary] == [
            "2 * entropy via through"
        ]

    def test_into_a_node_that_says_frozen(self) -> None:
        body = "node a = resnet8 node t = resnet8 { frozen = true } target a edge label, t -> a "
        assert codes(graph(body + "edge t : entropy")) == ["E403"]
        assert codes(graph(body + "edge * : entropy")) == []


class TestDerived:
    BODY = "node a, b = resnet8 target a edge label -> *"

    def test_a_pattern_never_means_them(self) -> None:
        plan = of(f"{self.BODY} node m = ensemble(a, b, detach=false) edge m -> a edge * -> *")
        assert not any("m ->" in pair or "-> m" in pair for pair in pairs(plan)[3:])
        assert nodes(plan) == ["a", "b", "[m]"]

    def test_they_are_never_frozen_nor_pre_trained(self) -> None:
        plan = of("node a, t = resnet8 node s = ema(a) node o = copy(t) node h = constant target a "
                  "edge label -> a edge s, o, h -> a")  # fmt: skip
        assert frozen(plan) == {"t": "no live edge enters it"}
        assert nodes(plan) == ["a", "t", "[s]", "[o]", "[h]"]

    def test_members_are_alive_as_long_as_what_is_made_of_them(self) -> None:
        body = "node a, b, c, d = resnet8 target a edge label -> * "
        plan = sound(graph(body + "node m = ensemble(b, c) edge m -> a"))
        assert nodes(plan) == ["a", "b", "c", "[m]"]
        plan = sound(graph(body + "node m = ensemble(b, c) edge m -> d"))
        assert nodes(plan) == ["a"]
        plan = sound(graph(body + "node s = ema(b) node m = ensemble(s) edge m -> a"))
        assert nodes(plan) == ["a", "b", "[s]", "[m]"]
        plan = sound(graph(body + "node m = ensemble(b, combine=gated(by=c.stem)) "
                           "edge label -> m edge m -> a"))  # fmt: skip
        assert nodes(plan) == ["a", "b", "c", "[m]"]

    def test_an_ensemble_that_trains_its_members_is_alive_as_long_as_they_are(self) -> None:
        body = "node a, b = resnet8 target a edge label -> a "
        plan = sound(graph(body + "node m = ensemble(a, b, detach=false) edge label -> m"))
        assert nodes(plan) == ["a", "b", "[m]"]
        plan = sound(graph(body + "node m = ensemble(a, b, combine=concat) edge label -> m"))
        assert nodes(plan) == ["a"]

    def test_elementwise_over_an_array(self) -> None:
        plan = of("node h[3] = resnet8 node e = ema(h) node f[3] = copy(h[*], every=9) "
                  "target h[0] edge label -> * edge e, f -> h[0]")  # fmt: skip
        made = {each.name: each.sources for each in plan.graph.derived}
        assert made == {f"{n}[{i}]": (f"h[{i}]",) for n in "ef" for i in range(3)}

    def test_an_ensemble_of_an_array_has_all_its_nodes(self) -> None:
        plan = of("node h[3] = resnet8 node m = ensemble(h, others=true) target h[0] "
                  "edge label -> * edge m -> h")  # fmt: skip
        (mean,) = plan.graph.derived
        assert mean.sources == ("h[0]", "h[1]", "h[2]")
        assert str(mean.made) == ("ensemble(combine=mean, on=logits, others=true, detach=true)")

    def test_what_learns_how_to_combine_has_an_optimiser(self) -> None:
        plan = of(f"{self.BODY} node m = ensemble(a, b, combine=linear) {{ optimizer = adamw }} "
                  "edge label -> m edge m -> a")  # fmt: skip
        (mix,) = plan.graph.derived
        assert mix.optimizer is not None
        assert mix.optimizer.name == "adamw"

    def test_an_ensemble_as_a_target_needs_a_member_that_learns(self) -> None:
        body = "node a, b = resnet8 node m = ensemble(a, b) target m "
        assert codes(graph(body + "edge label -> a")) == []
        assert codes(graph(body)) == ["E402"]

    def test_it_is_a_source_like_any_other(self) -> None:
        plan = of(
            f"{self.BODY} node m = ensemble(a, b) edge m, b -> a", "train { aggregate = mean }"
        )
        assert edge(plan, "m", "a").scale == edge(plan, "b", "a").scale == 0.5


class TestShares:
    def test_sharers_keep_each_other_alive(self) -> None:
        body = "node a, b = resnet8 target a edge label -> * "
        assert nodes(sound(graph(body))) == ["a"]
        assert nodes(sound(graph(body + "share a, b { layers = [stem] }"))) == ["a", "b"]

    def test_overlapping_shares_merge_layer_by_layer(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> * "
                  "share a, b { layers = [stage1, stem] } "
                  "share b, c { layers = [stem] }")  # fmt: skip
        assert [(share.nodes, share.layers) for share in plan.graph.shares] == [
            (("a", "b", "c"), ("stem",)), (("a", "b"), ("stage1",)),
        ]  # fmt: skip

    def test_the_first_layer_is_alike_in_a_family(self) -> None:
        body = "node a = resnet8 node b = resnet14 node c = wrn10_2 target a edge label -> * "
        assert codes(graph(body + "share a, b { layers = [stem] } edge b, c -> a")) == []
        assert codes(graph(body + "share a, c { layers = [stem] } edge b, c -> a")) == ["E409"]

    def test_a_dropped_share_is_no_part_of_the_plan(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> * share b, c { layers = [stem] }")
        assert plan.graph.shares == ()


class TestPhases:
    BODY = """
    node t, a, s = resnet8
    target s
    edge label -> *
    edge t -> a
    edge a -> s
    """
    PHASES = "phase one { learn = [t] } phase two { learn = [a] } phase three { learn = [s, a] }"

    def test_in_order_with_the_epochs_of_the_training(self) -> None:
        plan = of(self.BODY, f"{self.PHASES} train {{ epochs = 9 }}")
        assert [(p.name, p.learn, p.epochs) for p in plan.phases] == [
            ("one", ("t",), 9), ("two", ("a",), 9), ("three", ("s", "a"), 9),
        ]  # fmt: skip
        assert all(node.learns for node in plan.graph.nodes)

    @pytest.mark.parametrize(
        ("body", "phases", "expected"),
        [
            # The freezing table of the language, row by row.
            ("node t = resnet8 edge t -> a", "learn = [a]", {"t": "no live edge enters it"}),
            ("node t = resnet8 { frozen = true } edge t -> a", "learn = [a]",
             {"t": "frozen = true"}),
            ("node t = resnet8 edge label -> t edge t -> a", "learn = [a, t]", {}),
            ("node t = resnet8 edge label -> t edge t -> a", "learn = [a]", None),
            ("node t = resnet8 edge t -> a", "learn = [a, t]", None),
            ("node t = resnet8 { frozen = true } edge t -> a", "learn = [a, t]", None),
        ],
    )  # fmt: skip
    def test_freezing(self, body: str, phases: str, expected: dict[str, str] | None) -> None:
        text = graph(f"node a = resnet8 target a edge label -> a {body}", f"phase p {{ {phases} }}")
        if expected is None:
            assert codes(text) == ["E410"]
        else:
            assert frozen(sound(text)) == expected

    def test_during_all_phases_is_through_and_during_some_is_not(self) -> None:
        plan = of(
            "node a, b = resnet8 target a edge label -> * edge b -> a : kl via during(x, y), "
            "js via 0.5 * during(x)",
            "phase x { learn = [a, b] } phase y { learn = [a, b] }",
        )
        assert text_of(edge(plan, "b", "a")) == (
            "kl(T=1, scale=1) via through, js(T=1, scale=1) via 0.5 * during(phases=[x])"
        )

    def test_a_derived_node_that_learns_is_listed_too(self) -> None:
        body = ("node a, b = resnet8 node m = ensemble(a, b, combine=concat) target a "
                "edge label -> * edge label -> m edge m -> a")  # fmt: skip
        assert codes(graph(body, "phase p { learn = [a, b] }")) == ["E410"]
        assert codes(graph(body, "phase p { learn = [a, b, m] }")) == []

    def test_the_best_epoch_needs_samples_to_choose_on(self) -> None:
        one = "phase p { learn = [a] take = best }"
        body = "node a = resnet8 target a edge label -> a"
        assert codes(graph(body, one)) == ["E410"]
        assert codes(graph(body, one + " data digits { holdout = true }")) == []
        space = body.replace("resnet8", "resnet8 | resnet14")
        assert codes(graph(space, one + " search { trials = 3 }")) == []

    @pytest.mark.parametrize("more", ["", "let unused = 1 | 2"])
    def test_the_settings_of_a_search_hold_nothing_out_where_nothing_is_open(
        self, more: str
    ) -> None:
        body = "node a = resnet8 target a edge label -> a"
        blocks = f"train {{ take = best }} search {{ trials = 3 }} {more}"
        assert codes(graph(body, blocks)) == ["E302"]
        phase = f"phase p {{ learn = [a] stop = patience(3) }} {blocks}"
        assert codes(graph(body, phase)) == ["E410", "E302"]


class TestDigests:
    RICH = """
    graph g {{
        node {0}, {1}, {2} = resnet8
        node {3} = ensemble({1}, {2}, combine=gated(by={1}.stem))
        node {4} = ema({2})
        target {0}
        share {1}, {2} {{ layers = [stem] }}
        edge label -> *
        edge label -> {3}
        edge {3}, {4}, {2} -> {0} : kl via correct
        edge {1}.stage1 -> {0}.stage1 : hint
        edge {2} : 0.1 * entropy
    }}
    phase one {{ learn = [{1}, {2}, {3}] }}
    phase two {{ learn = [{0}] }}
    {more}
    """

    def plan(self, *names: str, more: str = "") -> Plan:
        return sound(self.RICH.format(*names, more=more))

    def test_renaming_with_every_mention_is_the_same_graph(self) -> None:
        one = self.plan("a", "b", "c", "m", "e")
        other = self.plan("a", "x", "y", "n", "z")
        assert one.canonical_digest == other.canonical_digest
        assert one.digest != other.digest

    def test_renaming_only_some_mentions_is_another(self) -> None:
        one = self.plan("a", "b", "c", "m", "e")
        text = self.RICH.format("a", "b", "c", "m", "e", more="")
        changed = (
            text.replace("ema(c)", "ema(b)"), text.replace("by=b.stem", "by=c.stem"),
            text.replace("edge c : 0.1", "edge b : 0.1"), text.replace("[stem]", "[stem, stage1]"),
            text.replace("b.stage1", "c.stage1"),
            text.replace("learn = [b, c, m]", "learn = [b, c, m, a]"),
        )  # fmt: skip
        for other in changed:
            assert other != text
            assert sound(other).canonical_digest != one.canonical_digest

    def test_a_target_is_not_renamed(self) -> None:
        one, other = self.plan("a", "b", "c", "m", "e"), self.plan("z", "b", "c", "m", "e")
        assert one.canonical_digest != other.canonical_digest

    def test_in_turn_only_what_keeps_the_order_is_the_same(self) -> None:
        text = """
        graph g {{
            node a, {0}, {1} = resnet8
            target a
            edge label -> *
            edge {0} -> a : kl
            edge {1} -> a : js
        }}
        train {{ update = {2} }}
        """
        for update, same in (("simultaneous", True), ("sequential", False)):
            one, other = sound(text.format("b", "c", update)), sound(text.format("c", "b", update))
            turned = text.format("b", "c", update).replace("b -> a : kl", "b -> a : js")
            turned = turned.replace("c -> a : js", "c -> a : kl")
            assert one.canonical_digest == other.canonical_digest
            assert (sound(turned).canonical_digest == one.canonical_digest) == same

    def test_what_nothing_reads_is_erased(self) -> None:
        body = "node a = resnet8 {} target a edge label -> a"
        plain, odd = of(body.format("")), of(body.format("{ mode = train }"))
        assert plain.canonical_digest == odd.canonical_digest
        assert plain.digest != odd.digest


def test_several_mistakes_in_parts_are_all_told() -> None:
    text = graph(
        "node a, b = resnet8 node m = ensemble(a, a) node s = ema(m) target a "
        "share a { layers = [stem] } edge label -> * edge b.stagex -> a.stage1 : hint",
        "phase p { learn = [nobody] } search { trials = 0 }",
    )
    found = [d.code for d in compiled(text).diagnostics]
    assert sorted(found) == ["E201", "E201", "E302", "E408", "E408", "E409"]
