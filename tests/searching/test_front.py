"""The front: by hand, and against Optuna's own."""

import random

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from ktgdsl.searching.front import front


def trial(number: int, *values: float) -> FrozenTrial:
    made = create_trial(values=list(values))
    made.number = number
    return made


def test_who_is_dominated_is_not_on_it() -> None:
    trials = [
        trial(0, 60.0, -300.0),
        trial(1, 70.0, -400.0),
        trial(2, 60.0, -350.0),  # as good as the first, and larger
        trial(3, 50.0, -100.0),
        trial(4, 70.0, -400.0),  # as the second
        trial(5, 49.0, -100.0),
    ]
    assert [each.number for each in front(trials)] == [1, 4, 0, 3]


def test_only_complete_trials_are_on_it() -> None:
    failed = create_trial(state=TrialState.FAIL)
    assert front([failed]) == []
    assert [each.number for each in front([failed, trial(1, 1.0, 2.0)])] == [1]


@pytest.mark.parametrize("objectives", [2, 3])
def test_it_is_optuna_s(objectives: int) -> None:
    generator = random.Random(objectives)
    study = optuna.create_study(directions=["maximize"] * objectives)
    for _ in range(60):
        values = [float(generator.randrange(6)) for _ in range(objectives)]
        study.add_trial(create_trial(values=values))
    assert sorted(t.number for t in front(study.trials)) == sorted(
        t.number for t in study.best_trials
    )
    assert front(study.trials)[0].values[0] == max(t.values[0] for t in study.trials)
