"""The remaining cost of a table: runs, steps, and seconds where steps were timed."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Self

from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import estimate
from ktgdsl.space.size import size
from ktgdsl.tables.status import RowStatus
from ktgdsl.training.result import RunResult

FEW_POINTS = 100_000
"""Smaller spaces have their graphs counted, since there may be fewer than trials."""


@dataclass(frozen=True)
class Cost:
    """Trainings, epochs times nodes, and steps; `seconds` is None where nothing was measured.

    Of a search it is what its pruner leaves on average. A pre-training counts as if its
    weights were not in the cache.
    """

    runs: int = 0
    node_epochs: int = 0
    steps: int = 0
    seconds: float | None = None

    def __add__(self, other: Self) -> "Cost":
        known = [each for each in (self.seconds, other.seconds) if each is not None]
        return Cost(
            self.runs + other.runs,
            self.node_epochs + other.node_epochs,
            self.steps + other.steps,
            sum(known) if known else None,
        )


class StepTimes:
    """Seconds a step as measured in the rows that are done, by `speed_class`."""

    def __init__(self, statuses: Iterable[RowStatus]) -> None:
        self._measured: dict[Hashable, tuple[float, int]] = {}
        for each in statuses:
            if each.run is None or each.result is None:
                continue
            key = speed_class(each.run.plan)
            seconds, steps = self._measured.get(key, (0.0, 0))
            more_steps = cost_of_run(each.run.plan).steps - _steps_left_out(
                each.run.plan, each.result
            )
            self._measured[key] = seconds + each.result.seconds, steps + more_steps

    def seconds(self, plan: Plan, steps: int) -> float | None:
        """The expected seconds of so many steps of a plan; None if no similar plan was timed."""
        if (measured := self._measured.get(speed_class(plan))) is None:
            return None
        return steps * measured[0] / measured[1]


def _steps_left_out(plan: Plan, result: RunResult) -> int:
    """The steps of trainings and pre-trainings that ended early."""
    epochs = sum(stop.planned - stop.epochs for stop in result.stopped)
    for node in result.nodes.values():
        stopped = (each.stopped for each in node.pretrained or ())
        epochs += sum(plan.pretraining_epochs - each for each in stopped if each is not None)
    return epochs * plan.data.steps_per_epoch


def speed_class(plan: Plan) -> Hashable:
    """Equal for plans whose steps take about the same time: equal networks, images and batches."""
    nodes = sorted(
        (str(node.network), node.learns and name == node.name)
        for name, node in plan.graph.networks.items()
    )
    return plan.data.shape, plan.data.batch, plan.train.update, plan.train.precision, tuple(nodes)


def cost_of_run(plan: Plan) -> Cost:
    """All repeats of a plan, and in each the pre-training of its frozen nodes.

    At most, where they may end early.
    """
    repeats, epochs = plan.train.repeats, plan.train.epochs
    pretrained = sum(node.pretrained for node in plan.graph.nodes)
    before = pretrained * plan.pretraining_epochs
    learning = epochs * sum(node.learns for node in plan.graph.nodes)
    if plan.phases:
        learning = sum(phase.epochs * len(phase.learn) for phase in plan.phases)
    return Cost(
        runs=repeats * (1 + pretrained),
        node_epochs=repeats * (learning + before),
        steps=repeats * (plan.steps + before * plan.data.steps_per_epoch),
    )


def cost_of_search(plan: Plan) -> Cost:
    """A search, as far as its pruner can be simulated."""
    assert plan.search is not None
    assert plan.space is not None
    points = prod(draw.choices or FEW_POINTS for draw in plan.space.draws)
    distinct = size(plan).distinct if points < FEW_POINTS else None  # counting takes its time
    expected = estimate(plan, distinct)
    pretraining_epochs = expected.pretrainings * expected.pretraining_epochs
    graph_epochs = round(expected.all_epochs) - pretraining_epochs
    held_out = plan.model_copy(update={"data": plan.data.model_copy(update={"holdout": True})})
    return Cost(
        runs=expected.trials + expected.pretrainings + expected.checks,
        node_epochs=graph_epochs * len(plan.graph.nodes) + pretraining_epochs,
        steps=(graph_epochs + pretraining_epochs) * held_out.data.steps_per_epoch,
    )


def cost_left(status: RowStatus, times: StepTimes) -> dict[Hashable, Cost]:
    """The remaining cost of a row, by task; a task that was begun counts in full.

    Rows that need the same have the same key, so that the costs of many rows are the values
    of their union.
    """
    search, run = status.search, status.run
    if status.error is not None or status.result is not None:
        return {}
    if search is not None and search.state != "done":
        # The graph is not known yet; the space has its nodes and how long it is trained.
        trained = search.folder, status.row.data
        return {search.folder: cost_of_search(search.plan), trained: cost_of_run(search.plan)}
    if run is None:
        return {}
    cost = cost_of_run(run.plan)
    return {run.folder: replace(cost, seconds=times.seconds(run.plan, cost.steps))}


def total(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    return sum(costs, Cost())
