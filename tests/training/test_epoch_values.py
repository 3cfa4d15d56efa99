"""The names of what an epoch reached: the same whether it is heard or read."""

import pytest

import ktgdsl
from ktgdsl.training.epoch_values import epoch_values, recorded_values
from ktgdsl.training.events import EdgeMetrics, EpochDone, EpochMetrics
from ktgdsl.training.metrics_file import metric_lines

SPEC = """
graph g {
    node a, b = resnet8
    node p[1] = resnet8 { frozen = true }
    target a
    edge label -> a, b
    edge b, p -> a
    edge b.stage1 -> a.stage1 : attention
    edge a : 0.1 * entropy
}
train { metrics = [f1] }
"""


def test_each_number_is_named_by_node_or_edge() -> None:
    plan = ktgdsl.loads(SPEC)
    edges = {edge.key: EdgeMetrics(i, i / 10) for i, edge in enumerate(plan.graph.edges)}
    done = EpochDone(
        3,
        EpochMetrics(5, {"a": 1.5, "b": 2.5}, {"a": 10.0, "b": 20.0, "p[0]": 30.0}, edges),
        "validation",
        {"a": 11.0, "b": 21.0, "p[0]": 31.0},
        {"a": 0.1, "b": 0.2},
        measured={"a": {"f1": 12.0}, "b": {"f1": 22.0}, "p[0]": {"f1": 32.0}},
    )
    values = epoch_values(done)
    assert values["loss/a"] == 1.5
    assert values["accuracy/p[0]"] == 30.0
    assert values["validation_accuracy/b"] == 21.0
    assert values["validation_f1/p[0]"] == 32.0
    assert values["learning_rate/b"] == 0.2
    named = {name: value for name, value in values.items() if name.startswith("edge_loss/")}
    assert set(named) == {
        "edge_loss/label->a",
        "edge_loss/label->b",
        "edge_loss/b->a",
        "edge_loss/p[0]->a",
        "edge_loss/b.stage1->a.stage1",
        "edge_loss/a",
    }
    for name, loss in named.items():
        assert values[name.replace("edge_loss/", "open/")] == pytest.approx(loss / 10)
    assert "loss/p[0]" not in values  # it does not learn
    assert recorded_values(plan, metric_lines(plan, 1, done)) == values


def test_heads_are_named_after_their_nodes() -> None:
    plan = ktgdsl.loads(
        """graph g {
            node a = python("nets:two_heads") { heads = [colour, shape] }
            target a
            edge label.colour -> a.colour
            edge label.shape -> a.shape
        }
        data python("data:images")"""
    )
    both = {"a": 15.0, "a.colour": 10.0, "a.shape": 20.0}
    edges = {edge.key: EdgeMetrics(1.0, 1.0) for edge in plan.graph.edges}
    done = EpochDone(1, EpochMetrics(1, {"a": 1.0}, both, edges), "test", both, {"a": 0.1})
    values = epoch_values(done)
    assert values["test_accuracy/a.shape"] == 20.0
    assert recorded_values(plan, metric_lines(plan, 1, done)) == values
