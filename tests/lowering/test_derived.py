"""Nodes made from others: what they are made of, who is needed for them, who teaches them."""

import pytest

from tests.specs import edge, graph, of, pairs, said

THREE = "node a, b, c = resnet8 target a\n"


def derived(body: str) -> dict[str, tuple[str, ...]]:
    """The sources of each node that is made from others."""
    return {each.name: each.sources for each in of(body).graph.derived}


class TestStars:
    def test_a_star_means_networks(self) -> None:
        plan = of(
            THREE + "node m = ensemble(a, b, c, combine=linear) node e = ema(a)\n"
            "node k = constant(correct=0.99) edge label -> * edge * -> * : js\n"
            "edge label -> m edge m, e, k -> a"
        )
        nodes = "abc"
        assert pairs(plan) == [
            *(f"label -> {d}" for d in nodes),
            *(f"{s} -> {d}" for s in nodes for d in nodes if s != d),
            "label -> m", "m -> a", "e -> a", "k -> a",
        ]  # fmt: skip

    def test_a_star_skips_what_is_frozen_as_a_destination(self) -> None:
        plan = of(
            "node a, b = resnet8 node t = resnet8 { frozen = true } node e = ema(b) target a\n"
            "edge label -> * edge * -> * : js edge e -> a"
        )
        assert pairs(plan) == [
            "label -> a", "label -> b", "a -> b", "b -> a", "t -> a", "t -> b", "e -> a",
        ]  # fmt: skip

    def test_the_freezing_rule_is_not_about_them(self) -> None:
        plan = of(THREE + "node m = ensemble(a, b, c) edge label -> * edge m -> a")
        assert {node.name: node.frozen for node in plan.graph.nodes} == dict.fromkeys("abc")


class TestElementwise:
    H = "node h[3] = resnet8 target h[0] edge label -> h\n"

    @pytest.mark.parametrize("made", ["ema(h)", "ema(h[*])", "copy(h)", "ema(of=h, decay=0.9)"])
    @pytest.mark.parametrize("size", ["", "[3]"])
    def test_of_an_array(self, made: str, size: str) -> None:
        assert derived(self.H + f"node e{size} = {made} edge e -> h[0]") == {
            f"e[{index}]": (f"h[{index}]",) for index in range(3)
        }

    def test_before_its_array(self) -> None:
        body = "node e = ema(h) node h[2] = resnet8 target h[0] edge label -> h edge e -> h[0]"
        assert derived(body) == {"e[0]": ("h[0]",), "e[1]": ("h[1]",)}

    def test_of_one_node(self) -> None:
        assert derived(self.H + "node e = ema(h[2]) edge e -> h[0]") == {"e": ("h[2]",)}

    @pytest.mark.parametrize("size", [2, 4])
    def test_of_another_size(self, size: int) -> None:
        assert said(graph(self.H + f"node e[{size}] = ema(h)"))[0] == (
            f"E408 `e` has {size} nodes and is made of 3"
        )

    def test_an_ensemble_takes_all(self) -> None:
        assert derived(self.H + "node m = ensemble(h) edge m -> h") == {
            "m": ("h[0]", "h[1]", "h[2]")
        }

    def test_an_array_of_ensembles(self) -> None:
        found = derived(self.H + "node m[2] = ensemble(h) edge m -> h[0]")
        assert list(found) == ["m[0]", "m[1]"]
        assert set(found.values()) == {("h[0]", "h[1]", "h[2]")}


