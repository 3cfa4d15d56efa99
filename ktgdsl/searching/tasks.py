"""What a coordinator gives its workers to train: the trials of a search and its checks."""

from dataclasses import replace

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.protocol import Task


def trial_task(space: Plan, number: int, plan: Plan, seed: int, decided_epochs: int = 0) -> Task:
    """The task of a trial.

    Args:
        space: the plan of the search.
        number: of the trial.
        plan: the graph of the trial, without open values.
        seed: of the trial's own random streams.
        decided_epochs: the epochs with a decision in the journal.
    """
    assert space.search is not None
    return replace(
        check_task(space, number, plan, seed),
        decided_epochs=decided_epochs,
        leaves_networks=space.search.keep > 0,
        goals=goals_of(space.search),
    )


def check_task(space: Plan, number: int, plan: Plan, seed: int) -> Task:
    """The task of a check, which is never pruned. The arguments are those of `trial_task`."""
    assert space.search is not None
    return Task(
        trial=number,
        plan=plan.to_json(),
        seed=seed,
        study_seed=space.train.seed,
        objective=space.search.answer,
        metric=space.search.metric,
        judged_on=space.search.judged_on,
        compiles=plan.train.compile != "off",
    )
