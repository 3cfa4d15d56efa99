"""The Pareto front of a search with several objectives, all of which are maximised."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState


def front(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The complete trials that no other dominates: none is better in one objective without being
    worse in another.

    The best by the first objective comes first, of those equal in it the best by the second, and so
    on; of equal values the earlier trial, and all of them are in the front.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    complete.sort(key=lambda trial: ([-value for value in trial.values], trial.number))
    found: list[FrozenTrial] = []
    for trial in complete:  # whatever dominates it comes before it
        if not any(_dominates(other.values, trial.values) for other in found):
            found.append(trial)
    return found


def has_several_values(trial: FrozenTrial) -> bool:
    """Whether a trial is one of several objectives, and complete."""
    return trial.state == TrialState.COMPLETE and len(trial.values) > 1


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = [*zip(one, other, strict=True)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)
