"""Points of a space: drawn by an Optuna sampler, each distinct graph once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import Draw, Plan, SearchPlan
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point

GUIDED = 64
"""How often a sampler that learns is asked for a graph that is new, before chance is."""

BLIND = 20_000
"""How many draws in a row without a new graph say that a large space has no more."""

SMALL = 5_000
"""Points of a space that can be gone through one by one when chance finds nothing new."""

Params = dict[str, Any]
"""What was drawn, by the names of the draws, as Optuna stores it."""


@dataclass(frozen=True)
class Picked:
    """A valid point: its parameters, and the plan of a trial there."""

    params: Params
    plan: Plan


def labels(draw: Draw) -> tuple[str, ...]:
    """The options of a draw, told apart where two are written alike."""
    found: list[str] = []
    for option in draw.options:
        again = sum(each == option or each.startswith(f"{option} (") for each in found)
        found.append(f"{option} ({again + 1})" if again else option)
    return tuple(found)


def distribution(draw: Draw) -> BaseDistribution:
    """What Optuna draws from."""
    if draw.options:
        return CategoricalDistribution(labels(draw))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return IntDistribution(draw.low, draw.high, log=draw.log)
    assert draw.low is not None
    assert draw.high is not None
    return FloatDistribution(draw.low, draw.high, log=draw.log)


def point(draws: tuple[Draw, ...], params: Mapping[str, Any]) -> Point:
    """The point that parameters stand for."""
    return {
        draw.name: labels(draw).index(params[draw.name]) if draw.options else params[draw.name]
        for draw in draws
    }


def trial_plan(plan: Plan, params: Mapping[str, Any]) -> Plan | None:
    """The plan of a trial: the graph at a point, trained for a trial's length.

    None where the point is invalid. A validation split is held out, as it judges the trial.
    """
    assert plan.space is not None
    found = plan_at(plan, point(plan.space.draws, params))
    return None if found is None else for_trial(found)


def for_trial(plan: Plan) -> Plan:
    """A plan without open values as a search trains it."""
    assert plan.search is not None
    train = plan.train.model_copy(update={"epochs": plan.search.epochs, "repeats": 1})
    data = plan.data.model_copy(update={"holdout": True})
    return plan.model_copy(update={"train": train, "data": data})


class Picker:
    """Picks points that are valid and, unless `dedupe` is off, new: no graph is picked twice.

    A fresh sampler is made for each attempt, seeded by the study, the trial's number and the
    attempt, so that the same trials follow whether a search was interrupted or not.
    `distinct` is how many distinct graphs there are, where that is known.
    """

    def __init__(self, plan: Plan, distinct: int | None = None) -> None:
        assert plan.space is not None
        assert plan.search is not None
        self.plan = plan
        self.search: SearchPlan = plan.search
        self.draws = plan.space.draws
        self.distributions = {draw.name: distribution(draw) for draw in self.draws}
        self.seen: set[str] = set()
        self._distinct = distinct
        self._asked: set[tuple[Any, ...]] = set()
        self._known: dict[tuple[Any, ...], str | None] = {}
        self._all: Iterator[Params] | None = None

    def remember(self, params: Params, graph: str) -> None:
        """Take a trial into account that was picked before."""
        self.seen.add(graph)
        self._asked.add(tuple(params[draw.name] for draw in self.draws))

    def pick(self, study: optuna.Study, number: int) -> Picked | None:
        """The point of trial `number`; None when no graph is left."""
        if self._distinct is not None and self.search.dedupe and len(self.seen) >= self._distinct:
            return None
        in_order = self.search.sampler.name == "all"
        for params in self._in_order() if in_order else self._drawn(study, number):
            if (picked := self._new(params)) is not None:
                return picked
        return None

    def _new(self, params: Params) -> Picked | None:
        key = tuple(params.values())
        if self.search.sampler.name == "all" and key in self._asked:
            return None
        if self.search.dedupe and key in self._known:
            graph = self._known[key]
            if graph is None or graph in self.seen:
                return None
        plan = trial_plan(self.plan, params)
        graph = None if plan is None else plan.canonical_digest
        self._known[key] = graph
        if plan is None or graph is None or (self.search.dedupe and graph in self.seen):
            return None
        self.seen.add(graph)
        return Picked(params, plan)

    def _drawn(self, study: optuna.Study, number: int) -> Iterator[Params]:
        guided = GUIDED if self.search.sampler.name == "tpe" else 0
        for attempt in range(guided + BLIND):
            yield self._draw(study, number, attempt, guided=attempt < guided)
            if attempt == guided + SMALL // 5 and self._size() <= SMALL:
                break
        if self._size() <= SMALL:
            yield from self._every()

    def _draw(self, study: optuna.Study, number: int, attempt: int, *, guided: bool) -> Params:
        seed = self.search.sampler.arguments.get("seed", 0)
        assert isinstance(seed, int)
        own = derive(seed, "ask", number, attempt) % 2**32
        asking = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        sampler: BaseSampler = RandomSampler(seed=own)
        together: Params = {}
        if guided:
            # All values at once, as one look at the trials takes longer the more there are.
            # Trials under way have no say: that no graph comes twice is seen to here.
            sampler = TPESampler(seed=own, multivariate=True, constant_liar=False)
            together = sampler.sample_relative(study, asking, self.distributions)
        return {
            name: together[name]
            if name in together
            else sampler.sample_independent(study, asking, name, each)
            for name, each in self.distributions.items()
        }

    def _size(self) -> float:
        size = 1.0
        for draw in self.draws:
            size *= draw.choices or float("inf")
        return size

    def _every(self) -> Iterator[Params]:
        """All points in order; the last draw changes fastest."""
        values = [
            labels(draw) if draw.options else range(int(draw.low or 0), int(draw.high or 0) + 1)
            for draw in self.draws
        ]
        names = [draw.name for draw in self.draws]
        for chosen in product(*values):
            yield dict(zip(names, chosen, strict=True))

    def _in_order(self) -> Iterator[Params]:
        """All points, going on after the last that was picked."""
        if self._all is None:
            self._all = self._every()
        return self._all
