"""Ways to combine nodes against NumPy: values, gradients in each member, degenerate batches."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ktgdsl.backend import combines
from ktgdsl.backend.mixers import mixer
from ktgdsl.vocabulary.combines import AttentionMix, Concat, Gated, LinearMix
from ktgdsl.vocabulary.refs import NodeRef, Tap
from tests.backend.arrays import Array, C, check, gradient, labels, logits, softmax

SHAPES = [(6, C), (3, C, 2, 1)]
SCORES = np.random.default_rng(3).normal(size=(6, 3))


def log_p(z: Array) -> Array:
    return np.asarray(np.log(softmax(z)))


def weights_of(scores: Array, dimensions: int) -> Array:
    """Softmax over the members, in the shape of (B, C, *rest)."""
    w = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return np.asarray(w if scores.ndim == 1 else w.reshape(len(w), 3, *[1] * (dimensions - 1)))


def weighted(scores: Array, z: list[Array]) -> Array:
    w = weights_of(scores, z[0].ndim)
    parts = [(w[k] if scores.ndim == 1 else w[:, k]) * each for k, each in enumerate(z)]
    return np.asarray(sum(parts))


def minimum(label: NDArray[np.int64], z: list[Array]) -> Array:
    """min_k (z_k,c - z_k,y), sample by sample and pixel by pixel."""
    found = np.empty(z[0].shape, np.result_type(*z))
    for place in np.ndindex(*label.shape):
        at = (place[0], slice(None), *place[1:])
        y = label[place] if label[place] >= 0 else int(sum(each[at] for each in z).real.argmax())
        relative = np.stack([each[at] - each[at][y] for each in z])
        least = relative.real.argmin(0)
        found[at] = relative[least, np.arange(C)]
    return found


def members(shape: tuple[int, ...], equal: bool, count: int = 3) -> list[Array]:
    return [logits(shape, 0 if equal else seed) for seed in range(count)]


CASES: dict[str, tuple[Callable[..., Tensor], Callable[..., Array]]] = {
    "mean": (combines.mean, lambda *z: sum(z) / len(z)),
    "sum": (combines.add, lambda *z: sum(z)),
    "mean of p": (combines.mean_p, lambda *z: np.log(sum(np.exp(each) for each in z) / len(z))),
}


def assert_combines(got: Callable[..., Tensor], want: Callable[..., Array], z: list[Array]) -> None:
    """Value, and the gradient in each member."""
    inputs = [torch.from_numpy(each).requires_grad_() for each in z]
    value = got(*inputs)
    check(value, want(*z))
    weights = np.random.default_rng(5).uniform(0.5, 2.0, size=value.shape)
    slopes = torch.autograd.grad((torch.from_numpy(weights) * value).sum(), inputs)
    for k, slope in enumerate(slopes):
        of_one = gradient(lambda x, k=k: want(*z[:k], x, *z[k + 1 :]), z[k], weights)
        check(slope, of_one)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "equal"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("case", CASES)
def test_mean_and_sum(case: str, count: int, equal: bool, shape: tuple[int, ...]) -> None:
    assert_combines(*CASES[case], members(shape, equal, count))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unlabeled", ["none", "some", "all"])
def test_minimum(unlabeled: str, shape: tuple[int, ...]) -> None:
    label = labels(shape, unlabeled=unlabeled == "some")
    label = np.full_like(label, -1) if unlabeled == "all" else label
    y = torch.from_numpy(label)
    z = members(shape, equal=False)
    assert_combines(lambda *x: combines.minimum(y, *x), lambda *x: minimum(label, list(x)), z)
    alone = combines.minimum(y, torch.from_numpy(z[0]))
    check(torch.softmax(alone, 1), softmax(z[0]))


def test_minimum_of_equal_members_is_each_of_them() -> None:
    z = torch.from_numpy(logits((6, C), 0)).requires_grad_()
    y = torch.from_numpy(labels((6, C)))
    together = combines.minimum(y, z, z.detach(), z.detach())
    check(torch.softmax(together, 1), softmax(z.detach().numpy()))


@pytest.mark.parametrize("shape", [(6, C), (6, C, 2, 1)])
@pytest.mark.parametrize("scores", [SCORES, SCORES[0]])
def test_weights(scores: Array, shape: tuple[int, ...]) -> None:
    z, s = members(shape, equal=False), torch.from_numpy(scores)
    assert_combines(lambda *x: combines.weighted(s, *x), lambda *x: weighted(scores, list(x)), z)
    assert_combines(
        lambda *x: combines.weighted_p(s, *x),
        lambda *x: np.log(weighted(scores, [np.exp(each) for each in x])),
        [log_p(each) for each in z],
    )
    learned = s.clone().requires_grad_()
    value = combines.weighted(learned, *map(torch.from_numpy, z))
    weights = np.random.default_rng(5).uniform(0.5, 2.0, size=value.shape)
    (slope,) = torch.autograd.grad((torch.from_numpy(weights) * value).sum(), learned)
    check(slope, gradient(lambda x: weighted(x, z), scores, weights))


@pytest.mark.parametrize("function", [combines.mean_p, combines.weighted_p])
def test_a_class_that_no_member_gives_has_no_gradient(function: Callable[..., Tensor]) -> None:
    log_ps = [torch.tensor([[0.0, -torch.inf]], requires_grad=True) for _ in range(2)]
    scores = [torch.zeros(2)] if function is combines.weighted_p else []
    value = function(*scores, *log_ps)
    assert value.exp().tolist() == [[1.0, 0.0]]
    (slope,) = torch.autograd.grad(value.sum(), log_ps[0])
    assert slope.tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize("shape", SHAPES)
def test_constant(shape: tuple[int, ...]) -> None:
    label = labels(shape, unlabeled=True)
    like = torch.from_numpy(logits(shape, 0))
    p = np.empty(shape)
    for place in np.ndindex(*shape):
        y = label[(place[0], *place[2:])]
        p[place] = 1 / C if y < 0 else 0.9 if place[1] == y else 0.1 / (C - 1)
    check(combines.constant(torch.from_numpy(label), like, 0.9), np.log(p))


def test_half_precision_is_combined_in_single() -> None:
    z = [torch.randn(2, C, dtype=torch.bfloat16) for _ in range(2)]
    for value in (combines.mean(*z), combines.add(z[0]), combines.weighted(torch.zeros(2), *z)):
        assert value.dtype == torch.float32


# Modules


def test_the_gate_of_one() -> None:
    by = Tap("stage2", NodeRef("a"))
    module = mixer(Gated(by=by), [(4, 3, 3)], 3, C, dense=False).double()
    h = np.random.default_rng(1).normal(size=(6, 4, 3, 3))
    (W,) = [each.detach().numpy() for each in module.parameters() if each.ndim == 2]
    x = h.mean((2, 3)) @ W.T
    normed = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    check(module(torch.from_numpy(h)), np.maximum(normed, 0))


def test_the_attention_of_okddip() -> None:
    module = mixer(AttentionMix(factor=2), [(4,)] * 4, 3, C, dense=False).double()
    Q, K = (each.detach().numpy() for each in module.parameters())
    assert Q.shape == K.shape == (2, 4)
    t, *f = np.random.default_rng(1).normal(size=(4, 6, 4))
    want = np.stack([((t @ Q.T) * (each @ K.T)).sum(1) for each in f], axis=1)
    check(module(*map(torch.from_numpy, (t, *f))), want)


@pytest.mark.parametrize("dense", [False, True])
def test_the_classifier_of_pcl(dense: bool) -> None:
    maps = [(2, 3, 3), (4, 3, 3)]
    module = mixer(Concat(), maps, 2, C, dense=dense).double()
    W, b = (each.detach().numpy() for each in module.parameters())
    f = [np.random.default_rng(k).normal(size=(6, *shape)) for k, shape in enumerate(maps)]
    together = np.concatenate(f, axis=1)
    if dense:
        want = np.einsum("ck,bkij->bcij", W[:, :, 0, 0], together) + b[:, None, None]
    else:
        want = together.mean((2, 3)) @ W.T + b
    check(module(*map(torch.from_numpy, f)), want)


def test_learned_weights_begin_as_the_mean() -> None:
    module = mixer(LinearMix(), [], 3, C, dense=False).double()
    z = members((6, C), equal=False)
    check(combines.weighted(module(), *map(torch.from_numpy, z)), np.mean(z, axis=0))


def test_attention_compares_features_of_one_width() -> None:
    with pytest.raises(ValueError, match="4, 8 channels"):
        mixer(AttentionMix(), [(8,), (8,), (4,)], 2, C, dense=False)
