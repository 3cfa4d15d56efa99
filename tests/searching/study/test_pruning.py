"""The pruner ends trials as the paper says, and its prediction without Optuna is the same."""

import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial, TrialState

from ktgdsl.plan.model import Call, SearchPlan
from ktgdsl.searching.rungs import SimulatedHalving, rungs
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.study import GRAPH, Study, reason_of, standing_of

EPOCHS = 9


def search(
    epochs: int = EPOCHS, minimum: int = 1, reduction: int = 2, pruner: str = "asha"
) -> SearchPlan:
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


def test_without_a_pruner_everybody_goes_on() -> None:
    nobody = search(pruner="none")
    assert rungs(nobody) == ()
    assert SimulatedHalving(nobody).continues(1, 0.0)
    assert isinstance(pruner_of(nobody), NopPruner)


def test_the_upper_half_goes_on() -> None:
    rule = SimulatedHalving(search())
    arrivals = [50.0, 40.0, 60.0, 55.0, 55.0, 10.0]
    # Of one and of two values the best goes on, of three still one, of four two, of six three;
    # the second 55 is as good as the second of five.
    kept = [True, False, True, True, True, False]
    assert [rule.continues(1, value) for value in arrivals] == kept
    assert rule.continues(3, 0.0)  # no rung


class History:
    """Trials with accuracies by epoch, coarse enough for many to be equal, out of order."""

    def __init__(
        self,
        path: Path,
        plan: SearchPlan,
        trials: int,
        seed: int,
        pruner: BasePruner | None = None,
    ) -> None:
        self.generator = random.Random(seed)
        self.plan = plan
        self.path = path
        self.study = Study(path, "g", pruner=pruner or pruner_of(plan))
        self.values = [
            [self.generator.randrange(400) / 4 for _ in range(plan.epochs)] for _ in range(trials)
        ]
        self.arrivals: list[tuple[int, int, bool]] = []

    def play(self, at_once: int, *, restarts: bool = False) -> None:
        """With so many trials under way; with `restarts` the study is opened anew each time."""
        waiting = list(self.values)
        alive: dict[int, int] = {}  # the last epoch of trials under way
        while alive or waiting:
            while waiting and len(alive) < at_once:
                asked = self.study.optuna.ask()
                asked.set_user_attr(GRAPH, "")  # a trial without one is another program's
                alive[asked.number] = 0
                waiting.pop()
            trial = self.generator.choice(sorted(alive))
            alive[trial] = epoch = alive[trial] + 1
            value, last = self.values[trial][epoch - 1], epoch == self.plan.epochs
            state = self.study.report(trial, epoch, value, last=last)
            self.arrivals.append((trial, epoch, state != TrialState.PRUNED))
            if state != TrialState.RUNNING:
                del alive[trial]
            if restarts:
                self.study = Study(self.path, "g", pruner=pruner_of(self.plan))


RULES = [(2, 1), (3, 1), (2, 2), (4, 3)]


