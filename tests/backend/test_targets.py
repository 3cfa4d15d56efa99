"""Losses into a node at once are what they are one by one, with few operators."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.backend.functions import LOSSES, TARGETS
from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.targets import Target, target_losses
from ktgdsl.plan.model import Plan
from ktgdsl.training.deterministic import deterministically
from ktgdsl.vocabulary.reads import SourceKind
from tests.training.test_step import operators

B, C = 6, 10


def test_it_is_kl_in_numpy() -> None:
    generator = np.random.default_rng(0)
    p, q = (generator.dirichlet(np.ones(4), size=n) for n in ((3, 5), 5))
    found = [Target(torch.from_numpy(each), torch.from_numpy(np.log(each))) for each in p]
    losses = target_losses(torch.from_numpy(np.log(q)), *found)
    np.testing.assert_allclose(losses, (p * np.log(p / q)).sum((1, 2)), rtol=1e-12)


def test_a_class_without_probability_counts_nothing() -> None:
    s = torch.tensor([[0.0, -torch.inf]])
    t = torch.tensor([[np.log(0.5), np.log(0.5)]], requires_grad=True)
    loss = target_losses(t, TARGETS["kl", "node"](s, t, 1.0))
    torch.autograd.backward(loss.sum())
    assert loss.item() == pytest.approx(np.log(2))
    assert t.grad is not None
    assert t.grad.tolist() == [[-1.0, 0.0]]


def log_p(seed: int, *pixels: int) -> Tensor:
    z = torch.randn(
        B, C, *pixels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return z.log_softmax(1)


@pytest.mark.parametrize("pixels", [(), (3, 2)])
@pytest.mark.parametrize(("word", "source"), TARGETS)
def test_a_target_is_that_of_its_loss(
    word: str, source: SourceKind, pixels: tuple[int, ...]
) -> None:
    t = log_p(1, *pixels).requires_grad_()
    label = torch.randint(-1, C, (B, *pixels), generator=torch.Generator().manual_seed(2))
    first = [log_p(0, *pixels), t] if source == "node" else [t, label]
    for number in (0.0, 1.0, 0.25):  # a smoothing, or a scale
        inputs = [*first, number]
        results = []
        for loss in (
            LOSSES[word, source](*inputs).sum(),
            target_losses(t, TARGETS[word, source](*inputs)).sum(),
        ):
            (slope,) = torch.autograd.grad(loss, t)
            results.append((loss, slope))
        torch.testing.assert_close(*results, rtol=1e-12, atol=1e-14)


def plan(edges: str, nodes: int = 3, settings: str = "") -> Plan:
    names = ", ".join("abcdefghijklmnop"[:nodes])
    loaded: Plan = ktgdsl.loads(
        f"graph g {{ node {names} = resnet8 target * {edges} }} data digits {{ augment = none }} "
        f"train {{ {settings} }}"
    )
    return loaded


def linear(plan: Plan, *, together: bool = True) -> TrainingGraph:
    """The graph over linear networks in float64, always the same."""
    torch.manual_seed(0)
    networks: Mapping[str, nn.Module] = {
        node.name: nn.Sequential(nn.Flatten(), nn.Linear(64, C)).double()
        for node in plan.graph.nodes
    }
    with deterministically(not together):
        return build(plan, networks)


def batch(unlabeled: int = 2) -> tuple[Tensor, Tensor, float]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(B, 1, 8, 8, generator=generator, dtype=torch.float64)
    label = torch.randint(C, (B,), generator=generator)
    label[:unlabeled] = -1
    return image, label, 0.25


@pytest.mark.parametrize("unlabeled", [0, 2, B])
@pytest.mark.parametrize(
    "edges",
    [
        "edge label -> * edge * -> * : kl",
        "edge label -> * : ce(smoothing=0.1) edge * -> * : 0.5 * kl via correct",
        "edge label -> * : ce via linear(1, 0) edge * -> * : kl via 0.3 * linear * correct",
        "edge label -> * edge a -> b : kl(T=4) edge c -> b : kl(T=4) edge b -> a : mse",
        "edge label -> * : kl(T=linear(1, 4)) edge * -> * : kl(T=linear(1, 4))",
        "edge label -> * edge a -> b : kl - 0.5 * mse edge c -> b : kl edge b -> a : kl, js",
    ],
)  # fmt: skip
def test_the_graph_computes_the_same(edges: str, unlabeled: int) -> None:
    graphs = [linear(plan(edges), together=together) for together in (True, False)]
    assert ["target_losses" in graph.code for graph in graphs] == [True, False]
    outputs = [graph(*batch(unlabeled)) for graph in graphs]
    for output in outputs:
        torch.autograd.backward([*output.losses.values()])
    found, want = (output._asdict() for output in outputs)
    torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-14)
    slopes = [[each.grad for each in graph.parameters()] for graph in graphs]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduce", ["active", "sum"])
def test_other_reductions_are_computed_edge_by_edge(reduce: str) -> None:
    edges = "edge label -> * edge * -> * : kl via correct"
    code = linear(plan(edges, settings=f"reduce = {reduce}")).code
    assert code.count("reduce_active") > 6 or code.count("reduce_sum") > 6


def test_the_aggregate_of_a_node_scales_its_targets() -> None:
    edges = "edge label -> * edge * -> * : kl"
    whole, halves = (
        linear(plan(edges, settings=f"aggregate = {how}"))(*batch()) for how in ("sum", "mean")
    )
    for key, edge in whole.edges.items():
        factor = 1 if key[0] == "label" else 2
        assert halves.edges[key].item() == pytest.approx(edge.item() / factor, rel=1e-12)


def test_an_edge_more_costs_few_operators() -> None:
    def count(nodes: int) -> int:
        graph = linear(plan("edge label -> * edge * -> * : kl", nodes))

        def step() -> None:
            torch.autograd.backward([*graph(*batch()).losses.values()])

        return sum(operators(step).values())

    few, many = count(4), count(8)
    assert many - few < 4 * 40, (few, many)


def test_nodes_share_targets() -> None:
    code = linear(plan("edge label -> * edge * -> * : kl", 4)).code
    assert code.count("= kl_target(") == 4
    assert code.count("= ce_target(") == 1