class TestLiveness:
    """Paths lead along memberships, and from the sources of averages and copies."""

    def test_members(self) -> None:
        plan = of(THREE + "node m = ensemble(b, c) edge label -> a, b edge m -> a")
        assert {node.name: node.frozen for node in plan.graph.nodes} == {
            "a": None, "b": None, "c": "no live edge enters it",
        }  # fmt: skip

    @pytest.mark.parametrize("made", ["ema(b)", "copy(b, every=10)"])
    def test_what_is_followed(self, made: str) -> None:
        plan = of(THREE + f"node e = {made} edge label -> * edge c -> b edge e -> a")
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]

    def test_through_several(self) -> None:
        plan = of(
            THREE + "node e = ema(b) node m = ensemble(e, a) node n = ensemble(m)\n"
            "edge label -> a, b edge n -> a"
        )
        assert [node.name for node in plan.graph.nodes] == ["a", "b"]
        assert [each.name for each in plan.graph.derived] == ["e", "m", "n"]

    def test_where_a_gated_mix_looks(self) -> None:
        plan = of(
            THREE + "node m = ensemble(a, b, combine=gated(by=c.stage1))\n"
            "edge label -> a, b, m edge m -> a"
        )
        assert plan.graph.node("c").frozen == "no live edge enters it"

    def test_a_constant_needs_nobody(self) -> None:
        plan = of("node a, b = resnet8 node k = constant target a edge label -> * edge k -> a")
        assert [node.name for node in plan.graph.nodes] == ["a"]
        assert derived("node a = resnet8 node k = constant target a edge k -> a") == {"k": ()}

    def test_one_that_leads_nowhere_is_dropped_with_its_sources(self) -> None:
        plan = of(THREE + "node m = ensemble(b, c) edge label -> *")
        assert [d.name for d in plan.graph.dropped if d.kind == "node"] == ["b", "c", "m"]
        assert plan.graph.derived == ()

    def test_kept(self) -> None:
        plan = of(THREE + "node m = ensemble(b, c) { keep = true } edge label -> *")
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        assert plan.graph.derived[0].keep

    @pytest.mark.parametrize(("detach", "live"), [("true", "ab"), ("false", "abc")])
    def test_what_an_ensemble_learns_goes_on_to_its_members(self, detach: str, live: str) -> None:
        body = THREE + f"node m = ensemble(a, b, combine=linear, detach={detach})\n"
        plan = of(body + "edge label -> a, b, c edge m -> b edge b -> a edge c -> m")
        # Without the edge m -> b only a mix that lets gradients through would be needed.
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]
        plan = of(body + "edge label -> a, b, c edge b -> a edge c -> m")
        assert "".join(node.name for node in plan.graph.nodes) == live
        assert [each.name for each in plan.graph.derived] == (["m"] if live == "abc" else [])


class TestTeaching:
    @pytest.mark.parametrize(
        "made",
        [
            "ensemble(a, b, detach=false)",
            "ensemble(a, b, combine=linear)",
            "ensemble(a, b, combine=gated(by=a.stage1))",
            "ensemble(a, b, combine=attention)",
            "ensemble(a, b, combine=concat)",
        ],
    )
    def test_what_can_learn(self, made: str) -> None:
        plan = of(THREE + f"node m = {made} edge label -> *, m edge m -> a")
        assert edge(plan, "label", "m").destination.node == "m"

    @pytest.mark.parametrize(
        "made", ["ensemble(a, b)", "ensemble(a, b, combine=sum)", "ema(a)", "copy(b)", "constant"]
    )
    def test_what_cannot(self, made: str) -> None:
        told = said(graph(THREE + f"node m = {made} edge label -> *, m edge m -> a"))
        word = made.partition("(")[0]
        assert told == [f"E408 no edge can teach `m`, since `{word}` has nothing that learns"]

    @pytest.mark.parametrize("combine", ["linear", "concat", "attention", "gated(by=b.stem)"])
    def test_a_mix_that_learns_needs_an_edge(self, combine: str) -> None:
        body = THREE + f"node m = ensemble(a, b, combine={combine}) edge label -> *"
        assert said(graph(body + " edge m -> a"))[-1] == (
            "E402 `m` learns how to combine its members, and no live edge leads into it"
        )
        assert [each[:4] for each in said(graph(body))] == ["W101"] * 3  # b, c and m

    def test_a_cut_edge_does_not_teach(self) -> None:
        body = THREE + "node m = ensemble(a, b, combine=linear) edge label -> * edge m -> a\n"
        assert "E402" in [each[:4] for each in said(graph(body + "edge label -> m via cutoff"))]

    def test_a_mix_has_an_optimiser_where_it_learns(self) -> None:
        body = (
            "node m = ensemble(a, b, combine=linear) { optimizer = sgd(lr=0.5) }\n"
            "node n = ensemble(a, b) node o = ensemble(a, b, combine=concat)\n"
            "edge label -> *, m, o edge m, n, o -> a"
        )
        plan = of(THREE + body, "train { optimizer = adamw }")
        m, n, o = plan.graph.derived
        assert m.optimizer is not None
        assert m.optimizer.arguments["lr"] == 0.5
        assert (n.optimizer, n.schedule) == (None, None)
        assert o.optimizer == plan.train.optimizer
        assert o.schedule == plan.train.schedule


