"""The chart of a search: the value of its trials by epoch."""

from optuna.trial import FrozenTrial

from ktgdsl.report.curves.charts import Chart
from ktgdsl.report.curves.recorded_search import RecordedSearch
from ktgdsl.report.curves.series import Point, Series
from ktgdsl.searching.checks import leaders
from ktgdsl.searching.study.study import values_of
from ktgdsl.training.run_files import folder_error

MAX_NAMED = 8
"""Trials whose curves have names; those of the others are in the background."""


def trial_chart(search: RecordedSearch) -> Chart:
    """The best trials by name, all the others in the background.

    Raises RunError (E502) while no epoch of a trial is done.
    """
    begun = [trial for trial in search.trials if trial.intermediate_values]
    if not begun:
        folder = search.folder
        raise folder_error(folder, f"no epoch of a trial of the search in {folder} is done yet")
    named = leaders(search.trials, MAX_NAMED)
    shown = {trial.number for trial in named}
    plan = search.plan.search
    assert plan is not None
    return Chart(
        f"{plan.judged_on} {plan.measured} by trial, %",
        tuple(_curve(trial) for trial in named),
        bounds=(0.0, 100.0),
        background=tuple(_curve(trial) for trial in begun if trial.number not in shown),
    )


def _curve(trial: FrozenTrial) -> Series:
    values = values_of(trial).items()
    return Series(f"trial {trial.number}", tuple(Point(e, value, None, 1) for e, value in values))
