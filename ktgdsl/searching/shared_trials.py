"""Trials of a shared search: numbered by their place in the budget, begun again when lost."""

from copy import copy
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Connection

from ktgdsl.plan.model import Plan
from ktgdsl.searching.claims import Claim, Claims
from ktgdsl.searching.pruning import LOST, is_rung
from ktgdsl.searching.sampling import Params
from ktgdsl.searching.study import REASON

NUMBER = "number"
"""The name of a user attribute of trials."""


class TakenError(Exception):
    """The trial was given to another process, as this one seemed to be lost."""


@dataclass(frozen=True)
class Claimed:
    """A trial that this process has to train; `attempt` is 1 unless processes were lost with it."""

    number: int
    params: Params
    plan: Plan
    seed: int
    attempt: int


def numbered(trial: FrozenTrial) -> FrozenTrial:
    """A trial with the number of its place in the budget."""
    copied = copy(trial)
    copied.user_attrs = dict(trial.user_attrs)
    copied.number = copied.user_attrs.pop(NUMBER)
    return copied


def begin_again(
    study: optuna.Study, claims: Claims, connection: Connection, free: Claim, trial: FrozenTrial
) -> int | None:
    """Begin a trial anew that was lost or given back, without what was reported of it.

    Returns Optuna's id of the new one, or None where it was lost too often and has failed.
    """
    storage, id = study._storage, trial._trial_id
    if free.has_failed:
        storage.set_trial_user_attr(id, REASON, lost_text(free.attempt))
        storage.set_trial_state_values(id, TrialState.FAIL)
        claims.take(connection, free, id)
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
    claims.take(connection, free, new)
    return new


def lost_text(attempts: int) -> str:
    """Why a trial or a check failed with which so many processes were lost."""
    return f"{attempts} processes were lost with it"
