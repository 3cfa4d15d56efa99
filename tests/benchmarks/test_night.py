"""A search by simulation takes as long as its trainings say."""

from pathlib import Path
from statistics import fmean, pvariance

import pytest

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.searching.study.trial_plans import for_trial
from tests.benchmarks.night import SPACE, Mix, Search, mix
from tests.benchmarks.simulated import Training, everybody, halves, judged, simulate
from tests.benchmarks.step_costs import Cost, Rates, Table, flops, read

RUNGS = (1, 2, 4, 8, 16, 32, 64, 128)


@pytest.mark.parametrize("workers", [1, 7])
def test_of_1500_trials_exactly_the_half_goes_on_at_each_rung(workers: int) -> None:
    found = simulate([Training(0, 1, 200)] * 1500, RUNGS, halves(), workers)
    counts = [1500, 750, 375, 187, 93, 46, 23, 11, 5]
    assert [found.reached(epoch) for epoch in (*RUNGS, 200)] == counts
    # 1 epoch of 1500, 1 more of 750, 2 of 375, 4 of 187, ..., 64 of 11, and 72 of 5.
    assert sum(found.epochs) == 1500 + 750 + 750 + 748 + 744 + 736 + 736 + 704 + 360


def test_one_worker_takes_the_sum() -> None:
    trainings = [Training(1, 2, 3), Training(0, 5, 1), Training(4, 0.5, 10)]
    found = simulate(trainings, RUNGS, everybody, 1, coordinator=0.25)
    assert found.seconds == (1 + 6) + 5 + (4 + 5) + 3 * 0.25
    assert found.epochs == (3, 1, 10)


@pytest.mark.parametrize(("count", "turns"), [(1, 1), (2, 1), (4, 2), (5, 3)])
def test_two_equal_workers_take_turns_together(count: int, turns: int) -> None:
    assert simulate([Training(0, 2, 6)] * count, RUNGS, everybody, 2).seconds == turns * 12


def test_a_worker_is_free_as_soon_as_its_training_is_ended() -> None:
    def keep(number: int, epoch: int) -> bool:
        return number != 0

    found = simulate([Training(0, 1, 3), Training(0, 1, 5), Training(0, 1, 3)], (1, 2), keep, 2)
    assert found.epochs == (1, 5, 3)
    assert found.seconds == 5  # the third one was under way from 1 to 4


def test_workers_wait_for_the_one_coordinator() -> None:
    found = simulate([Training(0, 10, 1)] * 3, (), everybody, 3, coordinator=2)
    assert found.seconds == 3 * 2 + 10


def test_trials_arrive_in_the_order_of_time() -> None:
    asked: list[tuple[int, int]] = []

    def keep(number: int, epoch: int) -> bool:
        asked.append((number, epoch))
        return True

    simulate([Training(0, 5, 4), Training(0, 1.5, 4)], (1, 2), keep, 2)
    assert asked == [(1, 1), (1, 2), (0, 1), (0, 2)]  # at 1.5, 3, 5 and 10 s


def values(noise: float) -> dict[int, list[float]]:
    """What a rule sees that ends what is below 0."""
    seen: dict[int, list[float]] = {1: [], 64: []}

    def goes_on(epoch: int, value: float) -> bool:
        seen[epoch].append(value)
        return value >= 0

    keep = judged(goes_on, noise, seed=0)
    for number in range(4000):
        for epoch in (1, 64):
            assert keep(number, epoch) is (seen[epoch][-1] >= 0)
    return seen


def test_simulated_accuracies_have_the_variances_that_are_told() -> None:
    quality, noisy = values(0), values(1)
    assert quality[1] == quality[64]
    assert fmean(quality[1]) == pytest.approx(0, abs=0.05)
    assert pvariance(quality[1]) == pytest.approx(1, rel=0.1)
    for epoch in (1, 64):
        chance = [a - b for a, b in zip(noisy[epoch], quality[epoch], strict=True)]
        assert pvariance(chance) == pytest.approx(1 / epoch, rel=0.1)


COSTS = {"resnet32": Cost(2.0, 0.5), "resnet110": Cost(7.0, 1.5), "wrn28_2": Cost(5.0, 1.0)}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return for_trial(ktgdsl.load(SPACE))


def test_what_an_epoch_costs(plan: Plan) -> None:
    graph = Mix(("resnet32", "wrn28_2"), ("resnet110",), "resnet32")
    assert graph.step(COSTS, 64) == 2 + 5 + 64 * 1.5
    # 40,000 images by 64 are 625 steps; the target sees 10,000 more.
    assert Search(plan, [], [], []).epoch(graph, COSTS) == 625 * 103 + 10_000 * 0.5


def test_the_networks_of_a_plan() -> None:
    text = "graph g {{ {} = resnet32\n b = wrn28_2\n target a\n edge label, b -> a }}"
    found = ktgdsl.loads(text.format("node a").replace("\n b", "\n node b"))
    assert mix(found) == Mix(("resnet32",), ("wrn28_2",), "resnet32")


def test_phases_come_one_after_the_other(plan: Plan) -> None:
    one = Mix(("resnet32",), (), "resnet32")
    epoch = 625 * 2.0 + 10_000 * 0.5
    seconds, trials = Search(plan, [one], [one] * 4, [one] * 2).run(everybody, 2, COSTS, 3, 0)
    assert trials.epochs == (200,) * 4
    assert seconds == (1 + 2 + 1) * (3 + 200 * epoch)


@pytest.mark.parametrize("at", [1, 3])
def test_the_step_that_is_needed(plan: Plan, at: int) -> None:
    """Of 3 trials of 200 epochs of (625 + 10,000 / 4) steps' worth, and 10 s before each."""
    search = Search(plan, [], [Mix(("resnet32",), (), "resnet32")] * 3, [])
    found = search.needed(lambda: everybody, at, COSTS, 10.0, 8 * 3600.0)
    turns = 3 // at
    assert found == pytest.approx((8 * 3600 - 30) / (turns * 200 * (625 + 2500)))
    assert search.needed(lambda: everybody, at, COSTS, 3 * 3600.0, 8 * 3600.0) is None


def test_operations_of_a_resnet32() -> None:
    """Its 31 convolutions and one product, by hand: 16, 32 and 64 channels at 32, 16 and 8."""
    first, last = 32 * 32 * 9 * 3 * 16, 64 * 100
    stages = (
        10 * 32**2 * 9 * 16**2
        + (16**2 * 9 * 16 * 32 + 9 * 16**2 * 9 * 32**2)
        + (8**2 * 9 * 32 * 64 + 9 * 8**2 * 9 * 64**2)
    )
    forward = 2 * (first + stages + last)
    assert flops()["resnet32"].image == forward
    # Backwards every product is made twice, but for the image no gradient is needed.
    assert flops()["resnet32"].step == 64 * (3 * forward - 2 * first)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = Table("here", "cpu, fp32", (Rates(2, 0.5, 1.1, COSTS),))
    table.write(tmp_path / "table.json")
    assert read(tmp_path / "table.json") == table
