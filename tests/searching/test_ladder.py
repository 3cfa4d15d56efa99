"""The rule that ends trials early, against the rule computed independently and Optuna's."""

import random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ktgdsl.plan.model import Call, SearchPlan
from ktgdsl.searching.ladder import Ladder, Standing, ladder, rungs


def search(epochs: int, minimum: int = 1, reduction: int = 2, pruner: str = "asha") -> SearchPlan:
    arguments = {} if pruner == "none" else {"min": minimum, "reduction": reduction}
    return SearchPlan(
        trials=1,
        sampler=Call(name="random", arguments={"seed": 0}),
        pruner=Call(name=pruner, arguments=arguments),
        objective=Call(name="accuracy", arguments={"of": {"node": "a"}, "on": "validation"}),
        epochs=epochs,
        confirm=0,
        dedupe=True,
        workers=None,
    )


@pytest.mark.parametrize(
    ("epochs", "minimum", "reduction", "expected"),
    [
        (20, 1, 2, (1, 2, 4, 8, 16)),
        (16, 1, 2, (1, 2, 4, 8)),  # nobody is ended at the last epoch
        (1, 1, 2, ()),
        (200, 1, 2, (1, 2, 4, 8, 16, 32, 64, 128)),
        (30, 3, 3, (3, 9, 27)),
        (5, 10, 2, ()),
    ],
)
def test_rungs(epochs: int, minimum: int, reduction: int, expected: tuple[int, ...]) -> None:
    assert rungs(search(epochs, minimum, reduction)) == expected


def test_without_a_pruner_there_is_no_rung() -> None:
    assert rungs(search(20, pruner="none")) == ()
    assert ladder(search(20, pruner="none")).arrive(1, 0.0) is None


def test_the_upper_half_goes_on() -> None:
    rule = Ladder((1,), reduction=2)
    arrivals = [50.0, 40.0, 60.0, 55.0, 55.0, 10.0]
    # Of one and of two values the best goes on, of three still one, of four two, of six three.
    assert [rule.arrive(1, value) for value in arrivals] == [
        Standing(1, 1, keep=True),
        Standing(2, 2, keep=False),
        Standing(1, 3, keep=True),
        Standing(2, 4, keep=True),
        Standing(2, 5, keep=True),  # as good as the second of five
        Standing(6, 6, keep=False),
    ]


def test_between_rungs_nobody_is_judged() -> None:
    assert Ladder((1, 2, 4), reduction=2).arrive(3, 0.0) is None


Table = list[list[float]]


def tables(generator: random.Random, trials: int, epochs: int) -> Table:
    """Accuracies of trials by epoch, coarse enough for many to be equal."""
    return [
        [round(generator.uniform(0, 100) * 4) / 4 for _ in range(epochs)] for _ in range(trials)
    ]


def order(
    generator: random.Random, table: Table, rule: Ladder, at_once: int
) -> list[tuple[int, int]]:
    """Arrivals (trial, epoch) with so many trials under way, out of order."""
    alive: list[list[int]] = []
    waiting = list(range(len(table)))
    arrivals = []
    while alive or waiting:
        while waiting and len(alive) < at_once:
            alive.append([waiting.pop(0), 1])
        chosen = generator.choice(alive)
        trial, epoch = chosen
        arrivals.append((trial, epoch))
        standing = rule.arrive(epoch, table[trial][epoch - 1])
        chosen[1] += 1
        if epoch == len(table[trial]) or (standing is not None and not standing.keep):
            alive.remove(chosen)
    return arrivals


@pytest.mark.parametrize(("reduction", "minimum"), [(2, 1), (3, 1), (2, 2), (4, 3)])
def test_decisions_are_those_of_the_paper(reduction: int, minimum: int) -> None:
    """Thousands of trials: whoever is below the best 1/reduction seen so far is ended."""
    generator = random.Random(reduction * 10 + minimum)
    epochs = 17
    table = tables(generator, 3000, epochs)
    steps = rungs(search(epochs, minimum, reduction))
    arrivals = order(generator, table, Ladder(steps, reduction), at_once=8)
    rule = Ladder(steps, reduction)
    seen: dict[int, list[float]] = {rung: [] for rung in steps}
    ended = 0
    for trial, epoch in arrivals:
        value = table[trial][epoch - 1]
        standing = rule.arrive(epoch, value)
        if epoch not in seen:
            assert standing is None
            continue
        seen[epoch].append(value)
        best = sorted(seen[epoch], reverse=True)[: max(1, len(seen[epoch]) // reduction)]
        assert standing is not None
        assert standing.keep == (value >= best[-1])
        assert standing.seen == len(seen[epoch])
        assert standing.place == 1 + sum(other > value for other in seen[epoch])
        ended += not standing.keep
    assert 1000 < ended < 3000
    assert all(epoch <= epochs for _, epoch in arrivals)


def test_decisions_are_those_of_optuna() -> None:
    """The paper's authors use Optuna's pruner; nobody is judged at the last epoch there either."""
    generator = random.Random(7)
    epochs = 9
    table = tables(generator, 60, epochs)
    steps = rungs(search(epochs))
    arrivals = order(generator, table, Ladder(steps, 2), at_once=5)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(
        min_resource=1, reduction_factor=2, min_early_stopping_rate=0
    )
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner
    )
    rule = Ladder(steps, 2)
    asked: dict[int, optuna.Trial] = {}
    for number, epoch in arrivals:
        trial = asked.setdefault(number, study.ask()) if number not in asked else asked[number]
        value = table[number][epoch - 1]
        trial.report(value, epoch)
        standing = rule.arrive(epoch, value)
        if epoch < epochs:
            assert trial.should_prune() == (standing is not None and not standing.keep)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(2, 4))
def test_what_was_judged_before_counts_the_same(values: list[int], reduction: int) -> None:
    """A rule that remembers trials goes on as the one that has judged them."""
    one, other = Ladder((1,), reduction), Ladder((1,), reduction)
    for value in values[:-1]:
        one.arrive(1, value)
        other.remember({1: value, 2: 0.0})
    last = one.arrive(1, values[-1])
    other.remember({1: values[-1]})
    assert other.standing(1, values[-1]) == last
