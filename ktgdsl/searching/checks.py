"""Checks of a search's result: trains baselines for as long, and finalists with other seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.heads import answers
from ktgdsl.plan.model import Graph, Node, Plan, supervised
from ktgdsl.searching.estimate import FINALISTS
from ktgdsl.searching.front import front, has_several_values
from ktgdsl.searching.result import Unjudged
from ktgdsl.searching.study import values_of
from ktgdsl.searching.trial_plans import labels, trial_plan
from ktgdsl.training.result import Score

ALONE = "target alone, on labels"
OPEN = "all gates through"


@dataclass(frozen=True)
class Check:
    """A training besides the trials, to judge the result: a baseline, or a finalist again."""

    name: str
    plan: Plan
    seed: int

    @property
    def key(self) -> str:
        """The name of its value in the study."""
        return f"{self.name} / {self.seed}"


def leaders(trials: Sequence[FrozenTrial], count: int = FINALISTS) -> list[FrozenTrial]:
    """The best trials, the best first: complete ones, or else those with the most epochs.

    Of equal values the earlier trial comes first. Of several objectives it is the front, the best
    by the first of them first.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if any(map(has_several_values, complete)):
        return front(complete)[:count]
    if complete:
        return sorted(complete, key=lambda t: (-(t.value or 0.0), t.number))[:count]
    begun = [(values_of(t), t) for t in trials if t.intermediate_values]

    def rank(entry: tuple[dict[int, float], FrozenTrial]) -> tuple[int, float, int]:
        values, trial = entry
        return -max(values), -values[max(values)], trial.number

    return [trial for _, trial in sorted(begun, key=rank)[:count]]


def tied(
    trials: Sequence[FrozenTrial],
    finalists: Sequence[FrozenTrial],
    confirmed: Mapping[str, Score],
) -> tuple[int, ...]:
    """The numbers of other trials that are as good as the first finalist.

    By the mean of further seeds where it has one, among the finalists; else by the value in the
    search, among complete trials, or else those that were trained as long.
    """
    best, *others = finalists
    if has_several_values(best):
        equal = (t for t in trials if t.state == TrialState.COMPLETE and t.values == best.values)
        return tuple(t.number for t in equal if t.number != best.number)
    score = confirmed.get(name_of(best))
    if score is not None:
        means = {name: each.mean for name, each in confirmed.items()}
        return tuple(t.number for t in others if means.get(name_of(t)) == score.mean)
    last = _reached(best)
    return tuple(
        t.number
        for t in trials
        if t.number != best.number
        and (t.state == TrialState.COMPLETE) == (best.state == TrialState.COMPLETE)
        and t.intermediate_values
        and _reached(t) == last
    )


def _reached(trial: FrozenTrial) -> tuple[int, float]:
    """The number of epochs of a trial, 0 for a complete one, and its last value."""
    epoch, value = max(values_of(trial).items())
    return 0 if trial.state == TrialState.COMPLETE else epoch, value


def seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of the checks: as many as confirm the finalists, else one."""
    assert plan.search is not None
    count = max(1, plan.search.confirm)
    return tuple(derive(plan.train.seed, "confirm", i) % 2**31 for i in range(count))


def baselines(plan: Plan, best: FrozenTrial) -> dict[str, Plan]:
    """The baselines that the best graph is compared with, trained for the epochs of a trial.

    The target alone on the labels, and the best trial's networks with `through` for every gate
    that was searched; the latter only where a gate that can be `through` was searched.
    """
    best_plan = trial_plan(plan, best.params)
    assert best_plan is not None
    assert plan.space is not None
    assert plan.search is not None
    target = best_plan.graph.networks.get(plan.search.node)
    plans = {} if target is None else {ALONE: _alone(best_plan, target, plan.search.node)}
    opened = {d.name: "through" for d in plan.space.draws if "through" in labels(d)}
    if opened and (every := trial_plan(plan, {**best.params, **opened})) is not None:
        plans[OPEN] = every
    return plans


def _alone(plan: Plan, target: Node, judged: str) -> Plan:
    """The target with its edge from the labels, and its average if that is judged."""
    graph = Graph(
        name=plan.graph.name,
        targets=(target.name,),
        nodes=(target,),
        edges=tuple(supervised(*each) for each in answers(target.name, target.heads)),
        derived=tuple(each for each in plan.graph.followers if each.name == judged),
    )
    train = plan.train.model_copy(update={"epochs": plan.epochs})
    return plan.model_copy(update={"graph": graph, "train": train, "phases": ()})


def confirmations(plan: Plan, finalists: Sequence[FrozenTrial]) -> list[Check]:
    """The finalists with other seeds, where the search has `confirm`."""
    assert plan.search is not None
    if not plan.search.confirm:
        return []
    checks = []
    for trial in finalists:
        own = trial_plan(plan, trial.params)
        assert own is not None
        checks += [Check(name_of(trial), own, seed) for seed in seeds(plan)]
    return checks


def name_of(trial: FrozenTrial) -> str:
    """The name of a finalist's checks."""
    return f"trial {trial.number}"


def scores(checked: Mapping[str, float | str], names: Sequence[str]) -> dict[str, Score]:
    """The scores of checks by name; checks without a value are left out: see `unjudged`."""
    values = {
        name: [value for value in _by_seed(checked, name).values() if not isinstance(value, str)]
        for name in names
    }
    return {name: Score.of(each) for name, each in values.items() if each}


def unjudged(checked: Mapping[str, float | str], names: Sequence[str]) -> tuple[Unjudged, ...]:
    """The checks of these names that gave no value, and why."""
    return tuple(
        Unjudged(name=name, seed=seed, reason=reason)
        for name in names
        for seed, reason in _by_seed(checked, name).items()
        if isinstance(reason, str)
    )


def _by_seed(checked: Mapping[str, float | str], name: str) -> dict[int, float | str]:
    """The values, or the reasons why there is none, of a name by seed."""
    keys = ((key.rpartition(" / "), value) for key, value in checked.items())
    return {int(seed): value for (of, _, seed), value in keys if of == name}
