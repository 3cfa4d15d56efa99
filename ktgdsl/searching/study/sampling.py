"""The sampler of a search: wraps an Optuna sampler, and resamples invalid and repeated points."""

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
from ktgdsl.searching.study.trial_plans import labels, trial_plan

GUIDED_ATTEMPTS = 64
"""The attempts of a model-based sampler to find a new graph, before random points are tried."""

RANDOM_ATTEMPTS = 20_000
"""The random points without a new graph after which a large space counts as exhausted."""

MAX_ENUMERATED = 5_000
"""The most points of a space that is enumerated if random points find no new graph."""

Params = dict[str, Any]
"""The values of the draws by their names, as Optuna stores them."""


class ExhaustedError(Exception):
    """The space has no new graph left, or the sampler no new point."""


@dataclass(frozen=True)
class Sample:
    """A valid point: its Optuna parameters, and the plan of its trial."""

    params: Params
    plan: Plan


def distribution(draw: Draw) -> BaseDistribution:
    """The Optuna distribution of a draw."""
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
    """Samples complete points that are valid and, unless `dedupe` is off, give a new graph.

    A base sampler proposes points. After GUIDED_ATTEMPTS invalid or repeated ones random points
    are tried, and then, in a small space, all points.

    The space's own samplers are constructed anew for each attempt, seeded by the study's seed, the
    trial's number and the attempt. So a resumed search samples the same trials.

    Args:
        plan: the space.
        base_sampler: proposes points; by default the sampler that the space names.
        distinct: the number of distinct graphs in the space, None if unknown.
    """

    def __init__(
        self, plan: Plan, base_sampler: BaseSampler | None = None, distinct: int | None = None
    ) -> None:
        assert plan.space is not None
        assert plan.search is not None
        self.plan = plan
        self.search: SearchPlan = plan.search
        self.draws = plan.space.draws
        self.distributions = {draw.name: distribution(draw) for draw in self.draws}
        self.sample: Sample | None = None
        self._base_sampler = base_sampler
        self._in_order = base_sampler is None and self.search.sampler.name == "all"
        self._distinct = distinct
        self._seen_graphs: set[str] = set()  # digests
        self._seen_points: set[tuple[Any, ...]] = set()
        self._graph_at: dict[tuple[Any, ...], str | None] = {}  # digests, None at invalid points
        self._points: Iterator[Params] = self._all_points()

    def remember(self, params: Params, graph: str) -> None:
        """Add a trial's point and graph digest to those seen."""
        self._seen_graphs.add(graph)
        self._seen_points.add(tuple(params[draw.name] for draw in self.draws))

    @property
    def exhausted(self) -> bool:
        """Whether all distinct graphs are seen; False if their number is unknown."""
        is_known = self._distinct is not None and self.search.dedupe
        return is_known and len(self._seen_graphs) >= (self._distinct or 0)

    @property
    def needs_trial(self) -> bool:
        """Whether Optuna has to create the trial first: some samplers store attributes in it."""
        return self._base_sampler is not None or self.search.sampler.name not in ("random", "all")

    def complete(self, study: optuna.Study, number: int, fixed: Params) -> Sample:
        """The sample of trial `number` with the `fixed` values; the others are random.

        Raises ValueError for values that are not in the space, and ExhaustedError without a valid
        new graph.
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
            if sample := self._sample_if_new({name: values[name] for name in self.distributions}):
                return sample
        raise ExhaustedError

    def propose(self, study: optuna.Study, number: int) -> Sample:
        """The sample of trial `number`, not yet created. Raises ExhaustedError if none is left."""
        trial = create_trial(state=TrialState.RUNNING)
        trial.number = number
        self.sample_relative(study, trial, self.distributions)
        assert self.sample is not None
        return self.sample

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All draws, as complete points are sampled."""
        return self.distributions

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> Params:
        """A new point; sets `sample` to it and its plan. Raises ExhaustedError if none is left."""
        if not self.exhausted:
            # `all` continues after the last point that it proposed.
            for params in self._points if self._in_order else self._proposals(study, trial):
                self.sample = self._sample_if_new(params)
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
        """Raises ValueError: `sample_relative` samples all parameters."""
        raise ValueError(f"the space has no draw {param_name!r}")

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Pass the end of a trial to the caller's sampler."""
        if self._base_sampler is not None:
            self._base_sampler.after_trial(study, trial, state, values)

    def _sample_if_new(self, params: Params) -> Sample | None:
        """The sample at a point, None if it is invalid or repeated."""
        key = tuple(params.values())
        if self._in_order and key in self._seen_points:
            return None
        if self.search.dedupe and key in self._graph_at:
            graph = self._graph_at[key]
            if graph is None or graph in self._seen_graphs:
                return None
        plan = trial_plan(self.plan, params)
        self._graph_at[key] = graph = None if plan is None else plan.canonical_digest
        if plan is None or (self.search.dedupe and graph in self._seen_graphs):
            return None
        return Sample(params, plan)

    def _proposals(self, study: optuna.Study, trial: FrozenTrial) -> Iterator[Params]:
        learns = self._base_sampler or self.search.sampler.name in ("tpe", "nsga2")
        guided = GUIDED_ATTEMPTS if learns else 0
        for attempt in range(guided):
            yield self._from_model(study, trial, attempt)
        yield from self._random_points(study, trial, guided)

    def _random_points(
        self, study: optuna.Study, trial: FrozenTrial, start: int
    ) -> Iterator[Params]:
        """Points at random from the attempt `start` on; of a small space then every point."""
        for attempt in range(start, start + RANDOM_ATTEMPTS):
            sampler = RandomSampler(seed=self._seed(trial, attempt))
            yield self._draw_point(sampler, {}, study, trial)
            if attempt == start + MAX_ENUMERATED // 5 and self._size() <= MAX_ENUMERATED:
                break
        if self._size() <= MAX_ENUMERATED:
            yield from self._all_points()

    def _from_model(self, study: optuna.Study, trial: FrozenTrial, attempt: int) -> Params:
        """A point from the sampler that learns from earlier trials."""
        if self._base_sampler is None and self.search.sampler.name == "nsga2":
            return self._from_nsga2(study, trial, attempt)
        if self._base_sampler is None:
            # Multivariate: the sampler reads all trials once per point, not once per value.
            # No constant liar for running trials: this class avoids repeated graphs itself.
            sampler = TPESampler(
                seed=self._seed(trial, attempt), multivariate=True, constant_liar=False
            )
            return self._draw_point(sampler, self.distributions, study, trial)
        self._base_sampler.before_trial(study, trial)
        trial = study._storage.get_trial(trial._trial_id)  # which may have had attributes set
        space = self._base_sampler.infer_relative_search_space(study, trial)
        return self._draw_point(self._base_sampler, space, study, trial)

    def _from_nsga2(self, study: optuna.Study, trial: FrozenTrial, attempt: int) -> Params:
        """A point from NSGA-II: random in the first generation, then from two parents."""
        population = self.search.sampler.arguments["population"]
        assert isinstance(population, int)
        sampler = NSGAIISampler(population_size=population, seed=self._seed(trial, attempt))
        # The first attempt stores the generation in the trial; later ones have to read it there.
        trial = study._storage.get_trial(trial._trial_id)
        space = {name: each for name, each in self.distributions.items() if not each.single()}
        return self._draw_point(sampler, space, study, trial)

    def _draw_point(
        self,
        sampler: BaseSampler,
        space: dict[str, BaseDistribution],
        study: optuna.Study,
        trial: FrozenTrial,
    ) -> Params:
        """A point from a sampler, as `study.ask` samples it.

        The parameters of `space` are sampled relatively, then the others independently, in order;
        the trial that the sampler gets has the parameters sampled before.
        """
        relative = sampler.sample_relative(study, trial, space) if space else {}
        trial = copy(trial)
        trial.params, trial.distributions = params, distributions = {}, {}
        for name, each in self.distributions.items():
            if name in relative:
                params[name] = relative[name]
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

    def _all_points(self) -> Iterator[Params]:
        """All points in order; the last draw changes fastest."""
        values = [
            labels(draw) if draw.options else range(int(draw.low or 0), int(draw.high or 0) + 1)
            for draw in self.draws
        ]
        names = [draw.name for draw in self.draws]
        for chosen in product(*values):
            yield dict(zip(names, chosen, strict=True))
