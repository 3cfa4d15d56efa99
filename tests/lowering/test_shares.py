"""Shared layers: which, between whom, and when their nodes learn."""

import pytest

from ktgdsl.plan.model import SharedLayers
from tests.specs import graph, of, said

THREE = "node a, b, c = resnet8 target a edge label -> *\nedge b, c -> a\n"


def shares(body: str) -> list[tuple[str, str]]:
    """Who shares what, as `a b`, `stem stage1`."""
    return [(" ".join(each.nodes), " ".join(each.layers)) for each in of(body).graph.shares]


class TestWhat:
    def test_as_it_is_written(self) -> None:
        plan = of(THREE + "share b, a { layers = [stem, stage1] grad = mean }")
        assert plan.graph.shares == (
            SharedLayers(nodes=("b", "a"), layers=("stem", "stage1"), grad="mean"),
        )

    def test_gradients_are_summed_by_default(self) -> None:
        assert of(THREE + "share a, b { layers = [stem] }").graph.shares[0].grad == "sum"

    def test_layers_are_in_the_order_of_the_network(self) -> None:
        body = THREE + "share a, b { layers = [stage2, stem, stage1, stem] }"
        assert shares(body) == [("a b", "stem stage1 stage2")]

    def test_an_array(self) -> None:
        body = "node h[3] = resnet8 target h[0] edge label -> h share h { layers = [stem] }"
        assert shares(body) == [("h[0] h[1] h[2]", "stem")]

    def test_a_star_is_all_networks(self) -> None:
        body = THREE + "node e = ema(a) edge e -> b share * { layers = [stem] }"
        assert shares(body) == [("a b c", "stem")]

    def test_of_networks_that_differ_the_stem(self) -> None:
        body = "node a = resnet8 node b = resnet32 target a edge label -> * edge b -> a\n"
        assert shares(body + "share a, b { layers = [stem] }") == [("a b", "stem")]

    @pytest.mark.parametrize("network", ["resnet(8, width=4)", "resnet(8, stride=2)"])
    def test_no_stem_of_another_shape(self, network: str) -> None:
        body = f"node a = resnet8 node b = {network} target a edge label -> * edge b -> a\n"
        assert said(graph(body + "share a, b { layers = [stem] }")) == [
            "E409 `a` and `b` differ in `stem`, so they cannot share"
        ]

    def test_layers_of_other_networks_by_their_path(self) -> None:
        body = 'node a, b = torchvision("resnet18") target a edge label -> * edge b -> a\n'
        assert shares(body + 'share a, b { layers = ["layer1.0", conv1] }') == [
            ("a b", "layer1.0 conv1")
        ]


class TestMerging:
    def test_overlapping_shares_are_one(self) -> None:
        body = THREE + "share a, b { layers = [stem] } share b, c { layers = [stem] }"
        assert shares(body) == [("a b c", "stem")]

    def test_layer_by_layer(self) -> None:
        body = THREE + "share a, b { layers = [stem, stage1] } share c, b { layers = [stem] }"
        assert shares(body) == [("a b c", "stem"), ("a b", "stage1")]

    def test_a_share_that_joins_two(self) -> None:
        body = (
            "node h[4] = resnet8 target h edge label -> h\n"
            "share h[0], h[1] { layers = [stem] } share h[3], h[2] { layers = [stem] }\n"
            "share h[2], h[1] { layers = [stem] }"
        )
        assert shares(body) == [("h[0] h[1] h[3] h[2]", "stem")]

    def test_apart_where_they_do_not_overlap(self) -> None:
        body = (
            "node h[4] = resnet8 target h edge label -> h\n"
            "share h[0], h[1] { layers = [stem] } share h[2], h[3] { layers = [stem] grad = mean }"
        )
        assert shares(body) == [("h[0] h[1]", "stem"), ("h[2] h[3]", "stem")]


class TestLiveness:
    def test_a_sharer_is_needed(self) -> None:
        plan = of(
            "node a, b, c, d = resnet8 target a edge label -> * edge c -> b\n"
            "share a, b { layers = [stem] }"
        )
        assert [node.name for node in plan.graph.nodes] == ["a", "b", "c"]

    def test_a_share_of_dropped_nodes_is_dropped(self) -> None:
        plan = of("node a, b, c = resnet8 target a edge label -> * share b, c { layers = [stem] }")
        assert [node.name for node in plan.graph.nodes] == ["a"]
        assert plan.graph.shares == ()


class TestTimes:
    """Sharers learn at the same times, or none of them does."""

    def test_frozen_together(self) -> None:
        body = "node a, b, c = resnet8 target a edge label -> a edge b, c -> a\n"
        assert shares(body + "share b, c { layers = [stem] }") == [("b c", "stem")]

    @pytest.mark.parametrize("edge", ["edge label -> b via cutoff", "edge b : entropy", ""])
    def test_one_that_does_not_learn(self, edge: str) -> None:
        body = f"node a, b = resnet8 target a edge label -> a edge b -> a {edge}\n"
        told = said(graph(body + "share a, b { layers = [stem] }"))
        assert told == ["E409 `b` and `a` share layers, and only `a` learns"]

    def test_in_the_same_phases(self) -> None:
        body = graph(THREE + "share a, b { layers = [stem] }")
        assert said(body + "phase one { learn = [a, b] } phase two { learn = [c, b, a] }") == []
        assert said(body + "phase one { learn = [a, b, c] } phase two { learn = [b] }") == [
            "E409 `a` and `b` share layers and learn at different times"
        ]


@pytest.mark.parametrize(
    ("nodes", "share", "message"),
    [
        ("", "share a { layers = [stem] }", "E409 `a` shares its layers with no other node"),
        ("", "share a, a { layers = [stem] }", "E409 `a` shares its layers with no other node"),
        ("", "share a, b { layers = [stage1] }", "E409 shared layers begin at the input"),
        ("", "share a, b { layers = [stem, stage2] }", "E409 shared layers begin at the input"),
        ("", "share a, b { layers = [stem, stage9] }", "E201 there is no `stage9` inside of `a`"),
        ("", "share a, x { layers = [stem] }", "E201 there is no node called `x`"),
        ("", "share a, b { }", "E208 `share` needs `layers`"),
        ("", "share a.stem, b { layers = [stem] }", "E301 a node is needed here, not a place"),
        ("node d = resnet14", "share a, d { layers = [stem, stage1] }",
         "E409 `a` and `d` differ in `stem` and `stage1`, so they cannot share"),
        ("node d = wrn10_1", "share a, d { layers = [stem] }",
         "E409 `a` and `d` differ in `stem`, so they cannot share"),
        ("node e = ema(a)", "share a, e { layers = [stem] }",
         "E409 `e` is made from other nodes and has no layers to share"),
        ("", "share a, b { layers = [stem] } share b, c { layers = [stem] grad = mean }",
         "E409 two shares of the same layers combine their gradients in different ways"),
    ],
)  # fmt: skip
def test_mistakes(nodes: str, share: str, message: str) -> None:
    told = said(graph(f"{nodes}\n{THREE}{share}"))
    assert next(each for each in told if each[0] == "E").startswith(message)
    assert sum(each[0] == "E" for each in told) == 1
