"""What an evaluation found: the counts of each node and seed, and scores of them. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Literal

from ktgdsl.measures.counts import Counts
from ktgdsl.plan.model import Plan
from ktgdsl.training.result import Score

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class NodeEvaluation:
    """The answers of a node's networks, one a seed."""

    runs: tuple[Counts, ...]

    @cached_property
    def counts(self) -> Counts:
        """Those of all seeds together."""
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
        classes: the names of the classes, or their numbers, in the order of the logits.
        seeds: of the networks.
        nodes: what was evaluated, by node, the first target first.
    """

    folder: Path
    plan: Plan
    data: str
    split: Split
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    nodes: Mapping[str, NodeEvaluation]

    @property
    def samples(self) -> int:
        """How many samples of the split have a label."""
        return next(iter(self.nodes.values())).runs[0].samples
