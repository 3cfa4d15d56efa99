"""The sampler of a search: one of Optuna's, asked again until its point is valid and new."""

from collections.abc import Iterator, Sequence
from copy import copy
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
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.model import Draw, Plan, SearchPlan
from ktgdsl.searching.trial_plans import labels, trial_plan

GUIDED = 64
"""Attempts of a learning sampler to propose a new graph, before random points are tried."""

BLIND = 20_000
"""Random draws without a new graph after which a large space counts as exhausted."""

SMALL = 5_000
"""The largest space that is enumerated when random draws find nothing new."""

Params = dict[str, Any]
"""The values of the draws by their names, as Optuna stores them."""


class ExhaustedError(Exception):
    """The space has no further graph, or the sampler no further point."""


@dataclass(frozen=True)
class Sample:
    """A valid point: its parameters, and the plan of a trial there."""

    params: Params
    plan: Plan


def distribution(draw: Draw) -> BaseDistribution:
    """The distribution that Optuna draws from."""
    if draw.options:
        return CategoricalDistribution(labels(draw))
    if isinstance(draw.low, int) and isinstance(draw.high, int):
        return IntDistribution(draw.low, draw.high, log=draw.log)
    assert draw.low is not None
    assert draw.high is not None
    return FloatDistribution(draw.low, draw.high, log=draw.log)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


