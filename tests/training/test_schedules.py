"""Learning rates by hand: every schedule, and warm-up."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LRScheduler

from ktgdsl.plan.model import Call
from ktgdsl.training.schedules import SCHEDULES, learning_rate
from ktgdsl.vocabulary.registry import words

# Schedules: 10 steps an epoch, 100 in all, unless said otherwise


def rates(
    schedule: str, arguments: Mapping[str, Any], *, base: float = 1.0, steps: int = 100
) -> list[float]:
    call = Call(name=schedule, arguments={"warmup": 0.0, **arguments})
    return [learning_rate(call, base, k, 10, steps) for k in range(1, steps + 1)]


def test_constant() -> None:
    assert rates("constant", {}, base=0.3) == [0.3] * 100


def test_step_drops_after_full_epochs() -> None:
    # Four stairs of three epochs; the last one is cut short by the end.
    expected = [1.0] * 30 + [0.1] * 30 + [0.1**2] * 30 + [0.1**3] * 10
    assert rates("step", {"every": 3.0, "gamma": 0.1}) == expected


def test_the_papers_schedule_drops_after_60_120_and_180_epochs() -> None:
    call = Call(name="step", arguments={"every": 60.0, "gamma": 0.1, "warmup": 0.0})
    per_epoch, steps = 781, 200 * 781
    given = [
        learning_rate(call, 0.1, epoch * per_epoch + offset, per_epoch, steps)
        for epoch in (60, 120, 180)
        for offset in (0, 1)
    ]
    assert given == pytest.approx([0.1, 0.01, 0.01, 0.001, 0.001, 0.0001], rel=1e-12)


def test_a_percentage_of_the_steps_is_exact() -> None:
    assert rates("step", {"every": {"percent": 30}, "gamma": 0.5}, steps=420) == (
        [1.0] * 126 + [0.5] * 126 + [0.25] * 126 + [0.125] * 42
    )


@pytest.mark.parametrize(
    ("percent", "steps", "full"),
    # In floating point 7 / 100 * 100 is more than 7, and so on: the drop would come late.
    [(7, 100, 7), (14, 300, 42), (55, 420, 231), (56, 50, 28), (12.5, 1000, 125), (100, 30, 30)],
)
def test_no_percentage_is_rounded(percent: float, steps: int, full: int) -> None:
    given = rates("multistep", {"at": [{"percent": percent}], "gamma": 0.0}, steps=steps)
    assert given == [1.0] * full + [0.0] * (steps - full)


def test_a_percentage_between_two_steps_drops_at_the_next() -> None:
    # 30 % of 5 steps is 1.5: step 2 begins before it, step 3 after it.
    given = rates("step", {"every": {"percent": 30}, "gamma": 0.5}, steps=5)
    assert given == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_multistep_mixes_epochs_and_percentages() -> None:
    given = rates("multistep", {"at": [2.0, {"percent": 50}, 9.5], "gamma": 0.5})
    assert given == [1.0] * 20 + [0.5] * 30 + [0.25] * 45 + [0.125] * 5


def test_a_drop_is_a_power_not_a_running_product() -> None:
    given = rates("step", {"every": 0.1, "gamma": 0.7}, steps=50)
    assert given == [0.7**n for n in range(50)]


def test_cosine() -> None:
    given = rates("cosine", {"minimum": 0.2}, base=0.5)
    k = np.arange(1, 101)
    expected = 0.5 * (0.2 + 0.8 * (1 + np.cos(np.pi * (k - 1) / 100)) / 2)
    np.testing.assert_allclose(given, expected, rtol=1e-14)
    assert given[0] == 0.5
    assert given[50] == pytest.approx(0.3)


def torchs(kind: type[LRScheduler], epochs: int, **arguments: Any) -> list[float]:
    """The rates of one of torch's schedules that is stepped once an epoch, from 0.5 on."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = kind(optimizer, **arguments)
    found = []
    for _ in range(epochs):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def test_exponential_is_torchs() -> None:
    given = rates("exponential", {"gamma": 0.9}, base=0.5)
    assert given == [0.5 * 0.9**epoch for epoch in range(10) for _ in range(10)]
    assert given[::10] == pytest.approx(torchs(ExponentialLR, 10, gamma=0.9), rel=1e-12)


def test_cosine_by_epoch_is_torchs() -> None:
    given = rates("cosine", {"minimum": 0.2, "by": "epoch"}, base=0.5)
    assert given == [rate for rate in given[::10] for _ in range(10)]
    theirs = torchs(CosineAnnealingLR, 10, T_max=10, eta_min=0.2 * 0.5)
    assert given[::10] == pytest.approx(theirs, rel=1e-12)
    assert given[-1] > 0.1  # of the last of ten epochs, not of the end


@pytest.mark.parametrize("warmup", [2.0, {"percent": 20}])
def test_warm_up_rises_to_the_full_rate(warmup: object) -> None:
    given = rates("constant", {"warmup": warmup}, base=0.5)
    assert given[:20] == [0.5 * (k / 20) for k in range(1, 21)]
    assert given[20:] == [0.5] * 80


def test_warm_up_does_not_shift_the_schedule() -> None:
    given = rates("step", {"every": 3.0, "gamma": 0.1, "warmup": 1.0})
    assert given[9:30] == [1.0] * 21
    assert given[30] == 0.1
    cosine = rates("cosine", {"minimum": 0.0, "warmup": 1.0})
    assert cosine[4] == pytest.approx(0.5 * (1 + math.cos(math.pi * 4 / 100)) / 2)
    assert cosine[10] == pytest.approx((1 + math.cos(math.pi * 10 / 100)) / 2)


def test_a_rate_is_a_plain_number() -> None:
    every: list[object] = [
        rates("constant", {"warmup": 1.0})[0],
        rates("cosine", {"minimum": 0})[1],
    ]
    assert all(type(rate) is float for rate in every)


def test_every_schedule_of_the_language_has_a_function() -> None:
    assert sorted(SCHEDULES) == words("schedule")
