"""Trials of a shared search: numbered within the budget, and restarted when lost."""

from copy import copy
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Connection

from ktgdsl.plan.model import Plan
from ktgdsl.searching.shared.claims import Claim, Claims
from ktgdsl.searching.study.pruning import LOST, is_rung
from ktgdsl.searching.study.sampling import Params
from ktgdsl.searching.study.study import REASON

NUMBER = "number"
"""The name of a user attribute of trials."""


class ClaimLostError(Exception):
    """Another process has claimed the trial, since this one seemed to be lost."""


@dataclass(frozen=True)
class ClaimedTrial:
    """A trial that this process trains; `attempt` is 1 unless processes were lost with it."""

    number: int
    params: Params
    plan: Plan
    seed: int
    attempt: int


def renumbered(trial: FrozenTrial) -> FrozenTrial:
    """A trial with its number in the budget, instead of Optuna's."""
    copied = copy(trial)
    copied.user_attrs = dict(trial.user_attrs)
    copied.number = copied.user_attrs.pop(NUMBER)
    return copied


def restart_trial(
    study: optuna.Study, claims: Claims, connection: Connection, claim: Claim, trial: FrozenTrial
) -> int | None:
    """Replace a lost or released trial by one at the same point, without its reports and rungs.

    Returns Optuna's id of the new trial, or None where it was lost too often and has failed.
    """
    storage, id = study._storage, trial._trial_id
    if claim.has_failed:
        storage.set_trial_user_attr(id, REASON, lost_reason(claim.attempt))
        storage.set_trial_state_values(id, TrialState.FAIL)
        claims.acquire(connection, claim, id)
        return None
    storage.set_trial_user_attr(id, LOST, True)
    storage.set_trial_state_values(id, TrialState.FAIL)
    again = create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={name: each for name, each in trial.user_attrs.items() if name != LOST},
        system_attrs={n: each for n, each in trial.system_attrs.items() if not is_rung(n)},
    )
    new = storage.create_new_trial(study._study_id, again)
    claims.acquire(connection, claim, new)
    return new


def lost_reason(attempts: int) -> str:
    """The reason of a trial or a check that failed as so many processes were lost with it."""
    return f"{attempts} processes were lost with it"
