"""The heads of nodes: which label each output of a node answers, where samples have several."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from ktgdsl.plan.data import DataPlan
from ktgdsl.plan.graph import LOGITS, Graph

_T = TypeVar("_T")


def label_columns(graph: Graph, data: DataPlan) -> dict[str, int]:
    """The column of the label of each answer, by the answer's name; {} where samples have one."""
    found = (each for own in answers_of(graph).values() for each in own)
    return {each.name: data.column(each.head) for each in found if each.head is not None}


def answer_names(nodes: Iterable[str], columns: Mapping[str, int]) -> list[str]:
    """The names of the answers of nodes; `columns` are those of all answers (`label_columns`)."""
    found: list[str] = []
    for node in nodes:
        found += [name for name in columns if name.partition(".")[0] == node] or [node]
    return found


def with_means(accuracy: Mapping[str, float]) -> dict[str, float]:
    """The accuracies of all answers, preceded by the mean for each node with several heads."""
    heads: dict[str, list[float]] = {}
    for name, value in accuracy.items():
        heads.setdefault(name.partition(".")[0], []).append(value)
    found: dict[str, float] = {}
    for name, value in accuracy.items():
        node = name.partition(".")[0]
        found.setdefault(node, math.fsum(heads[node]) / len(heads[node]))
        found[name] = value
    return found


def by_head(values: Mapping[str, _T], node: str) -> dict[str, _T]:
    """The values of a node with several heads by head; {} for others. `values` are by answer."""
    start = f"{node}."
    return {
        name.removeprefix(start): each for name, each in values.items() if name.startswith(start)
    }


def with_labels(data: DataPlan, graph: Graph) -> DataPlan:
    """The data with the labels that the nodes of a graph answer."""
    labels = dict.fromkeys(head for node in graph.nodes for head in node.heads)
    return data.model_copy(update={"labels": tuple(labels)}) if labels else data


ClassNames = tuple[str, ...] | Mapping[str, tuple[str, ...]]
"""The names of the classes in the order of their numbers, by label where samples have several."""


class Answer(NamedTuple):
    """Logits of a node: at `tap`, in answer to the label `head`, None where samples have one."""

    node: str
    tap: str = LOGITS
    head: str | None = None

    @property
    def name(self) -> str:
        """Its name among the logits and accuracies of all nodes: the node, or `a.colour`."""
        return self.node if self.tap == LOGITS else f"{self.node}.{self.tap}"


def heads_of(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The heads of each node that has some, of a follower or an ensemble those of its sources."""
    found = {node.name: node.heads for node in graph.nodes if node.heads}
    waiting = [each for each in graph.derived if each.sources]
    for _ in graph.derived if found else ():
        found |= {d.name: found[d.sources[0]] for d in waiting if d.sources[0] in found}
    return found


def answers_of(graph: Graph) -> dict[str, tuple[Answer, ...]]:
    """The answers of each node that is evaluated; that of a single head is the node's logits."""
    heads = heads_of(graph)
    return {node.name: answers(node.name, heads.get(node.name, ())) for node in graph.evaluated}


def classes_answered(graph: Graph, data: DataPlan, node: str) -> int:
    """The number of classes that a node tells apart, by its first head where it has several."""
    return data.classes_of(next(iter(heads_of(graph).get(node, ())), None))


def answers(node: str, heads: tuple[str, ...]) -> tuple[Answer, ...]:
    """The answers of a node with these heads."""
    match heads:
        case ():
            return (Answer(node),)
        case (head,):
            return (Answer(node, LOGITS, head),)
    return tuple(Answer(node, head, head) for head in heads)
