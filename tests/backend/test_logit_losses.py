"""Losses on logits against their formulas in NumPy, with gradients, and where nothing varies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktgdsl.backend import logit_losses
from ktgdsl.backend.losses import log_softmax
from tests.backend.arrays import (
    Array,
    C,
    assert_finite,
    check,
    check_loss,
    labels,
    length,
    logits,
    one_hot,
    softmax,
)

SHAPES = [(4, C), (3, C, 2), (1, C)]
Loss = Callable[[Tensor, Tensor], Tensor]


def dkd(
    label: NDArray[np.int64],
    epoch: float = 1.0,
    warmup: float = 0.0,
    alpha: float = 1.0,
    beta: float = 8.0,
    T: float = 4.0,
) -> Loss:
    y = torch.from_numpy(label)

    def loss(s: Tensor, t: Tensor) -> Tensor:
        log_s, log_t = log_softmax(s, T), log_softmax(t, T)
        return logit_losses.dkd(log_s, log_t, y, epoch, warmup, alpha, beta, T**2)

    return loss


def dist(beta: float = 1.0, gamma: float = 1.0, T: float = 1.0) -> Loss:
    return lambda s, t: logit_losses.dist((s / T).softmax(1), (t / T).softmax(1), beta, gamma, T**2)


def standardized(T: float = 2.0, correction: int = 1) -> Loss:
    return lambda s, t: logit_losses.standardized_kl(s, t, T, T**2, correction)


def entropy(s: Tensor, t: Tensor) -> Tensor:
    return logit_losses.entropy(log_softmax(t))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unlabeled", [False, True])
@pytest.mark.parametrize(
    ("epoch", "warmup", "rise"), [(0.1, 0.4, 0.25), (0.5, 0.4, 1), (0.1, 0, 1), (1, 2, 0.5)]
)
def test_dkd(
    shape: tuple[int, ...], unlabeled: bool, epoch: float, warmup: float, rise: float
) -> None:
    label = labels(shape, unlabeled=unlabeled)
    own, T = one_hot(label.clip(0)).astype(bool), 4.0

    def formula(s: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
        p, q = softmax(s, T), softmax(t, T)
        p_y, q_y = (np.where(own, x, 0).sum(1) for x in (p, q))
        target = p_y * np.log(p_y / q_y) + (1 - p_y) * np.log((1 - p_y) / (1 - q_y))
        ps, qs = p / (1 - p_y)[:, None], q / (1 - q_y)[:, None]
        others = np.where(own, 0, ps * np.log(ps / qs)).sum(1)
        value = rise * T**2 * (1.5 * target + 3 * others)
        return np.where(label >= 0, value, 0)

    loss = dkd(label, epoch, warmup, 1.5, 3.0)
    check_loss(loss, formula, logits(shape, 0), logits(shape, 1))


def test_dkd_with_equal_weights_is_weighted_kl() -> None:
    """The paper's Eq. 7 with alpha = 1 and beta = 1 - p_y is the divergence itself."""
    s, t = logits((1, C), 0), logits((1, C), 1)
    p, q, y = softmax(s), softmax(t), np.array([2])
    loss = dkd(y, beta=float(1 - p[0, 2]), T=1.0)
    check(loss(torch.from_numpy(s), torch.from_numpy(t)), (p * np.log(p / q)).sum(1))


def test_dkd_of_two_classes_has_no_others() -> None:
    s, t = (torch.tensor([z], dtype=torch.float64) for z in ([1.0, -1.0], [0.3, 0.2]))
    y = np.array([0])
    assert dkd(y, alpha=0.0)(s, t).item() == pytest.approx(0, abs=1e-12)


def test_dkd_stays_finite_where_the_source_is_certain() -> None:
    s = np.array([[1000.0, -1000.0, 0.0], [0.0, 1000.0, -1000.0]])
    assert_finite(dkd(np.array([0, 0])), s, -s)


def test_dkd_of_unlabeled_samples_is_zero_without_gradient() -> None:
    z = torch.from_numpy(logits((3, C), 1)).requires_grad_()
    values = dkd(np.full(3, -1))(torch.from_numpy(logits((3, C), 0)), z)
    (got,) = torch.autograd.grad(values.sum(), z)
    assert torch.equal(values, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(got, torch.zeros(3, C, dtype=torch.float64))


def correlation(x: NDArray[Any], y: NDArray[Any], axis: int) -> NDArray[Any]:
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    found: NDArray[Any] = (x * y).sum(axis) / (length(x, axis) * length(y, axis) + 1e-8)
    return found


@pytest.mark.parametrize("shape", [(4, C), (3, C, 2), (2, C, 2, 2)])
@pytest.mark.parametrize("T", [1.0, 4.0])
def test_the_mean_of_dist_is_one_minus_the_correlations(shape: tuple[int, ...], T: float) -> None:
    def formula(s: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
        p, q = softmax(s, T), softmax(t, T)
        p, q = (np.moveaxis(x, 1, -1).reshape(-1, C) for x in (p, q))
        rows, columns = correlation(p, q, 1).mean(), correlation(p, q, 0).mean()
        found: NDArray[Any] = T**2 * (2 * (1 - rows) + 3 * (1 - columns))
        return found[None]

    loss = dist(2.0, 3.0, T)
    check_loss(lambda s, t: loss(s, t).mean()[None], formula, logits(shape, 0), logits(shape, 1))


def test_a_sample_of_dist_has_its_own_row_and_entries_of_columns() -> None:
    s, t = softmax(logits((4, C), 0)), softmax(logits((4, C), 1))
    a, b = ((x - x.mean(0)) / length(x - x.mean(0), 0) for x in (s, t))
    want = 2 * (1 - correlation(s, t, 1)) + 3 * (1 - 4 / C * (a * b).sum(1))
    got = logit_losses.dist(torch.from_numpy(s), torch.from_numpy(t), 2.0, 3.0, 1.0)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-6)  # 1e-8 beside norms of about 0.1


def test_dist_of_a_batch_of_one_has_no_columns() -> None:
    s, t = logits((1, C), 0), logits((1, C), 1)
    want = 2 * (1 - correlation(softmax(s), softmax(t), 1)) + 3
    check(dist(2.0, 3.0)(torch.from_numpy(s), torch.from_numpy(t)), want)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("correction", "divisor"), [(1, C - 1), (0, C)])
