"""Schedules, which are gates with a weight for each step, and reductions of weighted losses.

`progress` is k / k_end in (0, 1], a number or a 0-dim tensor; a schedule returns the same
kind and dtype. Nothing here waits for the device.
"""

from __future__ import annotations

import math
import sys
from typing import TypeVar

import torch
from torch import Tensor

from ktgdsl.backend.registry import computes_gate

Progress = TypeVar("Progress", float, Tensor)
Weight = Tensor | float | None


@computes_gate("linear")
def linear(progress: Progress, start: float = 0.0, stop: float = 1.0) -> Progress:
    """Return the weight on the line from start to stop; by default k / k_end (paper, Eq. 6)."""
    # This form, unlike start + (stop - start) * progress, ends at exactly stop.
    return start * (1 - progress) + stop * progress


@computes_gate("until")
def until(progress: Progress, fraction: float) -> Progress:
    """Return 1 in the steps up to this share of the phase, 0 in the others."""
    if isinstance(progress, Tensor):
        return (progress <= fraction).to(progress.dtype)
    return 1.0 if progress <= fraction else 0.0


@computes_gate("after")
def after(progress: Progress, fraction: float) -> Progress:
    """Return 1 in the steps after this share of the phase, 0 in the others."""
    return 1 - until(progress, fraction)


@computes_gate("rampup")
def rampup(progress: Progress, fraction: float) -> Progress:
    """Return exp(-5 (1 - e)²) with e = min(progress / fraction, 1): 1 from fraction on.

    The ramp of Laine & Aila (ICLR 2017), on the distillation of ONE (Lan et al., NeurIPS 2018).
    """
    share = max(fraction, sys.float_info.min)  # a ramp of no length is over at once
    if isinstance(progress, Tensor):
        return torch.exp(-5 * (1 - (progress / share).clamp(max=1)).square())
    return math.exp(-5 * (1 - min(progress / share, 1.0)) ** 2)


@computes_gate("cosine")
def cosine(progress: Progress, start: float, stop: float) -> Progress:
    """Return start + (stop - start) (1 - cos(π progress)) / 2."""
    if isinstance(progress, Tensor):
        return linear((1 - torch.cos(math.pi * progress)) / 2, start, stop)
    return linear((1 - math.cos(math.pi * progress)) / 2, start, stop)


def reduce_mean(values: Tensor, weight: Weight) -> Tensor:
    """Return Σ w v over the number of values (B, *rest): paper, Eq. 2, over the batch size.

    In this and the other reductions a weight is None (1), a number, a 0-dim tensor, (B, *rest) or
    (B,), the same for all pixels of a sample, and the result is 0-dim of the values' dtype.

    Raises:
        ValueError: when the weight has another shape.
    """
    return _weighted(values, weight).mean()


def reduce_sum(values: Tensor, weight: Weight) -> Tensor:
    """Return the sum over samples of w v, averaged over pixels: the literal Eq. 2.

    Raises:
        ValueError: as `reduce_mean`.
    """
    return _weighted(values, weight).sum() / math.prod(values.shape[1:])


def reduce_active(values: Tensor, weight: Weight, active: Tensor) -> Tensor:
    """Return Σ w v over the number of samples where `active` (B, *rest) is nonzero.

    0, without gradient, where none is.

    Raises:
        ValueError: as `reduce_mean`.
    """
    if active.ndim == 1 and values.ndim > 1:
        active = over_pixels(active, values).expand_as(values)
    return reduce_labeled(values, weight, (active != 0).sum())


def reduce_labeled(values: Tensor, weight: Weight, labeled: Tensor) -> Tensor:
    """Return Σ w v over `labeled`, the 0-dim result of `count_labeled`.

    0, without gradient, where it is 0.

    Raises:
        ValueError: as `reduce_mean`.
    """
    mean = _weighted(values, weight).sum() / labeled.clamp_min(1)
    return mean.masked_fill(labeled == 0, 0.0)


def count_labeled(label: Tensor) -> Tensor:
    """Return the number of labels that are not -1, 0-dim int64."""
    return (label >= 0).sum()


def count_labeled_like(label: Tensor, values: Tensor) -> Tensor:
    """As `count_labeled`, of pixels if there is a value for each, and else of samples.

    A sample counts where one of its labels is not -1.
    """
    labeled = label >= 0
    per_value = labeled.ndim == values.ndim
    return (labeled if per_value else labeled.flatten(1).any(1)).sum()


def over_pixels(weight: Tensor, like: Tensor) -> Tensor:
    """Return weights of samples (B,) as (B, 1, ...), which those of pixels are combined with.

    Others stay as they are: aligned from the right, (B,) would meet the last of (B, H, W).
    """
    if weight.ndim == 1 and like.ndim > 1:
        return weight.view(-1, *[1] * (like.ndim - 1))
    return weight


def times(first: Tensor | float, second: Tensor | float) -> Tensor | float:
    """Return the product of two weights or values, of samples (B,) or pixels (B, *rest)."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return over_pixels(first, second) * over_pixels(second, first)
    return first * second


def plus(first: Tensor | float, second: Tensor | float) -> Tensor | float:
    """Return the sum of two weights or values, of samples (B,) or pixels (B, *rest)."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return over_pixels(first, second) + over_pixels(second, first)
    return first + second


def open_share(*weights: Tensor) -> Tensor:
    """Return the share of samples, or pixels, where any of the weights is not 0, 0-dim float32."""
    is_open = weights[0] != 0
    for weight in weights[1:]:
        is_open = over_pixels(is_open, weight) | over_pixels(weight != 0, is_open)
    return is_open.float().mean()


def clock(progress: Tensor | float, image: Tensor) -> Tensor:
    """Return k / k_end as a 0-dim tensor on the images' device, in float64 where there is one."""
    if isinstance(progress, Tensor):
        return progress
    dtype = torch.float32 if image.device.type == "mps" else torch.float64
    return torch.full((), progress, dtype=dtype, device=image.device)


def end_of_epoch(progress: Tensor, epochs: int, steps: int) -> Tensor:
    """Return the progress at the end of the step's epoch, 0-dim: epoch / epochs, from 1 / epochs.

    `steps` is the number of steps of an epoch.
    """
    # k / steps is whole at the last step of an epoch; half a step less is safe from rounding.
    return torch.ceil(progress * epochs - 0.5 / steps) / epochs


def fitting(weight: Tensor, values: Tensor) -> Tensor:
    """Return a weight in a shape that multiplies values (B, *rest).

    Raises ValueError where it is neither one weight nor one for each sample or value.
    """
    if weight.shape == values.shape[:1]:
        return over_pixels(weight, values)
    if weight.shape not in ((), values.shape):
        # Broadcasting (B, 1) against (B,) would weigh every sample with every other.
        raise ValueError(
            f"a gate gives one weight or one for each value of the loss: expected the shape () or "
            f"{tuple(values.shape)}, got {tuple(weight.shape)}"
        )
    return weight


def _weighted(values: Tensor, weight: Weight) -> Tensor:
    if weight is None:
        return values
    fitted = fitting(weight, values) if isinstance(weight, Tensor) else weight
    return (values * fitted).to(values.dtype)
