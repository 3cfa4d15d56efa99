"""Trials as plans: the graph at a point of the space, trained as a search trains it."""

from collections.abc import Mapping
from typing import Any

from ktgdsl.plan.model import Draw, Plan
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


def for_trial(plan: Plan) -> Plan:
    """A plan without open values as a search trains it."""
    assert plan.search is not None
    train = plan.train.model_copy(update={"epochs": plan.search.epochs, "repeats": 1})
    data = plan.data.model_copy(update={"holdout": True})
    return plan.model_copy(update={"train": train, "data": data})
