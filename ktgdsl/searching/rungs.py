"""Rungs, the epochs after which trials may be pruned, and a simulated pruner without Optuna.

In a search Optuna's pruner decides (`ktgdsl.searching.study.pruning`). The simulated one applies
the same rule to estimate the cost of a search without importing Optuna.
"""

from bisect import bisect_right, insort

from ktgdsl.plan.model import SearchPlan


class SimulatedHalving:
    """Asynchronous successive halving, to simulate a search.

    A trial continues after a rung if its value is among the best `1 / reduction` of all values
    reported there so far, including its own. With fewer than `reduction` values only the best
    continues. Equal values are treated alike.

    Source: Li et al., MLSys 2020, and Minami et al., ACCV 2020, Sec. 3.5.
    """

    def __init__(self, search: SearchPlan) -> None:
        self.epochs = rungs(search)
        reduction = search.pruner.arguments.get("reduction", 2)
        assert isinstance(reduction, int)
        self._reduction = reduction
        self._values: dict[int, list[float]] = {epoch: [] for epoch in self.epochs}

    def continues(self, epoch: int, value: float) -> bool:
        """Record a trial's value after an epoch; returns whether the trial continues."""
        values = self._values.get(epoch)
        if values is None:
            return True
        insort(values, value)
        better = len(values) - bisect_right(values, value)
        return better < max(1, len(values) // self._reduction)


def rungs(search: SearchPlan) -> tuple[int, ...]:
    """The epochs after which trials may be pruned: min, min * reduction, ..., below the last."""
    if search.pruner.name == "none":
        return ()
    epoch, reduction = search.pruner.arguments["min"], search.pruner.arguments["reduction"]
    assert isinstance(epoch, int)
    assert isinstance(reduction, int)
    epochs = []
    while epoch < search.epochs:
        epochs.append(epoch)
        epoch *= reduction
    return tuple(epochs)
