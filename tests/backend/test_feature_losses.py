"""Losses on features against their formulas in NumPy, with gradients, and where nothing varies."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktgdsl.backend import feature_losses, relations
from tests.backend.arrays import Array, assert_finite, check, check_loss, length

MAPS = (3, 2, 4, 4)
Values = NDArray[Any]


def features(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def halved(f: Values) -> Values:
    """Means over 2 x 2 windows."""
    b, c, h, w = f.shape
    found: Values = f.reshape(b, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return found


class TestPooling:
    def test_even_windows(self) -> None:
        f = features((2, 3, 4, 8), 0)
        check(feature_losses.pooled(torch.from_numpy(f), 2, 4), halved(f))

    @pytest.mark.parametrize(("size", "to"), [(7, 4), (5, 2), (3, 2), (7, 1), (4, 3)])
    def test_uneven_windows_are_those_of_adaptive_pooling(self, size: int, to: int) -> None:
        f = torch.from_numpy(features((2, 3, size, size + 1), 0))
        want = torch.nn.functional.adaptive_avg_pool2d(f, (to, to))
        check(feature_losses.pooled(f, to, to), want.numpy())

    def test_each_side_is_pooled_to_the_smaller_of_both(self) -> None:
        s, t = (torch.from_numpy(features(shape, 0)) for shape in ((2, 3, 2, 8), (2, 5, 4, 4)))
        pair = feature_losses.matched(s, t)
        assert [tuple(each.shape) for each in pair] == [(2, 3, 2, 4), (2, 5, 2, 4)]

    def test_a_map_beside_flat_features_is_its_mean(self) -> None:
        f, flat = features((2, 3, 2, 2), 0), features((2, 3), 1)
        s, t = feature_losses.matched(torch.from_numpy(f), torch.from_numpy(flat))
        check(s, f.mean((2, 3)))
        check(t, flat)


@pytest.mark.parametrize("shape", [MAPS, (3, 5), (1, 2, 2, 2)])
def test_hint(shape: tuple[int, ...]) -> None:
    def formula(s: Values, t: Values) -> Values:
        found: Values = ((s - t) ** 2).reshape(len(s), -1).mean(1)
        return found

    check_loss(feature_losses.hint, formula, features(shape, 0), features(shape, 1))


def test_hint_pools_the_larger_map() -> None:
    small = (3, 2, 2, 2)
    check_loss(
        feature_losses.hint,
        lambda s, t: ((s - halved(t)) ** 2).reshape(3, -1).mean(1),
        features(small, 0),
        features(MAPS, 1),
    )
    check_loss(
        feature_losses.hint,
        lambda s, t: ((halved(s) - t) ** 2).reshape(3, -1).mean(1),
        features(MAPS, 0),
        features(small, 1),
    )


def test_attention() -> None:
    def attention_map(f: Values) -> Values:
        m = (f * f).mean(1).reshape(len(f), -1)
        found: Values = m / length(m, 1, keepdims=True)
        return found

    def formula(s: Values, t: Values) -> Values:
        found: Values = ((attention_map(s) - attention_map(t)) ** 2).mean(1)
        return found

    check_loss(feature_losses.attention, formula, features((3, 5, 4, 4), 0), features(MAPS, 1))
    check_loss(
        feature_losses.attention,
        lambda s, t: formula(halved(s), t),
        features(MAPS, 0),
        features((3, 2, 2, 2), 1),
    )


def flow(f: Values, g: Values) -> Values:
    b, c, h, w = f.shape
    found: Values = np.einsum("bip,bjp->bij", f.reshape(b, c, -1), g.reshape(b, -1, h * w))
    found /= h * w
    return found


def test_fsp() -> None:
    later_s, first_t = features((3, 4, 2, 2), 2), features((3, 2, 6, 6), 4)

    def loss(s: Tensor, t: Tensor) -> Tensor:
        of_s, of_t = torch.from_numpy(later_s), torch.from_numpy(first_t)
        return feature_losses.fsp(s, of_s, of_t, t)

    def formula(s: Values, t: Values) -> Values:
        third = first_t.reshape(3, 2, 2, 3, 2, 3).mean((3, 5))
        x = flow(halved(s), later_s) - flow(third, t)
        found: Values = (x * x).mean((1, 2))
        return found

    check_loss(loss, formula, features(MAPS, 0), features((3, 4, 2, 2), 1))


@pytest.mark.parametrize(
    "loss",
    [
        feature_losses.hint,
        lambda s, t: feature_losses.fsp(s, s, t, t),
        lambda s, t: feature_losses.overhaul(s, t, None),
        lambda s, t: relations.metric(s, t, "features", "frobenius"),
    ],
)
def test_one_channel_is_not_compared_with_each_of_many(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    with pytest.raises(ValueError, match="cannot be compared element by element"):
        loss(torch.ones(3, 1, 2, 2), torch.ones(3, 2, 2, 2))


def test_fsp_learns_at_both_taps() -> None:
    inputs = [torch.from_numpy(features(MAPS, seed)).requires_grad_(seed > 1) for seed in range(4)]
    torch.autograd.backward(feature_losses.fsp(*inputs).sum())
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in inputs[2:])


@pytest.mark.parametrize("margin", [None, np.array([-0.3, -1.2])])
def test_overhaul(margin: Array | None) -> None:
    source = features(MAPS, 0)
    # A channel without negative values has the margin 0.
    source[:, 1] = np.abs(source[:, 1]) if margin is None else source[:, 1]
    s = source.transpose(1, 0, 2, 3).reshape(2, -1)
    batch = np.array([s[0][s[0] < 0].mean(), 0.0])
    m = (batch if margin is None else margin)[None, :, None, None]
    given = None if margin is None else torch.from_numpy(margin)

    def formula(f: Values, t: Values) -> Values:
        g = np.maximum(f, m)
        counts = (t.real > g) | (g > 0)
        found: Values = np.where(counts, (t - g) ** 2, 0).sum((1, 2, 3))
        return found

    check_loss(
        lambda s, t: feature_losses.overhaul(s, t, given), formula, source, features(MAPS, 1)
    )


def test_the_margin_is_the_mean_of_a_normal_channel_below_zero() -> None:
    weight, bias = np.array([1.0, -2.0, 0.5]), np.array([0.3, -1.0, 1.4])
    got = feature_losses.margin_of(torch.from_numpy(weight), torch.from_numpy(bias))
    for found, sigma, mu in zip(got.tolist(), np.abs(weight), bias, strict=True):
        x = np.linspace(-15 * sigma, 0, 2_000_001)
        density = np.exp(-(((x - mu) / sigma) ** 2) / 2)
        want = np.trapezoid(x * density, x) / np.trapezoid(density, x)
        assert found == pytest.approx(want, rel=1e-9)


def test_the_margin_of_a_channel_that_is_hardly_negative() -> None:
    weight, bias = (
        torch.tensor(each, dtype=torch.float64)
        for each in ([1.0, 1.0, 0.0, 0.0], [3.0, 4.0, -2.0, 2.0])
    )
    got = feature_losses.margin_of(weight, bias)
    below = 0.5 * math.erfc(3 / math.sqrt(2))  # 0.00135, just above 0.001
    usual = 3 - math.exp(-4.5) / math.sqrt(2 * math.pi) / below
    assert got.tolist() == pytest.approx([usual, -3, -2, 0], rel=1e-12)


LOSSES: list[Callable[[Tensor, Tensor], Tensor]] = [
    feature_losses.hint,
    feature_losses.attention,
    lambda s, t: feature_losses.fsp(s, s, t, t),
    lambda s, t: feature_losses.overhaul(s, t, None),
    lambda s, t: feature_losses.overhaul(s, t, torch.zeros(2)),
]
ZEROS, EQUAL = np.zeros(MAPS), np.tile(features((1, *MAPS[1:]), 0), (3, 1, 1, 1))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("source", [ZEROS, EQUAL, features(MAPS, 0)])
@pytest.mark.parametrize("destination", [ZEROS, EQUAL, features(MAPS, 1)])
def test_finite_where_nothing_varies(
    loss: Callable[[Tensor, Tensor], Tensor], source: Array, destination: Array
) -> None:
    assert_finite(loss, source, destination)


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    s, t = (torch.from_numpy(features(MAPS, seed)).bfloat16() for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(s, t)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss(s.float(), t.float()), rtol=1e-6, atol=1e-7)
