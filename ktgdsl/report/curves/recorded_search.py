"""Reads a search from its folder, finished or not, and leaves the folder as it is."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial

from ktgdsl.plan.model import Plan
from ktgdsl.searching.folder import open_search_folder
from ktgdsl.searching.recorded_study import recorded_study
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.study.study import Study


@dataclass(frozen=True)
class RecordedSearch:
    """A search as its folder has it.

    `importances` are by the name of a draw, the largest first, and sum to 1; empty while there are
    too few complete trials. `result` is None while it is not finished.
    """

    name: str
    folder: Path
    plan: Plan
    trials: Sequence[FrozenTrial]
    importances: dict[str, float]
    result: SearchResult | None


def read_search(folder: Path) -> RecordedSearch:
    """The search of a folder. Raises RunError (E502) where it is none, or cannot be read."""
    found = open_search_folder(folder)
    plan, result = found.run.plan(), found.result()
    with recorded_study(found, plan) as study:
        trials, importances = study.trials, _importances(study, plan)
    return RecordedSearch(folder.resolve().name, folder, plan, trials, importances, result)


MIN_TRIALS = 4
"""Complete trials from which on importances are computed."""


def _importances(study: Study, plan: Plan) -> dict[str, float]:
    """By PED-ANOVA (Watanabe et al., IJCAI 2023), which needs nothing but Optuna.

    Of several objectives that of the first measure, by which trials are judged.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    search = plan.search
    goals = search.goals if search is not None else ()
    index = goals.index(search.objective) if search is not None and goals else 0
    if len(complete) < MIN_TRIALS or len({trial.values[index] for trial in complete}) == 1:
        return {}
    evaluator = PedAnovaImportanceEvaluator()
    if not goals:
        return get_param_importances(study.optuna, evaluator=evaluator)
    with warnings.catch_warnings():  # that low values are looked for, which these are
        warnings.simplefilter("ignore", UserWarning)
        return get_param_importances(
            study.optuna, evaluator=evaluator, target=lambda trial: -trial.values[index]
        )
