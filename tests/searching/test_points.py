"""Points of a space as Optuna's samplers draw them: valid, distinct, and the same every time."""

from collections import Counter

import optuna
import pytest

from ktgdsl.plan.model import Draw, Plan
from ktgdsl.searching.points import Picked, Picker, labels, point, trial_plan
from ktgdsl.space.size import size
from tests.specs import sound

optuna.logging.set_verbosity(optuna.logging.WARNING)

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


def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))


def tell(asked: optuna.Study, picker: Picker, one: Picked, value: float) -> None:
    """A trial with its value. Samplers only look at the trials again when one is told."""
    running = optuna.trial.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params=one.params,
        distributions=dict(picker.distributions),
    )
    asked.add_trial(running)
    asked.tell(len(asked.get_trials(deepcopy=False)) - 1, value)


def picked(plan: Plan, count: int, picker: Picker | None = None) -> list[Picked]:
    """So many points, each told to the study with a value, as a search does."""
    picker = picker or Picker(plan)
    asked = study()
    found = []
    for number in range(count):
        one = picker.pick(asked, number)
        if one is None:
            break
        found.append(one)
        tell(asked, picker, one, float(number % 7))
    return found


@pytest.mark.parametrize(
    ("sampler", "gates"),
    [
        ("random(seed=0)", "through | cutoff | linear | correct"),
        ("tpe(seed=0)", "through | cutoff"),
        ("all", "through | cutoff | linear | correct"),
    ],
)
def test_each_distinct_graph_once_and_then_no_more(sampler: str, gates: str) -> None:
    plan = sound(TWO.format(sampler).replace("through | cutoff | linear | correct", gates))
    graphs = [each.plan.canonical_digest for each in picked(plan, 1000)]
    assert len(graphs) == len(set(graphs)) == size(plan).distinct
    assert len(graphs) > 10  # more than a sampler that learns begins with at random


def test_what_is_known_to_be_all_needs_no_more_draws() -> None:
    plan = sound(TWO.format("random"))
    picker = Picker(plan, distinct=3)
    assert len(picked(plan, 10, picker)) == 3


def test_without_dedupe_graphs_come_again_and_invalid_points_do_not() -> None:
    plan = sound(TWO.format("random(seed=0) dedupe = false"))
    found = picked(plan, 600)
    assert len(found) == 600
    assert len({each.plan.canonical_digest for each in found}) < 600
    for each in found:
        assert each.plan.graph.into("m1")


def test_draws_are_even() -> None:
    """Without dedupe every option comes as often as another; invalid points are few."""
    plan = sound(TWO.format("random(seed=0) dedupe = false"))
    found = picked(plan, 600)
    counts = Counter(each.params["edge.label->m2.gate"] for each in found)
    assert set(counts) == {"through", "cutoff", "linear", "correct"}
    assert all(110 < count < 190 for count in counts.values())


def test_other_seeds_give_other_points() -> None:
    one, other = (picked(sound(TWO.format(f"random(seed={seed})")), 5) for seed in (0, 1))
    assert [each.params for each in one] != [each.params for each in other]


@pytest.mark.parametrize("sampler", ["random(seed=3)", "tpe(seed=3)"])
def test_a_picker_that_remembers_goes_on_as_if_it_had_picked(sampler: str) -> None:
    plan = sound(TWO.format(sampler))
    whole = [each.params for each in picked(plan, 30)]
    assert whole == [each.params for each in picked(plan, 30)]
    asked, first, second = study(), Picker(plan), Picker(plan)
    found: list[Picked] = []
    for number in range(30):
        if number == 17:
            for each in found:
                second.remember(each.params, each.plan.canonical_digest)
        one = (first if number < 17 else second).pick(asked, number)
        assert one is not None
        found.append(one)
        tell(asked, first, one, float(number % 7))
    assert [each.params for each in found] == whole


def test_tpe_goes_where_values_are_high() -> None:
    """A point is worth the number of its gates that are linear."""

    def worth(sampler: str) -> list[int]:
        plan = sound(TWO.format(f"{sampler}(seed=0) dedupe = false"))
        picker, asked, found = Picker(plan), study(), []
        for number in range(60):
            one = picker.pick(asked, number)
            assert one is not None
            found.append(sum(value == "linear" for value in one.params.values()))
            tell(asked, picker, one, found[-1])
        return found

    late = {name: sum(worth(name)[30:]) for name in ("random", "tpe")}
    assert 15 < late["random"] < 45  # of four gates in 30 points a quarter
    assert late["tpe"] > 60


def test_all_goes_on_after_what_was_asked() -> None:
    plan = sound(TWO.format("all"))
    whole = [each.params for each in picked(plan, 20)]
    second = Picker(plan)
    for each in picked(plan, 8):
        second.remember(each.params, each.plan.canonical_digest)
    assert [each.params for each in picked(plan, 12, second)] == whole[8:]


def test_ranges_are_drawn_within_their_ends_on_their_scale() -> None:
    plan = sound(
        """
        graph g { node a = resnet8 target a edge label -> a via 0.25 .. 0.75 }
        train { optimizer = sgd(lr=log(1e-4 .. 1)) epochs = 2 .. 4 }
        search { trials = 200 }
        """
    )
    found = picked(plan, 200)
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
    (one,) = picked(plan, 1)
    assert one.plan.data.holdout
    assert (one.plan.train.epochs, one.plan.train.repeats) == (3, 1)
    assert one.plan == trial_plan(plan, one.params)


def test_options_that_are_written_alike_are_told_apart() -> None:
    draw = Draw(name="x", options=("through", "linear", "through", "through"))
    assert labels(draw) == ("through", "linear", "through (2)", "through (3)")
    assert point((draw,), {"x": "through (3)"}) == {"x": 3}
