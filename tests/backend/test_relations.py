"""Losses of a whole batch against their formulas in NumPy, with gradients; degenerate batches."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktgdsl.backend import relations
from tests.backend.arrays import Array, assert_finite, check, check_loss, length

SHAPES = [(4, 3), (3, 2, 2, 2), (2, 3)]
Values = NDArray[Any]
Loss = Callable[[Tensor, Tensor], Tensor]


def features(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape) + 3


def flat(f: Values) -> Values:
    return f.reshape(len(f), -1)


def squares(f: Values) -> Values:
    x = flat(f)[:, None] - flat(f)[None]
    found: Values = (x * x).sum(-1)
    return found


def distances(f: Values) -> Values:
    """The distances of all pairs; 0 on the diagonal, where a root has no complex step."""
    itself = np.eye(len(f), dtype=bool)
    found: Values = np.where(itself, 0, np.sqrt(np.where(itself, 1, squares(f))))
    return found


def huber(x: Values) -> Values:
    found: Values = np.where(np.abs(x.real) < 1, x * x / 2, x * np.sign(x.real) - 0.5)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_similarity(shape: tuple[int, ...]) -> None:
    def rows(f: Values) -> Values:
        g = flat(f) @ flat(f).T
        found: Values = g / length(g, 1, keepdims=True)
        return found

    def formula(s: Values, t: Values) -> Values:
        x = rows(s) - rows(t)
        found: Values = (x * x).sum(1) / len(s)
        return found

    check_loss(relations.similarity, formula, features(shape, 0), features((shape[0], 7), 1))


def relative(f: Values) -> Values:
    d = distances(f)
    found: Values = d / (d.sum() / (len(d) * (len(d) - 1)))
    return found


def cosines(f: Values) -> Values:
    """The angles at i between j and k, from the vectors themselves."""
    x = flat(f)
    found = np.zeros((len(x),) * 3, dtype=x.dtype)
    for i, j, k in product(range(len(x)), repeat=3):
        if i not in (j, k):
            to_j, to_k = x[j] - x[i], x[k] - x[i]
            found[i, j, k] = (to_j * to_k).sum() / (length(to_j, 0) * length(to_k, 0))
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("distance", "angle"), [(25, 50), (1, 0), (0, 2)])
def test_rkd(shape: tuple[int, ...], distance: float, angle: float) -> None:
    def formula(s: Values, t: Values) -> Values:
        pairs = huber(relative(s) - relative(t)).mean(1)
        triples = huber(cosines(s) - cosines(t)).mean((1, 2))
        found: Values = distance * pairs + angle * triples
        return found

    check_loss(
        lambda s, t: relations.rkd(s, t, distance, angle),
        formula,
        features(shape, 0),
        features((shape[0], 7), 1),
    )


def test_rkd_is_of_the_shape_alone() -> None:
    """Moved, turned and scaled, a batch has the same relations."""
    s = torch.from_numpy(features((5, 3), 0))
    turn = torch.linalg.qr(torch.from_numpy(features((3, 3), 1))).Q
    assert relations.rkd(s, 7 * s @ turn + 2, 25, 50).abs().max() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_metric_of_distances(shape: tuple[int, ...]) -> None:
    def frobenius(s: Values, t: Values) -> Values:
        x = distances(s) - distances(t)
        found: Values = len(s) * (x * x).sum(1) / np.sqrt((x * x).sum())
        return found

    def pairs(s: Values, t: Values) -> Values:
        x = distances(s) - distances(t)
        found: Values = (x * np.sign(x.real)).mean(1)
        return found

    s, t = features(shape, 0), features((shape[0], 7), 1)
    check_loss(lambda s, t: relations.metric(s, t, "distances", "frobenius"), frobenius, s, t)
    check_loss(lambda s, t: relations.metric(s, t, "distances", "pairs"), pairs, s, t)
    x = distances(s) - distances(t)
    got = relations.metric(torch.from_numpy(s), torch.from_numpy(t), "distances", "frobenius")
    assert got.mean().item() == pytest.approx(np.linalg.norm(x), rel=1e-12)


def test_metric_of_features() -> None:
    check_loss(
        lambda s, t: relations.metric(s, t, "features", "frobenius"),
        lambda s, t: length(flat(s - t), 1),
        features((3, 2, 2, 2), 0),
        features((3, 2, 2, 2), 1),
    )


def over_maximum(x: Values) -> Values:
    found: Values = x / x.flat[x.real.argmax()]
    return found


def changes(f: Values, g: Values) -> Values:
    """From (B, 2, 4, 4) to (B, 4, 2, 2): f in half the size, g in half the channels."""
    f = f.reshape(len(f), 2, 2, 2, 2, 2).mean((3, 5))
    g = g.reshape(len(g), 2, 2, 2, 2).mean(2)
    found: Values = over_maximum((flat(g - f) ** 2).sum(1))
    return found


def test_irg() -> None:
    first, second, z = (3, 2, 4, 4), (3, 4, 2, 2), (3, 5)
    of_s = [features(shape, seed) for seed, shape in enumerate((first, second))]
    first_t, z_s, z_t = features(first, 2), features(z, 3), features(z, 4)

    def loss(s: Tensor, t: Tensor) -> Tensor:
        early = torch.from_numpy(first_t).requires_grad_()
        logits = torch.from_numpy(z_s), torch.from_numpy(z_t)
        return relations.irg(*logits, 0.1, 5, 7, torch.from_numpy(of_s[0]), s, early, t)

    def formula(s: Values, t: Values) -> Values:
        edges = [
            (over_maximum(squares(a)) - over_maximum(squares(b))) ** 2
            for a, b in ((of_s[0], first_t), (s, t))
        ]
        moves = (changes(of_s[0], s) - changes(first_t, t)) ** 2
        found: Values = (
            0.1 * ((z_s - z_t) ** 2).mean(1) + 5 * np.mean(edges, axis=(0, 2)) + 7 * moves
        )
        return found

    check_loss(loss, formula, of_s[1], features(second, 5))


def test_irg_of_one_tap_has_no_transformations() -> None:
    s, t = (torch.from_numpy(features((3, 4), seed)) for seed in (0, 1))
    got = relations.irg(s, t, 0.0, 1.0, 1000.0, s, t)
    x = over_maximum(squares(s.numpy())) - over_maximum(squares(t.numpy()))
    check(got, (x**2).mean(1))


def test_irg_needs_channels_in_groups() -> None:
    f = [torch.zeros(2, channels, 2, 2) for channels in (4, 6)]
    with pytest.raises(ValueError, match="compares 6 channels with 4"):
        relations.irg(torch.zeros(2, 3), torch.zeros(2, 3), 1, 1, 1, *f, *f)


LOSSES: list[Loss] = [
    relations.similarity,
    lambda s, t: relations.rkd(s, t, 25, 50),
    lambda s, t: relations.metric(s, t, "distances", "frobenius"),
    lambda s, t: relations.metric(s, t, "distances", "pairs"),
    lambda s, t: relations.metric(s, t, "features", "frobenius"),
    lambda s, t: relations.irg(s, t, 0.1, 5, 5, s, 2 * s, t, 3 * t),
]
ZEROS, EQUAL = np.zeros((4, 3)), np.tile(features((1, 3), 0), (4, 1))
TWINS = features((4, 3), 1)
TWINS[2] = TWINS[0]
LONE = features((1, 3), 2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("source", "destination"),
    [*product([ZEROS, EQUAL, TWINS, features((4, 3), 3)], repeat=2), (LONE, LONE), (LONE, -LONE)],
)
def test_finite_in_degenerate_batches(loss: Loss, source: Array, destination: Array) -> None:
    assert_finite(loss, source, destination)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_to_learn_from_oneself(loss: Loss) -> None:
    for f in (ZEROS, EQUAL, TWINS, LONE, features((4, 3), 3)):
        t = torch.from_numpy(f).requires_grad_()
        values = loss(torch.from_numpy(f), t)
        (got,) = torch.autograd.grad(values.sum(), t)
        assert values.abs().max() < 1e-12
        assert got.abs().max() < 1e-6


def test_equal_rows_have_no_distance_and_no_angle() -> None:
    rows = torch.from_numpy(TWINS).float() * 1000
    squares = relations.squared_distances(rows)
    assert squares[0, 2] == 0
    assert torch.equal(squares.diagonal(), torch.zeros(4))
    angles = relations._cosines(squares)
    assert torch.equal(angles[0, 2], torch.zeros(4))
    assert torch.equal(angles[2, :, 0], torch.zeros(4))


def test_distances_of_rows_far_from_zero_keep_their_digits() -> None:
    f = features((4, 3), 0)
    far = torch.from_numpy(f + 1e4).float()
    got = relations.squared_distances(far)
    exact = squares(far.double().numpy())
    np.testing.assert_allclose(got.numpy(), exact, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_products_stay_exact_in_half_precision(loss: Loss) -> None:
    s, t = (torch.from_numpy(features((4, 3), seed)).bfloat16() for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(s, t)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, loss(s.float(), t.float()), rtol=2e-2, atol=2e-2)
