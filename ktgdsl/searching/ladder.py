"""The rule that ends trials early: asynchronous successive halving, as the paper uses it."""

from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import NamedTuple

from ktgdsl.plan.model import SearchPlan


class Standing(NamedTuple):
    """A value at a rung: its place among the `seen` values, from 1, and whether it goes on."""

    place: int
    seen: int
    keep: bool


class Ladder:
    """The rungs of a search and the values seen at each.

    A trial goes on after rung r when its value is among the best `1 / reduction` of all values
    seen there so far, its own included; of fewer than `reduction` values the best goes on, and
    equal values do so together. Nobody is ended at the last epoch.

    Source: Li et al., MLSys 2020, and Minami et al., ACCV 2020, Sec. 3.5, in the form of
    Optuna's SuccessiveHalvingPruner with a minimum early-stopping rate of 0.
    """

    def __init__(self, rungs: tuple[int, ...], reduction: int) -> None:
        self.rungs = rungs
        self.reduction = reduction
        self._values: dict[int, list[float]] = {rung: [] for rung in rungs}

    def arrive(self, epoch: int, value: float) -> Standing | None:
        """Add a trial's value after an epoch and judge it; None where there is no rung."""
        if epoch not in self._values:
            return None
        insort(self._values[epoch], value)
        return self.standing(epoch, value)

    def remember(self, reports: Mapping[int, float]) -> None:
        """Add the values of a trial, by epoch, that were judged before."""
        for epoch, value in reports.items():
            if epoch in self._values:
                insort(self._values[epoch], value)

    def standing(self, epoch: int, value: float) -> Standing | None:
        """How a value that was added stands now; None where there is no rung."""
        if epoch not in self._values:
            return None
        values = self._values[epoch]
        going_on = max(1, len(values) // self.reduction)
        better = len(values) - bisect_right(values, value)
        return Standing(better + 1, len(values), value >= values[-going_on])


def rungs(search: SearchPlan) -> tuple[int, ...]:
    """The epochs after which trials may be ended: min, min * reduction, ... before the last."""
    if search.pruner.name == "none":
        return ()
    epoch, reduction = search.pruner.arguments["min"], search.pruner.arguments["reduction"]
    assert isinstance(epoch, int)
    assert isinstance(reduction, int)
    found = []
    while epoch < search.epochs:
        found.append(epoch)
        epoch *= reduction
    return tuple(found)


def ladder(search: SearchPlan) -> Ladder:
    """The empty ladder of a search."""
    reduction = search.pruner.arguments.get("reduction", 2)
    assert isinstance(reduction, int)
    return Ladder(rungs(search), reduction)
