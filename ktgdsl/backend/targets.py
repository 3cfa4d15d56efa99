"""Fuses the losses into a node that are linear in its log p: all are computed at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ktgdsl.backend.gates import Weight, fitting
from ktgdsl.backend.losses import one_hot
from ktgdsl.backend.numerics import full
from ktgdsl.backend.registry import has_target


class Target(NamedTuple):
    """A loss Σ q (r - log p_t) over classes and samples, whose gradient in log p_t is -q.

    Both are (B, C, *rest).
    """

    q: Tensor
    r: Tensor


@has_target("ce", source="label")
def ce_target(like: Tensor, label: Tensor, smoothing: float = 0.0) -> Target:
    """q = (1 - smoothing) · onehot + smoothing / C, 0 where the label is -1."""
    q = one_hot(label, like)
    if smoothing != 0:
        q = (1 - smoothing) * q + smoothing * q.mean(1, keepdim=True)
    return Target(q, torch.zeros_like(q))


@has_target("kl")
def kl_target(source_log_p: Tensor, like: Tensor, scale: float | Tensor) -> Target:
    """q = scale · p_s and r = log p_s."""
    s = full(source_log_p)
    return Target(_times(s.exp(), scale), s)


@has_target("kl", source="label")
def kl_label_target(like: Tensor, label: Tensor, scale: float | Tensor) -> Target:
    """q = scale · onehot."""
    q, r = ce_target(like, label)
    return Target(_times(q, scale), r)


def weighted(target: Target, weight: Weight, factor: float, labeled: Tensor | None) -> Target:
    """Return the target of the factor times the weighted mean over the samples.

    Or over those that are `labeled`, as `count_labeled` has them. Raises ValueError where the
    weight is none of `reduce_mean`.
    """
    q, r = target
    if isinstance(weight, Tensor):
        fitted = fitting(weight, q[:, 0])
        q = (q * (fitted.unsqueeze(1) if fitted.ndim else fitted)).to(q.dtype)
    elif weight is not None:
        factor *= weight
    if labeled is None:
        return Target(q * (factor * q.shape[1] / q.numel()), r)
    return Target(_times(q, factor) / labeled.clamp_min(1), r)


def target_losses(log_p: Tensor, *targets: Target) -> Tensor:
    """Return the loss of each target, (len(targets),), with few operators however many there are.

    Raises RuntimeError where they are not of the shape of `log_p`.
    """
    q, r = (torch.stack(each) for each in zip(*targets, strict=True))
    losses: Tensor = _TargetLosses.apply(log_p, q, r)
    return losses


class _TargetLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_p: Tensor, q: Tensor, r: Tensor) -> Tensor:
        ctx.save_for_backward(q)
        # Without a probability there is no loss, also where r is -inf.
        return (r - log_p).masked_fill_(q == 0, 0.0).mul_(q).flatten(1).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (q,) = ctx.saved_tensors
        return (q * gradient.neg().view(-1, *[1] * (q.ndim - 1))).sum(0), None, None


def _times(q: Tensor, factor: float | Tensor) -> Tensor:
    return q if isinstance(factor, float) and factor == 1 else q * factor
