"""The pruner of a search: Optuna's successive halving, with an index of the values at each rung."""

import math
from bisect import bisect_right, insort

from optuna import Study
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial

from ktgdsl.plan.settings import SearchPlan
from ktgdsl.searching.study.standing import Standing

PRUNED, LOST = "pruned", "lost"
"""User attributes of a trial: its standing when pruned; that a retry replaced it."""


class IndexedSuccessiveHalving(SuccessiveHalvingPruner):
    """Optuna's successive halving for maximised studies, without reading all trials each time.

    It keeps the values at each rung sorted, so a decision does not get slower with more trials.
    For another study object the index is rebuilt from the trials. Trials get the same attributes
    as from Optuna's pruner (`completed_rung_N`), and pruned ones their standing.
    """

    def __init__(self, minimum: int, reduction: int) -> None:
        super().__init__(
            min_resource=minimum, reduction_factor=reduction, min_early_stopping_rate=0
        )
        self._minimum = minimum
        self._reduction = reduction
        self._study: Study | None = None
        self._values: dict[str, list[float]] = {}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Store the trial's value at each rung that it has reached; returns whether to prune it."""
        step = trial.last_step
        if step is None:
            return False
        if study is not self._study:
            self._index(study)
        value = trial.intermediate_values[step]
        rung = 0
        while _key(rung) in trial.system_attrs:
            rung += 1
        while step >= self._minimum * self._reduction**rung:
            if math.isnan(value):
                return True
            study._storage.set_trial_system_attr(trial._trial_id, _key(rung), value)
            values = self._values.setdefault(_key(rung), [])
            insort(values, value)
            kept = max(1, len(values) // self._reduction)
            if value < values[-kept]:
                standing = Standing(
                    epoch=self._minimum * self._reduction**rung,
                    value=value,
                    place=1 + len(values) - bisect_right(values, value),
                    values=len(values),
                    kept=kept,
                )
                study._storage.set_trial_user_attr(trial._trial_id, PRUNED, standing.model_dump())
                return True
            rung += 1
        return False

    def _index(self, study: Study) -> None:
        self._study = study
        self._values = {}
        for trial in study.get_trials(deepcopy=False):
            if LOST in trial.user_attrs:
                continue
            for name, value in trial.system_attrs.items():
                if is_rung(name):
                    self._values.setdefault(name, []).append(value)
        for values in self._values.values():
            values.sort()


def is_rung(name: str) -> bool:
    """Whether a system attribute of a trial is its value at a rung."""
    return name.startswith(_key(""))


def _key(rung: int | str) -> str:
    return f"completed_rung_{rung}"


def pruner_of(search: SearchPlan) -> BasePruner:
    """The pruner that a space names.

    `asha` is asynchronous successive halving (Li et al., MLSys 2020) as in Minami et al., ACCV
    2020, Sec. 3.5: a trial continues after a rung if its value is among the best 1 / reduction of
    all values reported there so far.
    """
    if search.pruner.name == "none":
        return NopPruner()
    minimum, reduction = search.pruner.arguments["min"], search.pruner.arguments["reduction"]
    assert isinstance(minimum, int)
    assert isinstance(reduction, int)
    return IndexedSuccessiveHalving(minimum, reduction)
