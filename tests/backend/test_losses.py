"""Every loss against its formula in NumPy, and at the edges: -1, p = 0, half precision."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ktgdsl.backend import losses
from tests.backend.arrays import C, check, labels, logits, one_hot, softmax

SHAPES = [(4, C), (4, C, 3), (3, C, 2, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("T", [1.0, 4.0])
def test_log_softmax(shape: tuple[int, ...], T: float) -> None:
    z = logits(shape, 0)
    check(losses.log_softmax(torch.from_numpy(z), T), np.log(softmax(z, T)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ce(shape: tuple[int, ...], smoothing: float) -> None:
    z, label = logits(shape, 0), labels(shape)
    q = (1 - smoothing) * one_hot(label) + smoothing / C
    want = -(q * np.log(softmax(z))).sum(axis=1)
    log_p = torch.from_numpy(np.log(softmax(z)))
    check(losses.ce(log_p, torch.from_numpy(label), smoothing), want)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("T", [1.0, 4.0])
def test_distances_between_distributions(shape: tuple[int, ...], T: float) -> None:
    s, t = (softmax(logits(shape, seed), T) for seed in (0, 1))
    m = (s + t) / 2
    forward = (s * np.log(s / t)).sum(axis=1)
    backward = (t * np.log(t / s)).sum(axis=1)
    middle = ((s * np.log(s / m)).sum(axis=1) + (t * np.log(t / m)).sum(axis=1)) / 2
    log_s, log_t = torch.from_numpy(np.log(s)), torch.from_numpy(np.log(t))
    check(losses.kl(log_s, log_t, T**2), T**2 * forward)
    check(losses.reverse_kl(log_s, log_t, T**2), T**2 * backward)
    check(losses.js(log_s, log_t, T**2), T**2 * middle)


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_from_the_label(shape: tuple[int, ...]) -> None:
    label = labels(shape, unlabeled=True)
    p, q, known = softmax(logits(shape, 0), 2.0), one_hot(label), label >= 0
    log_p, y = torch.from_numpy(np.log(p)), torch.from_numpy(label)
    check(losses.kl_label(log_p, y, 4.0), -4 * (q * np.log(p)).sum(axis=1))
    check(losses.mse_label(log_p, y), np.where(known, ((q - p) ** 2).mean(axis=1), 0.0))


@pytest.mark.parametrize("shape", SHAPES)
def test_mse_and_cosine_distance(shape: tuple[int, ...]) -> None:
    s, t = logits(shape, 0), logits(shape, 1)
    norms = np.linalg.norm(s, axis=1) * np.linalg.norm(t, axis=1)
    source, destination = torch.from_numpy(s), torch.from_numpy(t)
    check(losses.mse(source, destination), ((s - t) ** 2).mean(axis=1))
    check(losses.cosine_distance(source, destination), 1 - (s * t).sum(axis=1) / norms)


def test_cosine_distance_of_a_zero_vector_is_one() -> None:
    zero, other = torch.zeros(2, C), torch.ones(2, C)
    assert torch.equal(losses.cosine_distance(zero, other), torch.ones(2))


def test_kl_from_the_label_at_t_1_is_the_cross_entropy() -> None:
    z, label = logits((4, C), 0), labels((4, C))
    log_p = losses.log_softmax(torch.from_numpy(z))
    certain = torch.from_numpy(one_hot(label)).log()  # -inf off the label
    want = -np.log(softmax(z))[np.arange(4), label]
    for got in (
        losses.ce(log_p, torch.from_numpy(label)),
        losses.kl_label(log_p, torch.from_numpy(label), 1.0),
        losses.kl(certain, log_p, 1.0),
    ):
        check(got, want)


LABEL_LOSSES: list[Callable[[Tensor, Tensor], Tensor]] = [
    losses.ce,
    lambda log_p, label: losses.ce(log_p, label, 0.1),
    lambda log_p, label: losses.kl_label(log_p, label, 9.0),
    losses.mse_label,
]


@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("rest", [(), (3,)])
def test_unlabeled_is_exactly_zero_with_zero_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], rest: tuple[int, ...]
) -> None:
    label = torch.zeros(4, *rest, dtype=torch.int64)
    label[1] = -1
    label[3] = -1
    z = torch.from_numpy(logits((4, C, *rest), 0)).requires_grad_()
    value = loss(losses.log_softmax(z), label)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    assert (value[1::2] == 0).all()
    assert (gradient[1::2] == 0).all()
    assert (value[::2] > 0).all()
    assert gradient[::2].abs().amin() > 0


@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_unlabeled_is_zero_even_where_p_is_zero(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    log_p = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    value = loss(log_p, torch.tensor([-1]))
    (gradient,) = torch.autograd.grad(value.sum(), log_p)
    assert torch.equal(value, torch.zeros(1))
    assert torch.equal(gradient, torch.zeros(1, 2))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_is_the_same_to_the_bit_where_the_source_has_no_gradient(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    s, t = (torch.from_numpy(logits(shape, seed)).to(dtype).log_softmax(1) for seed in (0, 1))
    s[:, 0] = -torch.inf
    t[0, 0] = -torch.inf
    found = []
    for source in (s.clone().requires_grad_(), s):
        destination = t.clone().requires_grad_()
        values = losses.kl(source, destination, 4.0)
        torch.autograd.backward(
            values, torch.linspace(0, 1, values.numel()).view_as(values).to(dtype)
        )
        found.append((values.detach(), destination.grad))
    (plain, its_gradient), (fast, gradient) = found
    assert torch.equal(plain, fast)
    assert gradient is not None
    assert its_gradient is not None
    assert torch.equal(gradient, its_gradient)


@pytest.mark.parametrize("T", [1.0, 3.0])
def test_kl_gradient_in_the_logits(T: float) -> None:
    s, t = logits((4, C), 0), logits((4, C), 1)
    z = torch.from_numpy(t).requires_grad_()
    source = torch.from_numpy(np.log(softmax(s, T)))
    value = losses.kl(source, losses.log_softmax(z, T), T**2)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    check(gradient, T * (softmax(t, T) - softmax(s, T)))


def test_ce_gradient_in_the_logits() -> None:
    t, label = logits((4, C), 1), labels((4, C))
    z = torch.from_numpy(t).requires_grad_()
    value = losses.ce(losses.log_softmax(z), torch.from_numpy(label), 0.1)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    check(gradient, softmax(t) - (0.9 * one_hot(label) + 0.1 / C))


def test_zero_probabilities() -> None:
    # s = (1/2, 1/2, 0, 0), t = (1/2, 1/4, 1/4, 0): KL(s ‖ t) = 1/2 log 2, and
    # m = (1/2, 3/8, 1/8, 0): KL(s ‖ m) = 1/2 log 4/3, KL(t ‖ m) = 1/4 log 2/3 + 1/4 log 2.
    s = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.float64).log()
    t = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64).log().requires_grad_()
    forward, middle = losses.kl(s, t, 1.0), losses.js(s, t, 1.0)
    check(forward.detach(), np.array([np.log(2) / 2]))
    check(middle.detach(), np.array([(np.log(4 / 3) / 2 + np.log(4 / 3) / 4) / 2]))
    # ∂KL/∂log t_c = -s_c; ∂JS/∂log t_c = t_c / 2 · log(t_c / m_c), both 0 where t_c is 0.
    (gradient,) = torch.autograd.grad(forward.sum(), t)
    check(gradient, np.array([[-0.5, -0.5, 0.0, 0.0]]))
    (gradient,) = torch.autograd.grad(middle.sum(), t)
    check(gradient, np.array([[0.0, np.log(2 / 3) / 8, np.log(2) / 8, 0.0]]))
    assert losses.reverse_kl(s, t, 1.0).item() == torch.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", [losses.kl, losses.reverse_kl, losses.js])
def test_extreme_logits_stay_finite(
    loss: Callable[[Tensor, Tensor, float], Tensor], dtype: torch.dtype
) -> None:
    # Each p is (1, 0) to the last bit: KL is the gap of 2000, JS its bound log 2.
    s = torch.tensor([[1000.0, -1000.0]], dtype=dtype)
    z = (-s).requires_grad_()
    value = loss(losses.log_softmax(s), losses.log_softmax(z), 1.0)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    expected = np.log(2) if loss is losses.js else 2000.0
    np.testing.assert_allclose(value.detach().numpy(), [expected], rtol=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    z, w = (torch.from_numpy(logits((4, C), seed)).to(dtype) for seed in (0, 1))
    label = torch.from_numpy(labels((4, C), unlabeled=True))
    # Halves are exact in float32, so rounding the inputs must be all that half costs.
    assert torch.equal(losses.log_softmax(z, 3.0), losses.log_softmax(z.float(), 3.0))
    log_z, log_w = (losses.log_softmax(x).to(dtype) for x in (z, w))
    for label_loss in LABEL_LOSSES:
        got = label_loss(log_z, label)
        assert got.dtype == torch.float32
        assert torch.equal(got, label_loss(log_z.float(), label))
    for loss in (losses.kl, losses.reverse_kl, losses.js):
        got = loss(log_z, log_w, 2.0)
        assert got.dtype == torch.float32
        assert torch.equal(got, loss(log_z.float(), log_w.float(), 2.0))
    for plain in (losses.mse, losses.cosine_distance):
        got = plain(z, w)
        assert got.dtype == torch.float32
        assert torch.equal(got, plain(z.float(), w.float()))


def test_float32_stays_float32() -> None:
    z = torch.from_numpy(logits((4, C), 0)).float()
    log_p, label = losses.log_softmax(z, 2.0), torch.from_numpy(labels((4, C)))
    outputs = [log_p, losses.mse(z, z), losses.cosine_distance(z, z)]
    outputs += [loss(log_p, label) for loss in LABEL_LOSSES]
    outputs += [f(log_p, log_p, 1.0) for f in (losses.kl, losses.reverse_kl, losses.js)]
    assert {x.dtype for x in outputs} == {torch.float32}


@pytest.mark.parametrize(
    "loss",
    [
        lambda s, z: losses.kl(losses.log_softmax(s, 2.0), losses.log_softmax(z, 2.0), 4.0),
        lambda s, z: losses.reverse_kl(losses.log_softmax(s), losses.log_softmax(z), 1.0),
        lambda s, z: losses.js(losses.log_softmax(s), losses.log_softmax(z), 1.0),
        losses.mse,
        losses.cosine_distance,
        lambda s, z: losses.ce(losses.log_softmax(z), torch.tensor([1, -1]), 0.1),
        lambda s, z: losses.mse_label(losses.log_softmax(z), torch.tensor([1, -1])),
    ],
)
def test_gradients_numerically(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    source = torch.from_numpy(logits((2, C), 0))
    z = torch.from_numpy(logits((2, C), 1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(source, x), (z,))
