"""Taps: what is read of networks is what their modules compute, once, and no more than needed."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

import ktgdsl
from ktgdsl.backend.networks import make
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.backend.taps import Tapped, UnknownTapError
from ktgdsl.cli.main import main
from ktgdsl.errors import EdgeError, TapError
from ktgdsl.plan.model import Plan
from ktgdsl.vocabulary.networks import STAGES


def plan(body: str, more: str = "") -> Plan:
    loaded: Plan = ktgdsl.loads(f"graph test {{ {body} }} {more}")
    return loaded


def network(name: str) -> nn.Module:
    arguments = {"depth": 14} if name == "resnet" else {"depth": 10, "widen": 1, "dropout": 0.0}
    torch.manual_seed(0)
    return make(name, arguments, 1, 10).double()


IMAGE = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# What is read


@pytest.mark.parametrize("name", ["resnet", "wrn"])
@pytest.mark.parametrize("training", [True, False])
def test_stages_are_what_the_network_computes(name: str, training: bool) -> None:
    ours, plain = network(name).train(training), network(name).train(training)
    got = Tapped(ours, STAGES)(IMAGE)
    x = IMAGE
    assert list(got) == list(STAGES)
    for stage in STAGES:
        x = plain.get_submodule(stage)(x)
        assert torch.equal(got[stage], x), stage


@pytest.mark.parametrize("stage", ["stem", "stage1", "stage2", "stage3"])
def test_before_the_last_relu_of_a_resnet(stage: str) -> None:
    got = Tapped(network("resnet"), (f"{stage}.pre", stage))(IMAGE)
    assert (got[f"{stage}.pre"] < 0).any()
    assert torch.equal(relu(got[f"{stage}.pre"]), got[stage])


@pytest.mark.parametrize(
    ("stage", "norm"),
    [("stem", "stage1.0.bn1"), ("stage1", "stage2.0.bn1"), ("stage2", "stage3.0.bn1"),
     ("stage3", "features.0")],
)  # fmt: skip
def test_before_the_relu_that_follows_a_stage_of_a_wide_resnet(stage: str, norm: str) -> None:
    got = Tapped(network("wrn"), (f"{stage}.pre", stage))(IMAGE)
    plain = network("wrn").get_submodule(norm)
    assert torch.equal(got[f"{stage}.pre"], plain(got[stage]))


def test_modules_by_their_paths_even_if_they_are_overwritten_later() -> None:
    net = network("resnet")
    got = Tapped(net, ("stage1.0.conv1", "stage1.0.bn1"))(IMAGE)
    assert torch.equal(
        got["stage1.0.bn1"], net.get_submodule("stage1.0.bn1")(got["stage1.0.conv1"])
    )
    assert (got["stage1.0.bn1"] < 0).any()  # the ReLU after it works in place


def test_any_module_of_a_foreign_network() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(inplace=True), nn.Linear(7, 10))
    got = Tapped(net.double(), ("1", "logits"))(IMAGE)
    assert got["1"].shape == (4, 7)
    assert torch.equal(net[3](relu(got["1"])), got["logits"])


@pytest.mark.parametrize("tap", ["stage4", "stage1.9", "features.pre", ""])
def test_a_tap_that_a_network_does_not_have(tap: str) -> None:
    with pytest.raises(UnknownTapError):
        Tapped(network("resnet"), (tap or "nothing",))


def test_a_module_that_is_not_called() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    net[0].add_module("idle", nn.ReLU())
    with pytest.raises(RuntimeError, match=r"`0.idle` is not called"):
        Tapped(net, ("0.idle",))(IMAGE)


# What is computed


def test_a_network_is_computed_up_to_the_last_tap() -> None:
    net = network("resnet")
    calls: Counter[str] = Counter()
    for stage in STAGES:
        net.get_submodule(stage).register_forward_hook(lambda *_, s=stage: calls.update([s]))
    Tapped(net, ("stage1", "stage2.pre"))(IMAGE)
    assert calls == {"stem": 1, "stage1": 1, "stage2": 1}


def test_calls_of_the_network_itself_keep_nothing() -> None:
    net = network("resnet")
    tapped = Tapped(net, ("stage1",))
    tapped(IMAGE)
    net(IMAGE)
    assert tapped._outputs is None


EDGES = """
    node a, b = resnet8
    target a
    edge label -> *
    edge b -> a : kl
    edge b.stage2 -> a.stage2 : attention
    edge b.stage2 -> a.stage2.pre : 0.5 * similarity via linear
