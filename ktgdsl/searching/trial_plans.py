"""Trials as plans: the graph at a point of the space, trained as a search trains it."""

from collections.abc import Mapping
from typing import Any

from ktgdsl.backend.seeds import derive
from ktgdsl.plan.goals import goal, goals_of
from ktgdsl.plan.model import Draw, Phase, Plan
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point


def labels(draw: Draw) -> tuple[str, ...]:
    """The options of a draw, with a number added where two are written alike."""
    unique: list[str] = []
    for option in draw.options:
        again = sum(each == option or each.startswith(f"{option} (") for each in unique)
        unique.append(f"{option} ({again + 1})" if again else option)
    return tuple(unique)


def point(draws: tuple[Draw, ...], params: Mapping[str, Any]) -> Point:
    """The point of the space that the parameters of an Optuna trial stand for."""
    return {
        draw.name: labels(draw).index(params[draw.name]) if draw.options else params[draw.name]
        for draw in draws
    }


def trial_plan(plan: Plan, params: Mapping[str, Any]) -> Plan | None:
    """The plan of a trial: the graph at a point, trained for a trial's length.

    None where the point is invalid. A validation split is held out, as it judges the trial.
    """
    assert plan.space is not None
    at_point = plan_at(plan, point(plan.space.draws, params))
    return None if at_point is None else for_trial(at_point)


def trial_seed(plan: Plan, number: int) -> int:
    """The seed of a trial's own random streams."""
    return derive(plan.train.seed, "trial", number) % 2**31


def graph_of_trial(plan: Plan, params: Mapping[str, Any]) -> Plan:
    """The graph of a trial as a plan of its own, on all training samples.

    What needs held-out samples, a best epoch or a `plateau` on the accuracy, holds them out.
    """
    assert plan.space is not None
    graph = plan_at(plan, point(plan.space.draws, params))
    assert graph is not None  # the trial had one
    if not graph.judges_held_out:
        return graph
    return graph.model_copy(update={"data": graph.data.model_copy(update={"holdout": True})})


def for_trial(plan: Plan) -> Plan:
    """A plan without open values as a search trains it.

    Phases are as long as the plan says, or in that proportion where the search is shorter, and so
    are pre-trainings that are as long as `train` says. Of metrics only the objectives are measured.
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
    """The phases with so many epochs in all, and one at least in each."""
    total, written, before = sum(phase.epochs for phase in phases), 0, 0
    found = []
    for number, phase in enumerate(phases, start=1):
        written += phase.epochs
        left = len(phases) - number
        end = max(before + 1, min(round(epochs * written / total), epochs - left))
        found.append(phase.model_copy(update={"epochs": end - before}))
        before = end
    return tuple(found)
