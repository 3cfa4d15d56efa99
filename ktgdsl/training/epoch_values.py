"""The metrics of an epoch as flat names and values, such as `edge_loss/b->a`, for loggers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ktgdsl.plan.model import Plan
from ktgdsl.training.events import EpochDone
from ktgdsl.training.metrics_file import name_among


def epoch_values(done: EpochDone) -> dict[str, float]:
    """The metrics of an epoch: fields of `metrics.jsonl`, each with a node, a head or an edge.

    Accuracies and metrics are in percent; `accuracy` is on the training samples.
    """
    metrics, split = done.metrics, done.split
    by_node = {
        "loss": metrics.loss,
        "accuracy": metrics.accuracy,
        f"{split}_accuracy": done.accuracy,
        "learning_rate": done.learning_rate,
    }
    return {
        **{f"{field}/{node}": v for field, values in by_node.items() for node, v in values.items()},
        **{
            f"{split}_{metric}/{node}": value
            for node, values in done.measured.items()
            for metric, value in values.items()
        },
        **{f"edge_loss/{_arrow(edge)}": each.loss for edge, each in metrics.edges.items()},
        **{f"open/{_arrow(edge)}": each.open for edge, each in metrics.edges.items()},
    }


def recorded_values(plan: Plan, lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of an epoch, from its lines in `metrics.jsonl`."""
    return {name: value for line in lines for name, value in _of_line(plan, line)}


def _of_line(plan: Plan, line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    node = line["node"]
    yield from _numbers(node, line)
    for head, fields in line.get("heads", {}).items():
        yield from _numbers(f"{node}.{head}", fields)
    keys = {name_among(edge): edge.key for edge in plan.graph.into(node)}
    for name, fields in line["edges"].items():
        yield f"edge_loss/{_arrow(keys[name])}", fields["loss"]
        yield f"open/{_arrow(keys[name])}", fields["open"]


def _numbers(answer: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for field, value in fields.items():
        if isinstance(value, int | float) and field not in ("repeat", "epoch"):
            yield f"{field}/{answer}", value


def _arrow(edge: tuple[str, str]) -> str:
    """An edge by its ends; a unary term by its destination."""
    source, destination = edge
    return f"{source}->{destination}" if source else destination
