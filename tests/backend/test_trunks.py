"""Shared layers in training graphs: gradients as properties over generated shares and edges."""

import copy
import pickle
from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.networks import make
from ktgdsl.errors import RunError
from ktgdsl.vocabulary.networks import STAGES
from tests.specs import of

NAMES = "abcd"


def small(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return make("resnet", {"depth": 8, "width": 2}, 1, 10).double()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, list[str]]:
    """The edges between four nodes, and shares between them."""
    edges = draw(st.lists(st.sampled_from([*permutations(NAMES, 2)]), max_size=4, unique=True))
    lines = [f"edge {source} -> {to} : kl(T=2) via linear" for source, to in edges]
    stage = st.sampled_from(["stem", "stage1", "stage2.0.conv1"])
    taps = draw(st.lists(st.tuples(st.sampled_from(edges), stage), max_size=2)) if edges else []
    lines += [f'edge {a}."{tap}" -> {b}."{tap}" : similarity' for (a, b), tap in dict(taps).items()]
    grad = draw(st.sampled_from(["sum", "mean"]))
    sharers = st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True)
    depth = st.integers(1, len(STAGES))
    shares = [
        f"share {', '.join(names)} {{ layers = [{', '.join(STAGES[:end])}] grad = {grad} }}"
        for names, end in draw(st.lists(st.tuples(sharers, depth), min_size=1, max_size=3))
    ]
    return "\n".join(["edge label -> *", *lines]), shares


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.rand(4, 1, 8, 8, dtype=torch.float64), torch.tensor([1, 2, -1, 4])


def gradients(graph: TrainingGraph) -> dict[tuple[str, str], Tensor]:
    """The gradient of the sum of node losses in each parameter, by node and name."""
    image, label = batch()
    output = graph(image, label, 0.5)
    torch.autograd.backward([*output.losses.values()])
    return {
        (node, name): parameter.grad
        for node, network in graph.networks.items()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


@settings(max_examples=5, deadline=None)
@given(graphs())
def test_each_layer_gets_the_sum_or_the_mean_of_what_its_sharers_would_get(
    drawn: tuple[str, list[str]],
) -> None:
    """Against the same networks with equal weights and no share, whose gradients are added."""
    edges, shares = drawn
    nodes = "node a, b, c, d = resnet(8, width=2) { keep = true } target a\n"
    plan = of(nodes + edges + "\n".join(["", *shares]))
    shared = build(plan, networks={name: small(i) for i, name in enumerate(NAMES)})
    copies = {name: copy.deepcopy(network) for name, network in shared.networks.items()}
    alone = build(of(nodes + edges), networks=copies)
    found, apart = gradients(shared), gradients(alone)
    sharers = {
        (node, layer): (share.nodes, share.grad)
        for share in plan.graph.shares
        for node in share.nodes
        for layer in share.layers
    }
    for (node, name), gradient in found.items():
        names, grad = sharers.get((node, name.partition(".")[0]), ((node,), "sum"))
        added = sum((apart[each, name] for each in names), torch.zeros(()))
        want = added / len(names) if grad == "mean" else added
        torch.testing.assert_close(gradient, want, rtol=1e-9, atol=1e-12)


def test_the_printed_code_over_the_same_modules_is_bit_equal() -> None:
    plan = of(
        "node a, b, c = resnet(8, width=2) target a edge label -> *\n"
        "edge c.stage1 -> a.stage1 : fsp(with=stage2)\n"
        "edge * -> * share a, b { layers = [stem, stage1] grad = mean } "
        "share b, c { layers = [stem] grad = mean }"
    )
    graph = build(plan, networks={name: small(i) for i, name in enumerate("abc")})
    want = gradients(graph)
    graph.zero_grad()
    namespace: dict[str, Any] = {}
    exec(graph.code, namespace)
    image, label = batch()
    losses = namespace["forward"](graph, image, label, 0.5).losses
    torch.autograd.backward([*losses.values()])
    for node, network in graph.networks.items():
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, want[node, name])
    assert graph.code.count("scale_gradient(") > 2


def test_a_pickled_graph_still_shares() -> None:
    plan = of(
        "node a, b = resnet8 target a edge label -> * edge b -> a\n"
        "share a, b { layers = [stem, stage1] }"
    )
    graph = pickle.loads(pickle.dumps(build(plan)))
    stems = [network.get_submodule("stem") for network in graph.networks.values()]
    assert stems[0] is stems[1]
    assert stems[0] is graph.get_submodule("trunk_a_stage1.stem")


def test_a_network_of_ones_own_without_stages_cannot_share() -> None:
    plan = of(
        "node a, b = resnet8 target a edge label -> * edge b -> a share a, b { layers = [stem] }"
    )
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(RunError, match="network of node `b` has no stages"):
        build(plan, networks={"b": other})
