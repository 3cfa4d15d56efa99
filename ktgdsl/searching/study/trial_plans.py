"""The plans of trials: the graph at a point of the space, with the training of a search."""

from collections.abc import Mapping
from typing import Any

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.goals import goal, goals_of
from ktgdsl.plan.model import Draw, Phase, Plan
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point


def labels(draw: Draw) -> tuple[str, ...]:
    """The options of a draw as Optuna's categories; equal ones are numbered to be distinct."""
    unique: list[str] = []
    for option in draw.options:
        equal = sum(each == option or each.startswith(f"{option} (") for each in unique)
        unique.append(f"{option} ({equal + 1})" if equal else option)
    return tuple(unique)


def point(draws: tuple[Draw, ...], params: Mapping[str, Any]) -> Point:
    """The point of the space with the parameters of an Optuna trial."""
    return {
        draw.name: labels(draw).index(params[draw.name]) if draw.options else params[draw.name]
        for draw in draws
    }


def trial_plan(plan: Plan, params: Mapping[str, Any]) -> Plan | None:
    """The plan of a trial with these parameters; None where the point is invalid.

    It trains for the epochs of a trial and holds out a validation split.
    """
    assert plan.space is not None
    at_point = plan_at(plan, point(plan.space.draws, params))
    return None if at_point is None else for_trial(at_point)


def trial_seed(plan: Plan, number: int) -> int:
    """The seed of a trial's own random streams."""
    return derive(plan.train.seed, "trial", number) % 2**31


def graph_of_trial(plan: Plan, params: Mapping[str, Any]) -> Plan:
    """The plan to train a trial's graph outside of the search, on all training samples.

    Only a plan that needs a validation split, for its best epoch or a `plateau`, holds one out.
    """
    assert plan.space is not None
    graph = plan_at(plan, point(plan.space.draws, params))
    assert graph is not None  # the trial was valid
    if not graph.judges_held_out:
        return graph
    return graph.model_copy(update={"data": graph.data.model_copy(update={"holdout": True})})


def for_trial(plan: Plan) -> Plan:
    """A plan without open values, changed to train as a trial.

    The epochs of `train`, of phases, and of pre-trainings as long as `train` are scaled to those of
    the search. Only the metrics of the objectives are measured.
    """
    assert plan.search is not None
    share = plan.search.epochs / plan.epochs
    epochs = max(1, round(plan.train.epochs * share))
    goals = goals_of(plan.search) or (goal(plan.search.objective),)
    metrics = tuple(dict.fromkeys(each.metric for each in goals if each.metric is not None))
    train = plan.train.model_copy(update={"epochs": epochs, "repeats": 1, "metrics": metrics})
    data = plan.data.model_copy(update={"holdout": True})
    phases = _in_proportion(plan.phases, plan.search.epochs)
    return plan.model_copy(update={"train": train, "data": data, "phases": phases})


def _in_proportion(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    """The phases scaled to `epochs` epochs in total, with at least one in each."""
    total, planned, start = sum(phase.epochs for phase in phases), 0, 0
    scaled = []
    for number, phase in enumerate(phases, start=1):
        planned += phase.epochs
        later_phases = len(phases) - number
        end = max(start + 1, min(round(epochs * planned / total), epochs - later_phases))
        scaled.append(phase.model_copy(update={"epochs": end - start}))
        start = end
    return tuple(scaled)
