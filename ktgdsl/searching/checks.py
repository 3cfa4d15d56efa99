"""Checks of a search's result: baselines as long as a trial, and finalists with other seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.heads import answers
from ktgdsl.plan.model import Graph, Node, Plan, supervised
from ktgdsl.searching.estimate import FINALISTS
from ktgdsl.searching.front import front, has_several_values
from ktgdsl.searching.result import Unjudged
from ktgdsl.searching.study.study import values_of
from ktgdsl.searching.study.trial_plans import labels, trial_plan
from ktgdsl.training.result import Score

TARGET_ALONE = "target alone, on labels"
ALL_THROUGH = "all gates through"


@dataclass(frozen=True)
class Check:
    """A training beside the trials: a baseline, or a finalist with another seed."""

    name: str
    plan: Plan
    seed: int

    @property
    def key(self) -> str:
        """The key of its value in the study."""
        return f"{self.name} / {self.seed}"


def leaders(trials: Sequence[FrozenTrial], count: int = FINALISTS) -> list[FrozenTrial]:
    """The `count` best trials, best first: complete ones, or if none is, those with most epochs.

    Ties go to the earlier trial. With several objectives these are the trials of the Pareto front,
    ordered by the first objective.
    """
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    if any(map(has_several_values, complete)):
        return front(complete)[:count]
    if complete:
        return sorted(complete, key=lambda t: (-(t.value or 0.0), t.number))[:count]
    reported = [(values_of(t), t) for t in trials if t.intermediate_values]

    def rank(entry: tuple[dict[int, float], FrozenTrial]) -> tuple[int, float, int]:
        values, trial = entry
        return -max(values), -values[max(values)], trial.number

    return [trial for _, trial in sorted(reported, key=rank)[:count]]


def tied_trials(
    trials: Sequence[FrozenTrial],
    finalists: Sequence[FrozenTrial],
    confirmed: Mapping[str, Score],
) -> tuple[int, ...]:
    """The numbers of other trials that tie with the first finalist.

    Where the finalists have `confirmed` scores, those with an equal mean. Else all trials with an
    equal value: complete ones, or if none is complete, those trained for as many epochs.
    """
    best, *others = finalists
    if has_several_values(best):
        equal = (t for t in trials if t.state == TrialState.COMPLETE and t.values == best.values)
        return tuple(t.number for t in equal if t.number != best.number)
    score = confirmed.get(check_name(best))
    if score is not None:
        means = {name: each.mean for name, each in confirmed.items()}
        return tuple(t.number for t in others if means.get(check_name(t)) == score.mean)
    last = _epochs_and_value(best)
    return tuple(
        t.number
        for t in trials
        if t.number != best.number
        and (t.state == TrialState.COMPLETE) == (best.state == TrialState.COMPLETE)
        and t.intermediate_values
        and _epochs_and_value(t) == last
    )


def _epochs_and_value(trial: FrozenTrial) -> tuple[int, float]:
    """The number of epochs of a trial, 0 for a complete one, and its last value."""
    epoch, value = max(values_of(trial).items())
    return 0 if trial.state == TrialState.COMPLETE else epoch, value


def check_seeds(plan: Plan) -> tuple[int, ...]:
    """The seeds of checks: `confirm` of them, at least one for the baselines."""
    assert plan.search is not None
    count = max(1, plan.search.confirm)
    return tuple(derive(plan.train.seed, "confirm", i) % 2**31 for i in range(count))


def baselines(plan: Plan, best: FrozenTrial) -> dict[str, Plan]:
    """The baselines of the best graph by name, trained for the epochs of a trial.

    They are the target alone on the labels, and, if the space has gates that may be `through`, the
    best trial's graph with `through` for each of them.
    """
    best_plan = trial_plan(plan, best.params)
    assert best_plan is not None
    assert plan.space is not None
    assert plan.search is not None
    target = best_plan.graph.networks.get(plan.search.node)
    plans = {} if target is None else {TARGET_ALONE: _alone(best_plan, target, plan.search.node)}
    gates = {d.name: "through" for d in plan.space.draws if "through" in labels(d)}
    if gates and (all_through := trial_plan(plan, {**best.params, **gates})) is not None:
        plans[ALL_THROUGH] = all_through
    return plans


def _alone(plan: Plan, target: Node, judged: str) -> Plan:
    """The target with its edge from the labels, and its `ema` node if that is judged."""
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
    """The trainings of the finalists with other seeds; none if `confirm` is 0."""
    assert plan.search is not None
    if not plan.search.confirm:
        return []
    checks = []
    for trial in finalists:
        finalist_plan = trial_plan(plan, trial.params)
        assert finalist_plan is not None
        checks += [Check(check_name(trial), finalist_plan, seed) for seed in check_seeds(plan)]
    return checks


def check_name(trial: FrozenTrial) -> str:
    """The name of a finalist's checks."""
    return f"trial {trial.number}"


def scores(checked: Mapping[str, float | str], names: Sequence[str]) -> dict[str, Score]:
    """The scores over the seeds by the check's name; without checks that gave no value.

    `checked` is `Study.checks`.
    """
    values = {
        name: [value for value in _by_seed(checked, name).values() if not isinstance(value, str)]
        for name in names
    }
    return {name: Score.of(each) for name, each in values.items() if each}


def unjudged(checked: Mapping[str, float | str], names: Sequence[str]) -> tuple[Unjudged, ...]:
    """The checks of these names that diverged or failed, and why."""
    return tuple(
        Unjudged(name=name, seed=seed, reason=reason)
        for name in names
        for seed, reason in _by_seed(checked, name).items()
        if isinstance(reason, str)
    )


def _by_seed(checked: Mapping[str, float | str], name: str) -> dict[int, float | str]:
    """The values of a check by seed, or the reasons why there is none."""
    keys = ((key.rpartition(" / "), value) for key, value in checked.items())
    return {int(seed): value for (check, _, seed), value in keys if check == name}