@pytest.mark.parametrize(("reduction", "minimum"), RULES)
def test_who_is_below_the_best_seen_so_far_is_ended(
    tmp_path: Path, reduction: int, minimum: int
) -> None:
    """Against the paper's sentence, computed anew for every arrival."""
    plan = search(minimum=minimum, reduction=reduction)
    history = History(tmp_path / "j", plan, 80, seed=reduction * 10 + minimum)
    history.play(at_once=8)
    seen: dict[int, list[float]] = {epoch: [] for epoch in rungs(plan)}
    for trial, epoch, kept in history.arrivals:
        value = history.values[trial][epoch - 1]
        if epoch not in seen:
            assert kept
            continue
        seen[epoch].append(value)
        best = sorted(seen[epoch], reverse=True)[: max(1, len(seen[epoch]) // reduction)]
        assert kept == (value >= best[-1])
    assert 20 < sum(not kept for _, _, kept in history.arrivals) < 80


@pytest.mark.parametrize(("reduction", "minimum"), RULES)
def test_the_prediction_without_optuna_is_the_same(
    tmp_path: Path, reduction: int, minimum: int
) -> None:
    plan = search(minimum=minimum, reduction=reduction)
    history = History(tmp_path / "j", plan, 80, seed=reduction + minimum)
    history.play(at_once=5)
    rule = SimulatedHalving(plan)
    for trial, epoch, kept in history.arrivals:
        assert rule.continues(epoch, history.values[trial][epoch - 1]) == kept


@pytest.mark.parametrize(("reduction", "minimum"), RULES)
@pytest.mark.parametrize("restarts", [False, True])
def test_a_pruned_trial_has_its_standing_at_that_time(
    tmp_path: Path, reduction: int, minimum: int, restarts: bool
) -> None:
    """Against all arrivals up to then, counted anew, as the paper's rule sees them."""
    trials = 16 if restarts else 40  # opening a study reads all of its journal
    history = History(tmp_path / "j", search(minimum=minimum, reduction=reduction), trials, seed=3)
    history.play(at_once=6, restarts=restarts)
    ended = Study(tmp_path / "j", "g").trials
    seen: dict[int, list[float]] = {}
    for trial, epoch, kept in history.arrivals:
        value = history.values[trial][epoch - 1]
        values = seen.setdefault(epoch, [])
        values.append(value)
        if not kept:
            standing = standing_of(ended[trial])
            assert standing is not None
            assert (standing.epoch, standing.value) == (epoch, value)
            assert standing.values == len(values)
            assert standing.place == 1 + sum(other > value for other in values)
            assert standing.kept == max(1, len(values) // reduction) < standing.place
    for each in ended:
        assert (standing_of(each) is None) == (each.state != TrialState.PRUNED)


def test_a_standing_in_words(tmp_path: Path) -> None:
    """The issue's own: five values before it, of which four are better."""
    study = Study(tmp_path / "j", "g", pruner=pruner_of(search()))
    for number, value in enumerate([10.0, 20.0, 30.0, 40.0, 50.0, 15.0]):
        study.optuna.ask()
        study.report(number, 1, value, last=False)
    assert str(study.standing(5)) == "place 5 of 6 at epoch 1"
    assert reason_of(study.trials[5]) == "place 5 of 6 at epoch 1"
    assert reason_of(study.trials[4]) == ""


def test_what_was_judged_before_a_restart_counts_once(tmp_path: Path) -> None:
    one, other = (History(tmp_path / name, search(), 40, seed=5) for name in ("one", "other"))
    one.play(at_once=4)
    other.play(at_once=4, restarts=True)
    assert one.arrivals == other.arrivals


@pytest.mark.parametrize(("reduction", "minimum"), RULES)
def test_the_index_decides_and_stores_as_optunas_pruner_does(
    tmp_path: Path, reduction: int, minimum: int
) -> None:
    plan = search(minimum=minimum, reduction=reduction)
    optunas = SuccessiveHalvingPruner(
        min_resource=minimum, reduction_factor=reduction, min_early_stopping_rate=0
    )
    ours = History(tmp_path / "ours", plan, 120, seed=minimum)
    theirs = History(tmp_path / "theirs", plan, 120, seed=minimum, pruner=optunas)
    for history in (ours, theirs):
        history.play(at_once=7)
    assert ours.arrivals == theirs.arrivals
    stored = [[t.system_attrs for t in each.study.trials] for each in (ours, theirs)]
    assert stored[0] == stored[1]
    assert sum(not kept for _, _, kept in ours.arrivals) > 30


def test_a_decision_goes_through_the_trials_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path / "j", search(), 30, seed=1)
    looks = 0
    get_trials = optuna.Study.get_trials

    def counted(self: optuna.Study, *args: Any, **options: Any) -> list[FrozenTrial]:
        nonlocal looks
        looks += 1
        return get_trials(self, *args, **options)

    pruner = pruner_of(search())
    study = history.study.optuna
    history.play(at_once=3)
    monkeypatch.setattr(optuna.Study, "get_trials", counted)
    trial = study.trials[0]
    before = looks
    for _ in range(5):
        pruner.prune(study, trial)
    assert looks - before == 1
