"""The duration of a run or a search follows from measured times."""

import pytest

import ktgdsl
from ktgdsl.bench.duration import (
    Pace,
    PredictedWork,
    Work,
    confirmation_work,
    pretraining_work,
    run_work,
    total,
    trials_work,
)
from ktgdsl.searching.estimate import Estimate
from tests.plans import tiny_plan


def test_a_part_by_hand() -> None:
    work = Work("training", count=3, epochs=10, steps=20, images=500, last=100)
    part = PredictedWork(work, Pace(start=2.0, step=0.5, image=0.01))
    assert part.making == 3 * 2.0
    assert part.stepping == 3 * 10 * 20 * 0.5
    assert part.evaluating == pytest.approx(3 * (10 * 500 + 100) * 0.01)
    assert part.seconds == pytest.approx(6 + 300 + 153)
    assert total([part, part]) == pytest.approx(2 * 459)


def test_a_run_evaluates_the_test_split() -> None:
    plan = tiny_plan(repeats=5, epochs=7, data={"batch": 64})
    assert run_work(plan) == (Work("training", 5, 7, 1297 // 64, 500),)


def test_a_split_that_is_held_out_is_evaluated_instead() -> None:
    """And the test split once in the end."""
    plan = tiny_plan(epochs=7, data={"batch": 64, "holdout": True})
    assert run_work(plan) == (Work("training", 1, 7, (1297 - 259) // 64, 259, last=500),)
    assert pretraining_work(plan, "t", 3) == Work("pre-training of t", 3, 7, 16, 259)


def test_a_search_is_what_was_expected_of_it() -> None:
    plan = tiny_plan(epochs=8, data={"batch": 64, "holdout": True})
    expected = Estimate(
        30,
        complete=4.0,
        epochs=75.0,
        pretrainings=3,
        checks=2,
        full_epochs=8,
        pretraining_epochs=40,
    )
    assert expected.all_epochs == 75 + 3 * 40 + 2 * 8
    assert trials_work(plan, expected) == (Work("trials", 30, 2.5, 16, 259),)
    judging = Work("trainings to judge the result", 2, 8, 16, 259)
    assert confirmation_work(plan, expected) == (judging,)


def test_phases_are_works_of_their_own() -> None:
    plan = ktgdsl.loads("""
        graph g { node a, b = resnet8 target a edge label -> * edge b -> a }
        data digits { batch = 64  holdout = true }
        train { epochs = 2  repeats = 3 }
        phase one { learn = [b] }
        phase two { learn = [a]  epochs = 3 }
    """)
    assert run_work(plan) == (
        Work("phase one", 3, 2, 16, 259),
        Work("phase two", 3, 3, 16, 259),
        Work("evaluation of all nodes at the end", 3, 0, 16, 259, last=500 + 259),
    )
    # Of ten trials, four are over after the first epoch, two after the third, in phase two.
    expected = Estimate(
        10, complete=4, epochs=30, pretrainings=0, checks=2, full_epochs=5, pretraining_epochs=5,
        trials_per_epoch=(10, 6, 6, 4, 4),
    )  # fmt: skip
    assert trials_work(plan, expected) == (
        Work("trials, phase one", 10, 1.6, 16, 259),
        Work("trials, phase two", 10, 1.4, 16, 259),
    )
    judging = [work.epochs for work in confirmation_work(plan, expected)]
    assert judging == [2, 3]
