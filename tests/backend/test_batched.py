"""Many edges at once are what they are one by one, with few operators."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend import batched
from ktgdsl.backend.batched import MANY, kl_means
from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.plan.model import Gate, Plan
from tests.plans import CORRECT, LINEAR, THROUGH, edge, tiny_plan
from tests.training.test_step import operators

GATES: dict[str, Gate] = {"through": THROUGH, "correct": CORRECT, "linear": LINEAR}


def test_it_is_kl_in_numpy() -> None:
    generator = np.random.default_rng(0)
    p, q = (generator.dirichlet(np.ones(4), size=n) for n in ((3, 5), 5))
    w = generator.random((3, 5))
    given = kl_means(
        [torch.from_numpy(np.log(each)) for each in p],
        torch.from_numpy(np.log(q)),
        2.0,
        [torch.from_numpy(each) for each in w],
    )
    wanted = (w * 2.0 * (p * np.log(p / q)).sum(2)).mean(1)
    np.testing.assert_allclose([each.item() for each in given], wanted, rtol=1e-12)


def test_a_class_without_probability_counts_nothing() -> None:
    s = torch.tensor([[0.0, -torch.inf]])
    t = torch.tensor([[np.log(0.5), np.log(0.5)]], requires_grad=True)
    (loss,) = kl_means([s], t, 1.0, None)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(np.log(2))
    assert t.grad is not None
    assert t.grad.tolist() == [[-1.0, 0.0]]


def everybody(nodes: int, gate: Gate = THROUGH) -> Plan:
    names = [f"n{i}" for i in range(nodes)]
    pairs = [edge(a, b, gate) for a in names for b in names if a != b]
    return tiny_plan(names, [*(edge("label", n) for n in names), *pairs], targets=names)


def linear(plan: Plan) -> TrainingGraph:
    """The graph over linear networks in float64, always the same."""
    torch.manual_seed(0)
    networks: Mapping[str, nn.Module] = {
        node.name: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
        for node in plan.graph.nodes
    }
    return build(plan, networks)


def batch() -> tuple[Tensor, Tensor, float]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(6, 1, 8, 8, generator=generator, dtype=torch.float64)
    return image, torch.randint(10, (6,), generator=generator), 0.25


@pytest.mark.parametrize("gate", GATES)
def test_the_graph_computes_the_same(gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = everybody(MANY + 1, GATES[gate])
    fast = linear(plan)
    assert ("kl_means" in fast.code) is (gate != "linear")
    monkeypatch.setattr(batched, "MANY", 10**6)
    plain = linear(plan)
    assert "kl_means" not in plain.code
    outputs = [graph(*batch()) for graph in (fast, plain)]
    for output in outputs:
        torch.autograd.backward(list(output.losses.values()))
    for key, loss in outputs[1].edges.items():
        assert outputs[0].edges[key].item() == pytest.approx(loss.item(), rel=1e-12)
    assert outputs[0].edges.keys() == outputs[1].edges.keys()
    for one, other in zip(fast.parameters(), plain.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        np.testing.assert_allclose(one.grad, other.grad, rtol=1e-9, atol=1e-12)


def test_an_edge_with_a_scale_is_computed_too() -> None:
    plan = everybody(MANY + 1, THROUGH)
    edges = tuple(e.model_copy(update={"scale": 0.5}) for e in plan.graph.edges)
    halved = plan.model_copy(update={"graph": plan.graph.model_copy(update={"edges": edges})})
    whole, half = (linear(each)(*batch()) for each in (plan, halved))
    assert "kl_means" in linear(halved).code
    for node, loss in whole.losses.items():
        assert half.losses[node].item() == pytest.approx(loss.item() / 2, rel=1e-12)


def test_an_edge_more_costs_few_operators() -> None:
    def count(nodes: int) -> int:
        graph = linear(everybody(nodes, THROUGH))

        def step() -> None:
            torch.autograd.backward(list(graph(*batch()).losses.values()))

        return sum(operators(step).values())

    edges = {nodes: nodes * (nodes - 1) for nodes in (MANY + 1, 2 * MANY)}
    few, many = (count(nodes) for nodes in edges)
    alone = count(1)
    added = many - few - alone * (MANY - 1)
    assert added / (edges[2 * MANY] - edges[MANY + 1]) < 5, (few, many, alone)
