"""The Pareto front of a search with several objectives, all of which are maximised."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState


def front(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The complete trials that no other trial dominates.

    One trial dominates another if it is at least as good in every objective and better in one.
    Sorted by the objectives, best first, in their order; ties by trial number.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda trial: ([-value for value in trial.values], trial.number))
    pareto: list[FrozenTrial] = []
    for trial in complete:  # sorted, so trials that dominate it come before it
        if not any(_dominates(other.values, trial.values) for other in pareto):
            pareto.append(trial)
    return pareto


def has_several_values(trial: FrozenTrial) -> bool:
    """Whether a trial is complete and has several objectives."""
    return trial.state == TrialState.COMPLETE and len(trial.values) > 1


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = [*zip(one, other, strict=True)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
