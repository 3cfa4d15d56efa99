"""The result of an evaluation: counts of each node and seed, and scores of them. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from operator import add
from pathlib import Path
from statistics import fmean
from typing import Literal

from ktgdsl.measures.classification import top
from ktgdsl.measures.counts import Counts
from ktgdsl.plan.heads import ClassNames
from ktgdsl.plan.model import Plan
from ktgdsl.training.result import Score

_top1 = partial(top, k=1)

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class NodeEvaluation:
    """The answers of a node's networks, or of one of their heads, one a seed.

    `head` is the label that is answered, None where samples have one.
    """

    runs: tuple[Counts, ...]
    head: str | None = None

    @cached_property
    def counts(self) -> Counts:
        """The counts of all seeds together."""
        return reduce(add, self.runs)

    def score(self, measure: Callable[[Counts], float]) -> Score:
        """A measure of `ktgdsl.measures.classification`, in percent, over the seeds."""
        return Score.of([measure(each) for each in self.runs])


@dataclass(frozen=True)
class Evaluation:
    """The networks of a run on a split of some data.

    Attributes:
        folder: of the run.
        plan: of the run.
        data: the data set, as a spec names it.
        split: of the data.
        classes: the names of the classes, or their numbers, in the order of the logits; by label
            where samples have several.
        seeds: of the networks.
        nodes: what was evaluated, by node, the first target first; of a node with several heads
            each, by `a.colour`.
    """

    folder: Path
    plan: Plan
    data: str
    split: Split
    classes: ClassNames
    seeds: tuple[int, ...]
    nodes: Mapping[str, NodeEvaluation]

    def __repr__(self) -> str:
        scores = [f"{name} {self.score(name, _top1)}" for name in self.by_node]
        return f"<Evaluation {', '.join(scores)}; {self.split} split of {self.data}; {self.folder}>"

    @property
    def samples(self) -> int:
        """How many samples of the split have a label, or pixels; of several labels the first."""
        return next(iter(self.nodes.values())).runs[0].samples

    @property
    def by_node(self) -> dict[str, dict[str, NodeEvaluation]]:
        """The same by node: its answers by their names, several where it has several heads."""
        found: dict[str, dict[str, NodeEvaluation]] = {}
        for name, each in self.nodes.items():
            found.setdefault(name.partition(".")[0], {})[name] = each
        return found

    def score(self, node: str, measure: Callable[[Counts], float]) -> Score:
        """A measure of a node over the seeds, of several heads the mean."""
        heads = [each.score(measure).runs for each in self.by_node[node].values()]
        return Score.of([fmean(values) for values in zip(*heads, strict=True)])

    def classes_of(self, answer: NodeEvaluation) -> tuple[str, ...]:
        """The classes that are told apart in an answer."""
        if isinstance(self.classes, tuple):
            return self.classes
        assert answer.head is not None
        return self.classes[answer.head]
