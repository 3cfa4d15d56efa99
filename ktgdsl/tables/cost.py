"""What is left to do for the rows of a table, counted, and in hours where it was measured."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Self

from ktgdsl.plan.model import Plan
from ktgdsl.searching.estimate import estimate
from ktgdsl.tables.standing import Standing

FEW = 100_000
"""Points of a space up to which its graphs are counted, since there may be fewer than trials."""


@dataclass(frozen=True)
class Cost:
    """Trainings, epochs times nodes, and steps; `seconds` is None where nothing was measured.

    Of a search it is what its pruner leaves on average. A pre-training counts as if its
    weights were not kept from an earlier run.
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


class Paces:
    """Seconds a step, of what was trained: measured on equal networks, images and batches."""

    def __init__(self, done: Iterable[Standing]) -> None:
        self._found: dict[Hashable, tuple[float, int]] = {}
        for each in done:
            if each.run is None or each.result is None:
                continue
            seconds, steps = self._found.get(like(each.run.plan), (0.0, 0))
            now = each.result.seconds, cost_of_run(each.run.plan).steps
            self._found[like(each.run.plan)] = seconds + now[0], steps + now[1]

    def seconds(self, plan: Plan, steps: int) -> float | None:
        """What so many steps of a plan will take; None when nothing like it was measured."""
        if like(plan) not in self._found:
            return None
        seconds, measured = self._found[like(plan)]
        return steps * seconds / measured


def like(plan: Plan) -> Hashable:
    """Equal for plans whose steps take about the same time."""
    nodes = sorted((str(node.network), node.learns) for node in plan.graph.nodes)
    return plan.data.shape, plan.data.batch, plan.train.update, plan.train.precision, tuple(nodes)


def cost_of_run(plan: Plan) -> Cost:
    """All repeats of a plan, and of each the pre-training of its frozen nodes."""
    repeats, epochs = plan.train.repeats, plan.train.epochs
    before = sum(node.pretrained for node in plan.graph.nodes)
    learn = sum(node.learns for node in plan.graph.nodes)
    return Cost(
        runs=repeats * (1 + before),
        node_epochs=repeats * epochs * (learn + before),
        steps=repeats * plan.steps * (1 + before),
    )


def cost_of_search(plan: Plan) -> Cost:
    """A search, as far as its rule can be simulated."""
    assert plan.search is not None
    assert plan.space is not None
    points = prod(draw.choices or FEW for draw in plan.space.draws)
    distinct = None
    if points < FEW:
        from ktgdsl.space.size import size  # it takes its time

        distinct = size(plan).distinct
    expected = estimate(plan, distinct)
    alone = expected.pretrainings * expected.full
    together = round(expected.all_epochs) - alone
    held = plan.model_copy(update={"data": plan.data.model_copy(update={"holdout": True})})
    return Cost(
        runs=expected.trials + expected.pretrainings + expected.checks,
        node_epochs=together * len(plan.graph.nodes) + alone,
        steps=(together + alone) * held.data.steps_per_epoch,
    )


def left(standing: Standing, paces: Paces) -> dict[Hashable, Cost]:
    """What is left to do for a row, by task; of what was begun, all of it.

    Rows that need the same have the same key, so that the costs of many rows are the values
    of their union.
    """
    search, run = standing.search, standing.run
    if standing.error is not None or standing.result is not None:
        return {}
    if search is not None and search.state != "done":
        # The graph is not known yet; the space has its nodes and how long it is trained.
        trained = search.folder, standing.row.data
        return {search.folder: cost_of_search(search.plan), trained: cost_of_run(search.plan)}
    if run is None:
        return {}
    cost = cost_of_run(run.plan)
    return {run.folder: replace(cost, seconds=paces.seconds(run.plan, cost.steps))}


def total(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    return sum(costs, Cost())
