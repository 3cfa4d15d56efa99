"""NumPy formulas for tests of losses: distributions, and exact gradients by complex steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Formula = Callable[..., NDArray[Any]]
"""A formula of real arrays that is also right a tiny imaginary step away from them."""

C = 5


def logits(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).normal(scale=2.0, size=shape)


def labels(shape: tuple[int, ...], *, unlabeled: bool = False) -> NDArray[np.int64]:
    label = np.random.default_rng(9).integers(0, C, size=(shape[0], *shape[2:]))
    if unlabeled:
        label.flat[::2] = -1
    return label


def softmax(z: NDArray[Any], T: float = 1.0) -> NDArray[Any]:
    e = np.exp(z / T)
    p: NDArray[Any] = e / e.sum(axis=1, keepdims=True)
    return p


def one_hot(label: NDArray[np.int64]) -> Array:
    """The distributions (B, C, *rest); all zeros where the label is -1."""
    q: Array = np.moveaxis((label[..., None] == np.arange(C)).astype(np.float64), -1, 1)
    return q


def length(x: NDArray[Any], axis: Any, *, keepdims: bool = False) -> NDArray[Any]:
    """The Euclidean norm, also of complex steps."""
    found: NDArray[Any] = np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    return found


def check(got: Tensor, want: NDArray[Any]) -> None:
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.detach().numpy(), want, rtol=1e-10, atol=1e-10)


def gradient(formula: Formula, x: Array, weights: Array) -> Array:
    """The gradient of Σ weights · formula(x), exact to rounding: Im f(x + ih) / h, h = 1e-30."""
    found = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        stepped = x.astype(np.complex128)
        stepped[place] += 1e-30j
        found[place] = (weights * formula(stepped)).sum().imag / 1e-30
    return found


def check_loss(
    loss: Callable[[Tensor, Tensor], Tensor], formula: Formula, source: Array, destination: Array
) -> None:
    """Values and gradient in the destination, to 1e-10, and none in a detached source."""
    s = torch.from_numpy(source)
    t = torch.from_numpy(destination).requires_grad_()
    values = loss(s, t)
    check(values, formula(source, destination))
    weights = np.random.default_rng(5).uniform(0.5, 2.0, size=values.shape)
    (got,) = torch.autograd.grad((torch.from_numpy(weights) * values).sum(), t)
    check(got, gradient(lambda x: formula(source, x), destination, weights))


def assert_finite(
    loss: Callable[[Tensor, Tensor], Tensor], source: Array, destination: Array
) -> None:
    """Values and gradients are finite in double and single precision."""
    for dtype in (torch.float64, torch.float32):
        t = torch.from_numpy(destination).to(dtype).requires_grad_()
        values = loss(torch.from_numpy(source).to(dtype), t)
        (got,) = torch.autograd.grad(values.sum(), t)
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert got.isfinite().all()