class DistinctSampler(BaseSampler):
    """Draws whole points that are valid and, unless `dedupe` is off, of a graph that is new.

    Another sampler proposes points; one that is invalid or known is proposed again, up to a
    limit, after which random points are tried, and then, in a small space, all of them.

    Of the space's own samplers, a fresh one makes each proposal, seeded by the study, the
    trial's number and the attempt, so that the same trials follow whether a search was
    interrupted or not.

    Args:
        plan: the space.
        proposing: the sampler that proposes; by default the one that the space asks for.
        distinct: how many distinct graphs there are, where that is known.
    """

    def __init__(
        self, plan: Plan, proposing: BaseSampler | None = None, distinct: int | None = None
    ) -> None:
        assert plan.space is not None
        assert plan.search is not None
        self.plan = plan
        self.search: SearchPlan = plan.search
        self.draws = plan.space.draws
        self.distributions = {draw.name: distribution(draw) for draw in self.draws}
        self.sample: Sample | None = None
        self._proposing = proposing
        self._in_order = proposing is None and self.search.sampler.name == "all"
        self._distinct = distinct
        self._seen: set[str] = set()  # graphs
        self._asked: set[tuple[Any, ...]] = set()  # points
        self._known: dict[tuple[Any, ...], str | None] = {}  # graphs of points, None if invalid
        self._points: Iterator[Params] = self._every_point()

    def remember(self, params: Params, graph: str) -> None:
        """Add a trial of the study to the points and graphs that are known."""
        self._seen.add(graph)
        self._asked.add(tuple(params[draw.name] for draw in self.draws))

    @property
    def exhausted(self) -> bool:
        """Whether it is known that no graph is left."""
        known = self._distinct is not None and self.search.dedupe
        return known and len(self._seen) >= (self._distinct or 0)

    @property
    def needs_trial(self) -> bool:
        """Whether a trial has to be there before its point: some samplers note facts with it."""
        return self._proposing is not None or self.search.sampler.name not in ("random", "all")

    def complete(self, study: optuna.Study, number: int, fixed: Params) -> Sample:
        """The sample of a trial some of whose values are `fixed`; the others are random.

        Raises ValueError for values that are not in the space, and ExhaustedError if there is no
        such graph, or none that is new.
        """
        for name, value in fixed.items():
            each = self.distributions.get(name)
            if each is None or not _contains(each, value):
                raise ValueError(f"{name} = {value} is not in the space")
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        is_whole = fixed.keys() == self.distributions.keys()
        for params in [fixed] if is_whole else self._random_points(study, trial, 0):
            values = {**params, **fixed}
            if sample := self._new({name: values[name] for name in self.distributions}):
                return sample
        raise ExhaustedError

    def propose(self, study: optuna.Study, number: int) -> Sample:
        """The sample of a trial that is not there yet. Raises ExhaustedError if none is left."""
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        self.sample_relative(study, trial, self.distributions)
        assert self.sample is not None
        return self.sample

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All draws, as points are drawn whole."""
        return self.distributions

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> Params:
        """A new point, kept in `sample` with its plan. Raises ExhaustedError if none is left."""
        if not self.exhausted:
            # `all` continues after the last point that it proposed.
            for params in self._points if self._in_order else self._proposals(study, trial):
                self.sample = self._new(params)
                if self.sample is not None:
                    return params
        raise ExhaustedError

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """There is no parameter beside the draws."""
        raise ValueError(f"the space has no draw {param_name!r}")

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler that proposes learn of a trial's end."""
        if self._proposing is not None:
            self._proposing.after_trial(study, trial, state, values)

    def _new(self, params: Params) -> Sample | None:
        """The sample at a point, None where it is invalid or known."""
        key = tuple(params.values())
        if self._in_order and key in self._asked:
            return None
        if self.search.dedupe and key in self._known:
            graph = self._known[key]
            if graph is None or graph in self._seen:
                return None
        plan = trial_plan(self.plan, params)
        self._known[key] = graph = None if plan is None else plan.canonical_digest
        if plan is None or (self.search.dedupe and graph in self._seen):
            return None
        return Sample(params, plan)

    def _proposals(self, study: optuna.Study, trial: FrozenTrial) -> Iterator[Params]:
        learns = self._proposing or self.search.sampler.name in ("tpe", "nsga2")
        guided = GUIDED if learns else 0
        for attempt in range(guided):
            yield self._guided(study, trial, attempt)
        yield from self._random_points(study, trial, guided)

    def _random_points(
        self, study: optuna.Study, trial: FrozenTrial, start: int
    ) -> Iterator[Params]:
        """Points at random from the attempt `start` on; of a small space then every point."""
        for attempt in range(start, start + BLIND):
            sampler = RandomSampler(seed=self._seed(trial, attempt))
            yield self._draw(sampler, {}, study, trial)
            if attempt == start + SMALL // 5 and self._size() <= SMALL:
                break
        if self._size() <= SMALL:
            yield from self._every_point()

    def _guided(self, study: optuna.Study, trial: FrozenTrial, attempt: int) -> Params:
        """A point from the sampler that learns."""
        if self._proposing is None and self.search.sampler.name == "nsga2":
            return self._bred(study, trial, attempt)
        if self._proposing is None:
            # All values at once, as one look at the trials takes longer the more there are.
            # Trials under way have no say: that no graph comes twice is seen to here.
            sampler = TPESampler(
                seed=self._seed(trial, attempt), multivariate=True, constant_liar=False
            )
            return self._draw(sampler, self.distributions, study, trial)
        self._proposing.before_trial(study, trial)
        trial = study._storage.get_trial(trial._trial_id)  # which may have had attributes set
        space = self._proposing.infer_relative_search_space(study, trial)
        return self._draw(self._proposing, space, study, trial)

    def _bred(self, study: optuna.Study, trial: FrozenTrial, attempt: int) -> Params:
        """A point of NSGA-II's: at random in the first generation, then from two parents."""
        population = self.search.sampler.arguments["population"]
        assert isinstance(population, int)
        sampler = NSGAIISampler(population_size=population, seed=self._seed(trial, attempt))
        # The first attempt has noted the generation with the trial, which then stays.
        trial = study._storage.get_trial(trial._trial_id)
        space = {name: each for name, each in self.distributions.items() if not each.single()}
        return self._draw(sampler, space, study, trial)

    def _draw(
        self,
        sampler: BaseSampler,
        space: dict[str, BaseDistribution],
        study: optuna.Study,
        trial: FrozenTrial,
    ) -> Params:
        """A point from a sampler, as `study.ask` has it: values of `space` together, then others.

        The others are drawn in order, and the sampler sees those before in the trial.
        """
        together = sampler.sample_relative(study, trial, space) if space else {}
        trial = copy(trial)
        trial.params, trial.distributions = params, distributions = {}, {}
        for name, each in self.distributions.items():
            if name in together:
                params[name] = together[name]
            else:
                params[name] = sampler.sample_independent(study, trial, name, each)
            distributions[name] = each
        return params

    def _seed(self, trial: FrozenTrial, attempt: int) -> int:
        seed = self.search.sampler.arguments.get("seed", 0)
        assert isinstance(seed, int)
        return derive(seed, "ask", trial.number, attempt) % 2**32

    def _size(self) -> float:
        size = 1.0
        for draw in self.draws:
            size *= draw.choices or float("inf")
        return size

    def _every_point(self) -> Iterator[Params]:
        """All points in order; the last draw changes fastest."""
        values = [
            labels(draw) if draw.options else range(int(draw.low or 0), int(draw.high or 0) + 1)
            for draw in self.draws
        ]
        names = [draw.name for draw in self.draws]
        for chosen in product(*values):
            yield dict(zip(names, chosen, strict=True))
