"""The pruner of a search: Optuna's, with the settings of the space."""

from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner

from ktgdsl.plan.settings import SearchPlan


def pruner_of(search: SearchPlan) -> BasePruner:
    """The pruner that a space asks for.

    `asha` is asynchronous successive halving (Li et al., MLSys 2020) as Minami et al., ACCV 2020,
    Sec. 3.5 use it: a trial continues after a rung when its value is among the best 1 / reduction
    of all values seen there so far.
    """
    if search.pruner.name == "none":
        return NopPruner()
    minimum, reduction = search.pruner.arguments["min"], search.pruner.arguments["reduction"]
    assert isinstance(minimum, int)
    assert isinstance(reduction, int)
    return SuccessiveHalvingPruner(
        min_resource=minimum, reduction_factor=reduction, min_early_stopping_rate=0
    )