class TestTargets:
    def test_an_ensemble_with_a_member_that_learns(self) -> None:
        plan = of("node a, b = resnet8 node m = ensemble(a, b) target m edge label -> a")
        assert plan.graph.targets == ("m",)
        assert plan.graph.node("b").frozen == "no live edge enters it"

    @pytest.mark.parametrize("through", ["", "node n = ensemble(m) target n"])
    def test_without_one(self, through: str) -> None:
        body = f"node a, b = resnet8 node m = ensemble(a, b) {through or 'target m'}"
        name = "n" if through else "m"
        assert said(graph(body)) == [
            f"E402 the target `{name}` learns nothing, since none of its members does"
        ]

    def test_through_an_ensemble(self) -> None:
        body = "node a, b = resnet8 node m = ensemble(a) node n = ensemble(m, b) target n"
        assert of(body + " edge label -> a").graph.targets == ("n",)

    @pytest.mark.parametrize("made", ["ema(a)", "copy(a)", "constant"])
    def test_nothing_else(self, made: str) -> None:
        told = said(graph(f"node a = resnet8 node m = {made} target m edge label -> a"))
        word = made.partition("(")[0]
        assert told[0] == f"E408 a target is a network or an ensemble, and `m` is made by `{word}`"


class TestMistakes:
    @pytest.mark.parametrize(
        ("nodes", "message"),
        [
            ("node m = ensemble(m, a)", "E408 `m` is made from itself"),
            (
                "node m = ensemble(n) node n = ensemble(m)",
                "E408 `m` is made from itself through `n`",
            ),
            (
                "node m = ensemble(a, combine=gated(by=m.logits))",
                "E408 `m` is made from itself",
            ),
            ("node m = ensemble(a, b, a)", "E408 `m` combines `a` twice"),
            ("node h[2] = resnet8 node m = ensemble(h, h[1])", "E408 `m` combines `h[1]` twice"),
            (
                "node n = ensemble(a, b) node m = ema(n)",
                "E408 `m` follows the weights of `n`, which has none",
            ),
            (
                "node n = ema(a) node m = copy(n)",
                "E408 `m` follows the weights of `n`, which has none",
            ),
            ("node m = ensemble(a, x)", "E201 there is no node called `x`"),
            ("node m = ema(label)", "E105 `label` stands for the labels and cannot stand"),
            ("node m = ema(a) { frozen = true }", "E204 `ema` has no setting `frozen`"),
            ("node m = ensemble(a, b) { optimizer = sgd }", "E204 `ensemble` has no setting"),
            ('node m = ensemble(a, b) { weights = "x" }', "E204 `ensemble` has no setting"),
        ],
    )
    def test_told(self, nodes: str, message: str) -> None:
        told = said(graph(f"node a, b = resnet8 target a {nodes} edge label -> *"))
        assert told[0].startswith(message)
        assert len([each for each in told if each[0] == "E"]) == 1


class TestTaps:
    def test_inside_of_an_average_is_what_is_inside_of_its_node(self) -> None:
        body = "node a, b = resnet8 node e = ema(b) target a edge label -> * edge e.{} -> a.stage1"
        assert pairs(of(body.format("stage1") + " : hint"))[2:] == ["e.stage1 -> a.stage1"]
        assert said(graph(body.format("stage9") + " : hint"))[0] == (
            "E201 there is no `stage9` inside of `e`"
        )

    def test_an_ensemble_has_nothing_inside(self) -> None:
        body = "node a, b = resnet8 node m = ensemble(a, b) target a edge label -> *\n"
        assert said(graph(body + "edge m.stage1 -> a.stage1 : hint"))[0] == (
            "E201 there is no `stage1` inside of `m`"
        )
