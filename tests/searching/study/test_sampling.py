"""Samplers draw points that are valid, distinct, and the same after a restart."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ktgdsl.plan.model import Draw, Plan
from ktgdsl.searching.study.sampling import DistinctSampler, ExhaustedError, Params, Sample
from ktgdsl.searching.study.study import Study
from ktgdsl.searching.study.trial_plans import labels, point, trial_plan
from ktgdsl.space.size import size
from tests.specs import sound

optuna.logging.set_verbosity(optuna.logging.WARNING)

Told = Callable[[Sample], float]
"""What a point is worth."""

TWO = """
let each gate = through | cutoff | linear | correct
graph g {{
    node m1 = resnet8
    node m2 = resnet8 | resnet14
    target m1
    edge label -> * : ce via gate
    edge * -> * : kl via gate
}}
search {{ sampler = {} trials = 1000 }}
"""


def drawn(
    plan: Plan, count: int, sampler: DistinctSampler | None = None, told: Told | None = None
) -> list[Sample]:
    """So many points, each told to a study with a value; fewer where no more are left."""
    sampler = sampler or DistinctSampler(plan)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    found: list[Sample] = []
    for number in range(count):
        try:
            trial = study.ask(sampler.distributions)
        except ExhaustedError:
            break
        sample = sampler.sample
        assert sample is not None
        assert trial.params == sample.params
        sampler.remember(sample.params, sample.plan.canonical_digest)
        study.tell(trial, told(sample) if told else float(number % 7))
        found.append(sample)
    return found


@pytest.mark.parametrize(
    ("sampler", "gates"),
    [
        ("random(seed=0)", "through | cutoff | linear | correct"),
        ("tpe(seed=0)", "through | cutoff"),
        ("nsga2(seed=0, population=4)", "through | cutoff"),
        ("all", "through | cutoff | linear | correct"),
    ],
)
def test_each_distinct_graph_once_and_then_no_more(sampler: str, gates: str) -> None:
    plan = sound(TWO.format(sampler).replace("through | cutoff | linear | correct", gates))
    graphs = [each.plan.canonical_digest for each in drawn(plan, 1000)]
    assert len(graphs) == len(set(graphs)) == size(plan).distinct
    assert len(graphs) > 10  # more than a sampler that learns begins with at random


def test_what_is_known_to_be_all_needs_no_more_draws() -> None:
    plan = sound(TWO.format("random"))
    assert len(drawn(plan, 10, DistinctSampler(plan, distinct=3))) == 3


def test_without_dedupe_draws_are_even_and_graphs_come_again() -> None:
    """Every option comes as often as another; invalid points, which are few, do not come."""
    plan = sound(TWO.format("random(seed=0) dedupe = false"))
    found = drawn(plan, 600)
    assert len(found) == 600
    assert len({each.plan.canonical_digest for each in found}) < 600
    for each in found:
        assert each.plan.graph.into("m1")
    counts = Counter(each.params["edge.label->m2.gate"] for each in found)
    assert set(counts) == {"through", "cutoff", "linear", "correct"}
    assert all(110 < count < 190 for count in counts.values())


def test_other_seeds_give_other_points() -> None:
    one, other = (drawn(sound(TWO.format(f"random(seed={seed})")), 5) for seed in (0, 1))
    assert [each.params for each in one] != [each.params for each in other]


@pytest.mark.parametrize(
    "sampler", ["random(seed=3)", "tpe(seed=3)", "nsga2(seed=3, population=4)", "all"]
)
def test_after_a_restart_the_same_points_follow(sampler: str, tmp_path: Path) -> None:
    plan = sound(TWO.format(sampler))

    def asked(path: Path, *, restarts: bool) -> list[Params]:
        found = []
        study = Study(path, "g", DistinctSampler(plan))
        for number in range(24):
            found.append(study.ask(seed=0).params)
            study.report(number, 1, float(number % 7), last=True)
            if restarts:
                study = Study(path, "g", DistinctSampler(plan))
        return found

    whole = asked(tmp_path / "whole", restarts=False)
    assert asked(tmp_path / "restarted", restarts=True) == whole
    assert len({tuple(each.values()) for each in whole}) == 24


def test_tpe_goes_where_values_are_high() -> None:
    """A point is worth the number of its gates that are linear."""

    def worth(sample: Sample) -> int:
        return sum(value == "linear" for value in sample.params.values())

    late = {
        name: sum(map(worth, drawn(plan, 60, told=worth)[30:]))
        for name in ("random", "tpe")
        for plan in [sound(TWO.format(f"{name}(seed=0) dedupe = false"))]
    }
    assert 15 < late["random"] < 45  # of four gates in 30 points a quarter
    assert late["tpe"] > 60


def test_a_space_with_one_point_has_one_trial(tmp_path: Path) -> None:
    """Optuna asks no sampler for a value where there is but one."""
    text = "graph g { node a = resnet8 target a edge label -> a } train { epochs = 3 .. 3 }"
    plan = sound(text)
    study = Study(tmp_path / "j", "g", DistinctSampler(plan))
    assert study.ask(seed=0).params == {"train.epochs": 3}
    with pytest.raises(ExhaustedError):
        study.ask(seed=0)
    assert len(study.trials) == 1


class Stubborn(optuna.samplers.RandomSampler):
    """A sampler of one's own, which proposes one point again and again."""

    def sample_independent(self, *arguments: Any) -> Any:
        """The first option of every draw."""
        return arguments[-1].choices[0]


SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "brute force": lambda: optuna.samplers.BruteForceSampler(seed=1),
    "NSGA-II": lambda: optuna.samplers.NSGAIISampler(population_size=8, seed=1),
    "univariate TPE": lambda: optuna.samplers.TPESampler(seed=1),
    "own": Stubborn,
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_sampler_proposes_and_no_graph_comes_twice(name: str, tmp_path: Path) -> None:
    plan = sound(TWO.format("random").replace("through | cutoff | linear | correct", "0 | 1"))
    study = Study(tmp_path / "j", "g", DistinctSampler(plan, SAMPLERS[name]()))
    graphs = []
    for number in range(20):
        try:
            graphs.append(study.ask(seed=0).plan.canonical_digest)
        except ExhaustedError:
            break
        study.report(number, 1, float(number % 5), last=True)
    assert len(graphs) == len(set(graphs)) == min(20, size(plan).distinct or 0)
    again = optuna.load_study(
        study_name="g", storage=JournalStorage(JournalFileBackend(str(tmp_path / "j")))
    )
    assert [trial.user_attrs["graph"] for trial in again.trials] == graphs


def test_a_grid_ends_the_search_when_it_has_been_gone_through(tmp_path: Path) -> None:
    """As its sampler asks the study to stop; also after a restart."""
    plan = sound(TWO.format("random"))
    assert plan.space is not None
    grid = {draw.name: labels(draw)[:1] for draw in plan.space.draws}
    grid["node.m2"] = ("resnet8", "resnet14")

    def study() -> Study:
        sampler = optuna.samplers.GridSampler(grid, seed=0)
        return Study(tmp_path / "j", "g", DistinctSampler(plan, sampler))

    first = study()
    points = [first.ask(seed=0).params["node.m2"] for _ in range(2)]
    assert sorted(points) == ["resnet14", "resnet8"]
    for number in range(2):
        first.report(number, 1, 1.0, last=True)
    for each in (first, study()):
        with pytest.raises(ExhaustedError):
            each.ask(seed=0)


def test_ranges_are_drawn_within_their_ends_on_their_scale() -> None:
    plan = sound(
        """
        graph g { node a = resnet8 target a edge label -> a via 0.25 .. 0.75 }
        train { optimizer = sgd(lr=log(1e-4 .. 1)) epochs = 2 .. 4 }
        search { trials = 200 }
        """
    )
    found = drawn(plan, 200)
    rates = [each.params["train.optimizer.lr"] for each in found]
    assert all(1e-4 <= rate <= 1 for rate in rates)
    assert 60 < sum(rate < 1e-2 for rate in rates) < 140  # half of the decades
    assert {each.params["train.epochs"] for each in found} == {2, 3, 4}
    assert all(0.25 <= each.params["edge.label->a.gate"] <= 0.75 for each in found)
    assert all(
        each.plan.train.optimizer.arguments["lr"] == rate
        for each, rate in zip(found, rates, strict=True)
    )


def test_a_trial_holds_a_validation_split_out_and_has_the_search_s_epochs() -> None:
    plan = sound(TWO.format("random epochs = 3") + "train { epochs = 9 repeats = 4 }")
    (one,) = drawn(plan, 1)
    assert one.plan.data.holdout
    assert (one.plan.train.epochs, one.plan.train.repeats) == (3, 1)
    assert one.plan == trial_plan(plan, one.params)


def test_options_that_are_written_alike_are_told_apart() -> None:
    draw = Draw(name="x", options=("through", "linear", "through", "through"))
    assert labels(draw) == ("through", "linear", "through (2)", "through (3)")
    assert point((draw,), {"x": "through (3)"}) == {"x": 3}
