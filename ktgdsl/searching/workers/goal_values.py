"""Computes the values of several objectives for a complete trial; all are maximised."""

from collections.abc import Sequence

from ktgdsl.plan.goals import Goal
from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.trial_value import TrialData
from ktgdsl.training.costs import cost
from ktgdsl.training.loop import evaluate_and_measure
from ktgdsl.training.step import Stepper


def goal_values(
    goals: Sequence[Goal], plan: Plan, step: Stepper, data: TrialData
) -> tuple[float, ...]:
    """The values of the objectives in their order, with the current weights.

    Metrics are in percent on the split that judges the trial; costs are negative.
    """
    nodes = {each.node for each in goals if not each.is_cost}
    accuracy, measured = evaluate_and_measure(step, data.judging, nodes) if goals else ({}, {})

    def value(goal: Goal) -> float:
        if goal.is_cost:
            return -float(cost(plan, goal.node, goal.word))
        if goal.metric is None:
            return accuracy[goal.answer]
        return measured[goal.answer][goal.metric]

    return tuple(map(value, goals))