def test_standardized_kl(shape: tuple[int, ...], correction: int, divisor: int) -> None:
    def standard(z: NDArray[Any]) -> NDArray[Any]:
        z = z - z.mean(1, keepdims=True)
        found: NDArray[Any] = z / (length(z, 1, keepdims=True) / np.sqrt(divisor) + 1e-7)
        return found

    def formula(s: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
        p, q = softmax(standard(s), 2.0), softmax(standard(t), 2.0)
        found: NDArray[Any] = 4 * (p * np.log(p / q)).sum(1)
        return found

    loss = standardized(2.0, correction)
    check_loss(loss, formula, logits(shape, 0), logits(shape, 1))


def test_standardized_kl_knows_no_scale() -> None:
    z = torch.from_numpy(logits((4, C), 0))
    assert standardized()(z, 100 * z - 7).abs().max() < 1e-7


@pytest.mark.parametrize("shape", SHAPES)
def test_entropy(shape: tuple[int, ...]) -> None:
    def formula(s: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
        p = softmax(t)
        found: NDArray[Any] = -(p * np.log(p)).sum(1)
        return found

    check_loss(entropy, formula, logits(shape, 0), logits(shape, 1))


def test_entropy_of_one_sure_class_is_zero_and_of_equal_ones_log_c() -> None:
    log_p = torch.tensor([[0.0, -torch.inf, -torch.inf]], requires_grad=True)
    value = logit_losses.entropy(log_p)
    (got,) = torch.autograd.grad(value.sum(), log_p)
    assert value.item() == 0
    assert got.isfinite().all()
    assert logit_losses.entropy(log_softmax(torch.zeros(1, 8))).item() == pytest.approx(np.log(8))


ZEROS = np.zeros((4, C))
EQUAL = np.tile(logits((1, C), 0), (4, 1))
CASES: list[tuple[Array, Array]] = [
    (ZEROS, ZEROS),
    (EQUAL, EQUAL),
    (logits((4, C), 0), ZEROS),
    (logits((4, C), 0), EQUAL),
    (ZEROS, logits((4, C), 0)),
    (logits((1, C), 0), logits((1, C), 1)),
    (logits((1, C), 0), np.zeros((1, C))),
]
LOSSES: list[Callable[[int], Loss]] = [
    lambda count: dkd(np.arange(count) % C),
    lambda count: dkd(np.full(count, -1)),
    lambda count: dist(),
    lambda count: standardized(),
    lambda count: entropy,
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("source", "destination"), CASES)
def test_finite_where_nothing_varies(
    loss: Callable[[int], Loss], source: Array, destination: Array
) -> None:
    assert_finite(loss(len(source)), source, destination)


@pytest.mark.parametrize("destination", [ZEROS, EQUAL, logits((4, C), 1)])
def test_a_constant_has_no_correlation_and_no_gradient_from_it(destination: Array) -> None:
    """0 / 0 is 0: the loss is its greatest, and does not push the destination anywhere."""
    t = torch.from_numpy(destination).requires_grad_()
    values = dist()(torch.zeros(4, C, dtype=torch.float64), t)
    (got,) = torch.autograd.grad(values.sum(), t)
    assert torch.equal(values.detach(), torch.full((4,), 2.0, dtype=torch.float64))
    assert got.abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    s, t = (torch.from_numpy(logits((4, C), seed)).to(dtype) for seed in (0, 1))
    label = torch.from_numpy(labels((4, C)))
    log_s, log_t, p_s, p_t = (
        x.to(dtype) for x in (log_softmax(s), log_softmax(t), s.softmax(1), t.softmax(1))
    )
    cases: list[tuple[Loss, Tensor, Tensor]] = [
        (lambda s, t: logit_losses.dkd(s, t, label, 1.0, 0.0, 1.0, 8.0, 1.0), log_s, log_t),
        (lambda s, t: logit_losses.dist(s, t, 1.0, 1.0, 1.0), p_s, p_t),
        (standardized(), s, t),
        (lambda s, t: logit_losses.entropy(t), log_s, log_t),
    ]
    for loss, source, destination in cases:
        got = loss(source, destination)
        assert got.dtype == torch.float32
        assert torch.equal(got, loss(source.float(), destination.float()))