"""
EDGES = EDGES.replace("a.stage2.pre", "a.stage2.pre")


def test_the_graph_reads_each_output_once() -> None:
    code = ktgdsl.build(plan(EDGES)).code
    assert code.count("self.node_a(image)") == code.count("self.node_b(image)") == 1
    assert "b_stage2 = outputs_b['stage2']" in code
    assert code.count("outputs_b['stage2']") == 1
    assert "attention_b_stage2_to_a_stage2 = " in code
    namespace: dict[str, object] = {"getitem": None}
    exec(code, namespace)


@pytest.mark.parametrize("side", [False, True])
def test_gradients_reach_the_destination_up_to_the_tap(side: bool) -> None:
    graph = ktgdsl.build(plan(EDGES))
    compute = side_by_side(graph, 1) if side else graph
    label = torch.arange(4)
    out = compute(IMAGE.float(), label, torch.tensor(0.5))
    out.edges["b.stage2", "a.stage2"].backward()
    reached = {
        f"{name}.{key.partition('.')[0]}"
        for name, net in graph.networks.items()
        for key, parameter in net.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert reached == {"a.stem", "a.stage1", "a.stage2"}


def test_side_by_side_gives_the_same() -> None:
    outputs = []
    for side in (False, True):
        graph = ktgdsl.build(plan(EDGES))
        compute = side_by_side(graph, 1) if side else graph
        out = compute(IMAGE.float(), torch.arange(4), torch.tensor(0.5))
        torch.autograd.backward(list(out.losses.values()))
        slopes = [p.grad for net in graph.networks.values() for p in net.parameters()]
        outputs.append((out, slopes))
    (one, slopes), (other, same) = outputs
    assert all(torch.equal(one.edges[key], other.edges[key]) for key in one.edges)
    for slope, equal in zip(slopes, same, strict=True):
        assert slope is not None
        assert equal is not None
        assert torch.equal(slope, equal)


def test_a_phase_of_hints_computes_no_more_than_they_need() -> None:
    hints = plan(
        """
        node s, t = resnet8
        target s
        edge label -> s via during(distil)
        edge t.stage2 -> s.stage2 : attention via during(hints)
        edge t -> s : kl via during(distil)
        """,
        "phase hints { learn = [s] } phase distil { learn = [s] }",
    )
    step = ktgdsl.stepper(
        hints, "cpu", networks={"t": make("resnet", {"depth": 8}, 1, 10)}, steps=1
    )
    before = {key: each.clone() for key, each in step.networks["s"].state_dict().items()}
    output = step(IMAGE.float(), torch.arange(4))
    after = step.networks["s"].state_dict()
    moved = {
        key.partition(".")[0] for key, old in before.items() if not torch.equal(old, after[key])
    }
    assert moved == {"stem", "stage1", "stage2"}
    assert output.logits == {}
    assert set(step(IMAGE.float(), torch.arange(4)).logits) == {"s", "t"}


def test_edges_within_a_network() -> None:
    """Be your own teacher: what a later layer says teaches an earlier one."""
    own = plan(
        "node a = resnet8 target a edge label -> a edge a.stage2 -> a.stage2.pre : attention"
    )
    graph = ktgdsl.build(own)
    out = graph(IMAGE.float(), torch.arange(4), 0.5)
    assert out.edges["a.stage2", "a.stage2.pre"] > 0


# Mistakes


def test_a_tap_that_a_foreign_network_lacks_is_told_by_node_and_tap() -> None:
    foreign = plan('node a = resnet8 node b = python("m:f") target a edge label -> * '
                   'edge b."layer9" -> a.stage2 : attention')  # fmt: skip
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(
        TapError, match="there is no `layer9` inside of the network of node `b`"
    ) as e:
        ktgdsl.build(foreign, networks={"b": net})
    assert (e.value.node, e.value.tap) == ("b", "layer9")


def test_features_that_do_not_fit_are_told_at_their_edge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "unfit.ktg"
    spec.write_text(
        "graph unfit {\n    node a, b = resnet8\n    target a\n    edge label -> *\n"
        "    edge b.stage1 -> a.stage2 : hint(connector=none)\n}\n"
    )
    assert main(["run", str(spec), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert "error[E505]: the loss `hint` of edge b.stage1 -> a.stage2 does not fit" in said
    assert "unfit.ktg:5:5" in said


FEATURE_LOSSES = [
    *("hint(connector=none)", "attention", "similarity", "rkd", "metric", "overhaul"),
    *("hint", "metric(on=features)", "fsp(with=stage2)", "overhaul(margin=batch)"),
]


def foreign() -> nn.Module:
    first = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    return nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10))


def stepped(edge: str) -> None:
    of_foreign = plan(
        f'node a = resnet8 node b = python("m:f") target a edge label -> * edge {edge}'
    )
    ktgdsl.stepper(of_foreign, "cpu", networks={"b": foreign()}, steps=1)


@pytest.mark.parametrize("loss", FEATURE_LOSSES)
def test_a_tap_that_is_not_there_is_told_whatever_the_loss(loss: str) -> None:
    with pytest.raises(TapError, match="there is no `layer9`") as caught:
        stepped(f"b.layer9 -> a.stage1.pre : {loss}")
    assert (caught.value.node, caught.value.tap) == ("b", "layer9")


@pytest.mark.parametrize(
    ("tap", "loss", "why"),
    [
        ('"0"', "hint(connector=none)", "cannot be compared element by element"),
        ('"0"', "metric(on=features)", "cannot be compared"),
        ('"2"', "attention", "maps with height and width are compared, and an end has none"),
        ('"2"', "overhaul(margin=batch)", "maps with height and width are compared"),
    ],
)
def test_shapes_that_do_not_fit_are_told_whatever_the_loss(tap: str, loss: str, why: str) -> None:
    with pytest.raises(EdgeError, match=why) as caught:
        stepped(f"b.{tap} -> a.stage1 : {loss}")
    assert caught.value.edge == (f"b.{tap}", "a.stage1")
