"""Gates and reductions in closed form and at their boundary steps."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ktgdsl.backend import gates, predicates

K_ENDS = [1, 2, 3, 5, 7, 10, 30, 49, 100, 999, 1000]
FRACTIONS = [Fraction(0), Fraction(1, 5), Fraction(3, 10), Fraction(3, 5), Fraction(1)]


def progress(k: int, k_end: int) -> Tensor:
    return torch.tensor(k, dtype=torch.float64) / k_end


def test_correct_is_one_where_the_top_1_is_the_label() -> None:
    z = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.9, 0.1]], dtype=torch.float64)
    got = predicates.correct(z, torch.tensor([1, 1, -1]))
    assert got.tolist() == [1, 0, 0]
    assert got.dtype == torch.float64
    assert predicates.correct(z.bfloat16(), torch.tensor([1, 1, -1])).dtype == torch.float32


def test_correct_on_pixels() -> None:
    z = torch.tensor([[[3.0, 0.0, 1.0], [2.0, 1.0, 5.0]]])  # (1, 2, 3): top-1 is 0, 1, 1
    assert predicates.correct(z, torch.tensor([[0, 0, 1]])).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("k_end", K_ENDS)
def test_linear_is_k_over_k_end_exactly(k_end: int) -> None:
    for k in range(1, k_end + 1):
        assert gates.linear(k / k_end) == k / k_end
        assert gates.linear(progress(k, k_end)).item() == k / k_end
    assert gates.linear(progress(k_end, k_end)).item() == 1.0


@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (1.0, 0.0), (0.1, 0.3), (0.7, 0.1)])
def test_schedules_end_at_exactly_stop(start: float, stop: float) -> None:
    one = torch.tensor(1.0, dtype=torch.float64)
    assert gates.linear(1.0, start, stop) == stop
    assert gates.linear(one, start, stop).item() == stop
    assert gates.cosine(1.0, start, stop) == stop
    assert gates.cosine(one, start, stop).item() == stop
    middle = (start + stop) / 2
    assert gates.linear(0.5, start, stop) == pytest.approx(middle, abs=1e-15)
    assert gates.cosine(0.5, start, stop) == pytest.approx(middle, abs=1e-15)
    # A third of half a turn: cos(pi / 3) = 1/2, so a quarter of the way.
    quarter = start + (stop - start) / 4
    assert gates.cosine(1 / 3, start, stop) == pytest.approx(quarter, abs=1e-15)
    third = torch.tensor(1 / 3, dtype=torch.float64)
    assert gates.cosine(third, start, stop).item() == pytest.approx(quarter, abs=1e-15)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("k_end", K_ENDS)
def test_until_and_after_split_the_steps_at_the_boundary(k_end: int, fraction: Fraction) -> None:
    share = float(fraction)
    for k in range(1, k_end + 1):
        opened = float(k <= fraction * k_end)  # in exact arithmetic
        number, tensor = k / k_end, progress(k, k_end)
        assert gates.until(number, share) == gates.until(tensor, share) == opened, (k, k_end)
        assert gates.after(number, share) == gates.after(tensor, share) == 1 - opened, (k, k_end)


def test_until_at_a_whole_number_of_epochs() -> None:
    per_epoch, epochs = 7, 30
    k_end = per_epoch * epochs
    for stop in range(epochs + 1):
        share = stop * per_epoch / k_end
        opened = sum(gates.until(k / k_end, share) for k in range(1, k_end + 1))
        assert opened == stop * per_epoch


@pytest.mark.parametrize("fraction", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("k_end", [10, 30])
def test_rampup(k_end: int, fraction: float) -> None:
    for k in range(1, k_end + 1):
        p = k / k_end
        want = math.exp(-5 * (1 - p / fraction) ** 2) if p < fraction else 1.0
        assert gates.rampup(p, fraction) == pytest.approx(want, rel=1e-14)
        assert gates.rampup(progress(k, k_end), fraction).item() == pytest.approx(want, rel=1e-14)
        if p >= fraction:
            assert gates.rampup(p, fraction) == 1.0
            assert gates.rampup(progress(k, k_end), fraction).item() == 1.0


def test_a_rampup_of_no_length_is_open_from_the_first_step() -> None:
    assert gates.rampup(0.01, 0.0) == 1.0
    for dtype in (torch.float32, torch.float64):
        assert gates.rampup(torch.tensor(0.01, dtype=dtype), 0.0).item() == 1.0


SCHEDULES: list[Callable[[Any], Any]] = [
    gates.linear,
    lambda p: gates.linear(p, 1.0, 0.0),
    lambda p: gates.until(p, 0.6),
    lambda p: gates.after(p, 0.6),
    lambda p: gates.rampup(p, 0.6),
    lambda p: gates.cosine(p, 0.0, 1.0),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_returns_what_it_is_given(schedule: Callable[[Any], Any]) -> None:
    number = schedule(0.4)
    assert type(number) is float
    for dtype in (torch.float32, torch.float64):
        got = schedule(torch.tensor(0.4, dtype=dtype))
        assert got.dtype == dtype
        assert got.shape == ()
        assert got.item() == pytest.approx(number, rel=1e-6)


V = np.array([1.0, 2.0, 4.0, 8.0])
W = np.array([0.5, 0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("weight", "total"),
    [
        (None, 15.0),
        (0.5, 7.5),
        (torch.tensor(0.5, dtype=torch.float64), 7.5),
        (torch.from_numpy(W), 4.5),
        (torch.from_numpy(W).float(), 4.5),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reductions_divide_the_weighted_sum(
    weight: gates.Weight, total: float, dtype: torch.dtype
) -> None:
    values = torch.from_numpy(V).to(dtype)
    active = torch.tensor([1.0, 0.0, 1.0, 1.0])
    labeled = gates.count_labeled(torch.tensor([2, -1, -1, 0]))
    got = [
        gates.reduce_mean(values, weight),
        gates.reduce_sum(values, weight),
        gates.reduce_active(values, weight, active),
        gates.reduce_labeled(values, weight, labeled),
    ]
    assert [x.item() for x in got] == pytest.approx([total / 4, total, total / 3, total / 2])
    assert {x.dtype for x in got} == {dtype}
    assert {x.shape for x in got} == {()}


def test_a_float64_schedule_times_float32_samples_stays_float32() -> None:
    values = torch.from_numpy(V).float()
    weight = gates.linear(progress(3, 4)) * torch.tensor([1.0, 0.0, 0.0, 1.0])
    assert weight.dtype == torch.float32
    got = gates.reduce_mean(values, weight)
    assert got.dtype == torch.float32
    assert got.item() == 0.75 * 9 / 4


def test_pixels_are_averaged() -> None:
    values = torch.arange(12.0).reshape(2, 2, 3)
    weight = torch.tensor([1.0, 0.5]).reshape(2, 1, 1).expand(2, 2, 3)
    # Pixel means 2.5 and 8.5, the second at half weight.
    assert gates.reduce_sum(values, weight).item() == pytest.approx(2.5 + 4.25)
    assert gates.reduce_mean(values, weight).item() == pytest.approx((2.5 + 4.25) / 2)
    assert gates.reduce_active(values, weight, weight > 0.6).item() == pytest.approx(40.5 / 6)


@pytest.mark.parametrize("weight", [None, 0.5, torch.zeros(4, dtype=torch.float64)])
def test_nothing_over_nothing_is_zero_without_gradient(weight: gates.Weight) -> None:
    unlabeled = gates.count_labeled(torch.full((4,), -1))
    reductions: list[Callable[[Tensor], Tensor]] = [
        lambda v: gates.reduce_active(v, weight, torch.zeros(4)),
        lambda v: gates.reduce_labeled(v, weight, unlabeled),
    ]
    for reduce in reductions:
        values = torch.from_numpy(V).requires_grad_()
        loss = reduce(values)
        (gradient,) = torch.autograd.grad(loss, values)
        assert loss.item() == 0
        assert loss.dtype == torch.float64
        assert torch.equal(gradient, torch.zeros(4, dtype=torch.float64))


def test_gradients_are_the_weights_over_the_divisor() -> None:
    active, labeled = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor(3)
    weight = torch.from_numpy(W)
    cases: list[tuple[Callable[[Tensor], Tensor], float]] = [
        (lambda v: gates.reduce_mean(v, weight), 4),
        (lambda v: gates.reduce_sum(v, weight), 1),
        (lambda v: gates.reduce_active(v, weight, active), 2),
        (lambda v: gates.reduce_labeled(v, weight, labeled), 3),
    ]
    for reduce, divisor in cases:
        values = torch.from_numpy(V).requires_grad_()
        (gradient,) = torch.autograd.grad(reduce(values), values)
        np.testing.assert_allclose(gradient.numpy(), W / divisor, rtol=1e-15)


def test_a_weight_of_another_shape_is_refused() -> None:
    values = torch.ones(4)
    for shape in [(1,), (4, 1), (5,)]:
        with pytest.raises(ValueError, match=r"the shape \(\) or \(4,\), got \("):
            gates.reduce_mean(values, torch.ones(shape))


def test_count_labeled_counts_pixels() -> None:
    assert gates.count_labeled(torch.tensor([[0, -1, 2], [-1, -1, 1]])).item() == 3


def test_a_sample_is_open_where_any_weight_is() -> None:
    one, other = torch.tensor([0.0, 0.5, 0.0, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert gates.open_share(one, other) == 0.5
    assert gates.open_share(one, torch.tensor(0.25, dtype=torch.float64)) == 1.0
    assert gates.open_share(torch.tensor(0.0, dtype=torch.float64)) == 0.0


def test_the_clock_is_a_double_on_the_device_of_the_images() -> None:
    image = torch.zeros(2, 1, 8, 8)
    made = gates.clock(1 / 3, image)
    assert (made.dtype, made.shape, made.device) == (torch.float64, (), image.device)
    assert made.item() == 1 / 3
    given = torch.tensor(0.5)
    assert gates.clock(given, image) is given


def test_open_share() -> None:
    got = gates.open_share(torch.tensor([0.5, 0.0, 1e-30, 0.0], dtype=torch.float64))
    assert got.dtype == torch.float32
    assert got.shape == ()
    assert got.item() == 0.5


P = torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.5, 0.5], [0.7, 0.3]], dtype=torch.float64)


def test_confident_is_one_above_the_threshold() -> None:
    got = predicates.confident(P, 0.8)
    assert got.tolist() == [1, 0, 0, 0]
    assert got.dtype == torch.float64
    assert predicates.confident(P.bfloat16(), 0.6).tolist() == [1, 1, 0, 1]
    assert predicates.confident(P.bfloat16(), 0.6).dtype == torch.float32


def test_agree_is_one_where_both_have_the_same_top_1() -> None:
    z = torch.tensor([[0.0, 1.0], [3.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    assert predicates.agree(P, z).tolist() == [1, 0, 1, 0]
    assert predicates.agree(torch.tensor([1, 0, 1, -1]), z).tolist() == [1, 1, 0, 0]
    assert predicates.agree(P, z.half()).dtype == torch.float32


def test_stable_is_one_where_both_views_agree_and_one_is_sure() -> None:
    other = torch.tensor([[0.4, 0.6], [0.9, 0.1], [0.6, 0.4], [0.9, 0.1]], dtype=torch.float64)
    # Same top-1 and sure; another top-1; the same and not sure; the same, sure in the other.
    assert predicates.stable(P, other, 0.8).tolist() == [1, 0, 0, 1]
    assert predicates.stable(other, P, 0.8).tolist() == [1, 0, 0, 1]
    assert predicates.stable(P, other, 0.5).tolist() == [1, 0, 1, 1]


def test_shards_share_all_samples_out() -> None:
    sample = torch.tensor([0, 1, 2, 3, 7, 50_001])
    assert predicates.shard(sample, 0, 2).tolist() == [1, 0, 1, 0, 0, 0]
    assert predicates.shard(sample, 2, 3).tolist() == [0, 0, 1, 0, 0, 0]
    parts = torch.stack([predicates.shard(sample, index, 3) for index in range(3)])
    assert torch.equal(parts.sum(0), torch.ones(6))
