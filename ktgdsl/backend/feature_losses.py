"""Losses between features at taps, sample by sample: hints, attention maps, flows, margins.

Features are (B, channels, height, width) or (B, channels); values are (B,), the mean or sum over
the rest. Maps that are compared have one size: the larger are average-pooled to the size of the
smaller (`matched`). The source arrives detached.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from ktgdsl.backend.numerics import exactly, full, quotient
from ktgdsl.backend.registry import computes_loss


def pooled(features: Tensor, height: int, width: int) -> Tensor:
    """Return the means over height x width windows, as even as they can be.

    Where the size is no multiple the windows are those of adaptive pooling, whose own backward
    pass is not deterministic on CUDA.
    """
    rows, columns = features.shape[-2:]
    if rows % height == 0 and columns % width == 0:
        return avg_pool2d(features, (rows // height, columns // width))
    down, across = _windows(rows, height, features), _windows(columns, width, features)
    return (features.unsqueeze(-3) * down.unsqueeze(-1)).sum(-2) @ across.T


def _windows(size: int, count: int, like: Tensor) -> Tensor:
    """(count, size): in each row the weights of a window."""
    weights = torch.zeros(count, size, dtype=like.dtype, device=like.device)
    for index in range(count):
        start, stop = index * size // count, -(-(index + 1) * size // count)
        weights[index, start:stop] = 1 / (stop - start)
    return weights


def shrunk(features: Tensor, other: Tensor) -> Tensor:
    """Return the features, pooled to height and width of the other where theirs are larger.

    Flat features are a map of one position: a map beside them becomes flat.
    """
    if features.ndim == other.ndim == 4:
        size = tuple(map(min, features.shape[2:], other.shape[2:]))
        return features if features.shape[2:] == size else pooled(features, *size)
    return features.mean((2, 3)) if features.ndim == 4 else features


def matched(source: Tensor, destination: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in float32 at least and of one height and width, the smaller of each."""
    return full(shrunk(source, destination)), full(shrunk(destination, source))


def differences(source: Tensor, destination: Tensor) -> Tensor:
    """Return source - destination, element by element.

    Raises:
        ValueError: when the shapes differ: one channel would be compared with each of the other's.
    """
    if source.shape != destination.shape:
        shapes = f"{tuple(source.shape[1:])} and {tuple(destination.shape[1:])}"
        raise ValueError(f"{shapes} a sample cannot be compared element by element")
    return source - destination


def matched_maps(source: Tensor, destination: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as `matched` does. Raises ValueError where one is flat."""
    if source.ndim != 4 or destination.ndim != 4:
        raise ValueError("maps with height and width are compared, and an end has none")
    return matched(source, destination)


@computes_loss("hint")
def hint(source: Tensor, destination: Tensor) -> Tensor:
    """Return the mean over all elements of (f_s - r(f_t))²; the destination comes connected.

    Romero et al., ICLR 2015, Eq. 3, with the mean in place of half the sum.
    """
    s, t = matched(source, destination)
    return differences(s, t).square().flatten(1).mean(1)


@computes_loss("attention")
def attention(source: Tensor, destination: Tensor) -> Tensor:
    """Return the mean over the positions of (q_s - q_t)², q = m / max(‖m‖, 1e-12), m = mean_c f².

    Zagoruyko and Komodakis, ICLR 2017, with the squared norm and mean of the public code.
    """
    s, t = (normalize(f.square().mean(1).flatten(1)) for f in matched_maps(source, destination))
    return (s - t).square().mean(1)


@computes_loss("fsp")
def fsp(
    source: Tensor, source_later: Tensor, destination: Tensor, destination_later: Tensor
) -> Tensor:
    """Return the mean over the entries of (G_s - G_t)², G = f₁ᵀ f₂ / (height · width).

    f₁ is (positions, channels₁), f₂ (positions, channels₂). Yim et al., CVPR 2017, Eqs. 1 and 2.
    """
    s, t = _flow(source, source_later), _flow(destination, destination_later)
    return differences(s, t).square().mean((1, 2))


def _flow(earlier: Tensor, later: Tensor) -> Tensor:
    first, second = (f.flatten(2) for f in matched_maps(earlier, later))
    with exactly(first):
        return first @ second.mT / first.shape[2]


@computes_loss("overhaul")
def overhaul(source: Tensor, destination: Tensor, margin: Tensor | None) -> Tensor:
    """Return the sum over the elements of (r(f_t) - g)² where r(f_t) > g or g > 0.

    g = max(f_s, m), with the margins m (channels,) of `margin_of`, or those of this batch if they
    are None. The destination comes connected. Heo et al., ICCV 2019, Eqs. 2 to 4.
    """
    s, t = matched_maps(source, destination)
    m = _batch_margin(s) if margin is None else full(margin).detach()
    g = torch.maximum(s, m.view(1, -1, 1, 1))
    return torch.where((t > g) | (g > 0), differences(g, t).square(), 0.0).sum((1, 2, 3))


def _batch_margin(source: Tensor) -> Tensor:
    """The mean of the negative values of each channel, 0 where it has none."""
    negative = source < 0
    return quotient(torch.where(negative, source, 0.0).sum((0, 2, 3)), negative.sum((0, 2, 3)))


def margin_of(weight: Tensor, bias: Tensor) -> Tensor:
    """Return the mean of a channel's negative values, were it normal as its batch norm has it.

    μ - σ φ(μ / σ) / Φ(-μ / σ) with σ = |weight| and μ = bias, both (channels,), and -3σ where
    Φ(-μ / σ) is not greater than 0.001. Heo et al., ICCV 2019, supplement, and its public code.
    """
    deviation, mean = full(weight).abs(), full(bias)
    # Without deviation all values are the mean: -0 or less if it is, else there are none.
    ratio = quotient(mean, deviation)
    density = torch.exp(-ratio.square() / 2) / (2 * torch.pi) ** 0.5
    below = torch.special.ndtr(-ratio)
    usual = mean - deviation * density / below.clamp_min(1e-3)
    constant = mean.clamp_max(0)
    return torch.where(
        deviation == 0, constant, torch.where(below > 1e-3, usual, -3 * deviation)
    ).detach()
