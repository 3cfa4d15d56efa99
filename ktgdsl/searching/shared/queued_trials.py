"""Trials that other programs queue in a shared study, by `enqueue_trial` or in a dashboard."""

from collections.abc import Callable

import optuna
from optuna.trial import TrialState

from ktgdsl.searching.study.pruning import LOST
from ktgdsl.searching.study.sampling import DistinctSampler, ExhaustedError, Sample
from ktgdsl.searching.study.study import REASON


def queued_sample(
    study: optuna.Study, sampler: DistinctSampler, number: int, note: Callable[[str], object]
) -> Sample | None:
    """The sample of the first queued trial that can be trained; None if there is none.

    With Optuna the queued trial fails, as the next trial of the budget replaces it.

    Args:
        study: with the queued trials, in a transaction.
        sampler: knows the space, and the graphs that were tried.
        number: of the next trial.
        note: is called with the reason for each queued trial that cannot be trained.
    """
    storage = study._storage
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        sample, reason = None, "another trial has its values"
        try:
            sample = sampler.complete(study, number, trial.system_attrs.get("fixed_params", {}))
        except ExhaustedError:
            reason = "it has no valid graph that is new"
        except ValueError as error:
            reason = str(error)
        storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        storage.set_trial_user_attr(trial._trial_id, LOST, True)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        if sample is not None:
            return sample
        note(f"a trial that another program has queued is not trained: {reason}")
    return None
