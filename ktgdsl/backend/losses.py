"""Losses between two nodes: pure functions that give one value per sample.

Inputs are (B, C, *rest): classes are dimension 1, further dimensions are pixels. Results
are (B, *rest); the reduction of an edge (`gates`) averages them. Half-precision inputs are
computed in float32; float32 and float64 stay. Nothing is detached here: an edge's source
arrives detached. Notation: s the source, t the destination, z logits, p = softmax(z / T).
Labels are int64 (B, *rest), -1 where unlabeled.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import nll_loss

from ktgdsl.backend.numerics import full
from ktgdsl.backend.registry import computes_loss


def log_softmax(logits: Tensor, T: float | Tensor = 1.0) -> Tensor:
    """Return log p at temperature T, of the shape of the logits."""
    z = full(logits)
    return torch.log_softmax(z if isinstance(T, float) and T == 1 else z / T, dim=1)


def column(label: Tensor, number: int) -> Tensor:
    """Return one of the labels (B,) of samples that have several, (B, labels)."""
    return label[:, number]


def one_hot(label: Tensor, like: Tensor) -> Tensor:
    """Return the labels as distributions of the shape (B, C, *rest) and dtype of `like`.

    0 for all classes where the label is -1.
    """
    like = full(like)
    index = label.unsqueeze(1)
    return torch.zeros_like(like).scatter(1, index.clamp_min(0), 1.0) * (index >= 0)


@computes_loss("ce", source="label")
def ce(log_p: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return -Σ_c q_c log p_c with q = (1 - smoothing) · onehot + smoothing / C.

    The paper's KL(p_0 ‖ p_t) when smoothing is 0. Exactly 0, without gradient, where the
    label is -1.
    """
    log_p = full(log_p)
    rows, labels = log_p, label
    if log_p.ndim > 2:
        # One row per pixel: over (B, C, H, W) nll_loss has no deterministic CUDA kernel.
        rows, labels = log_p.movedim(1, -1).reshape(-1, log_p.shape[1]), label.reshape(-1)
    hard = nll_loss(rows, labels, ignore_index=-1, reduction="none").view(label.shape)
    if smoothing == 0:
        return hard
    even = torch.where(label >= 0, -log_p.mean(1), 0.0)
    return (1 - smoothing) * hard + smoothing * even


@computes_loss("kl")
def kl(source_log_p: Tensor, destination_log_p: Tensor, scale: float | Tensor) -> Tensor:
    """Return scale · KL(p_s ‖ p_t), the paper's edge loss (Eq. 2) when scale is 1.

    Classes with p_s = 0 count 0, also where a log-probability is -inf. With scale = T² the
    gradient in z_t is T · (p_t - p_s).
    """
    s, t = full(source_log_p), full(destination_log_p)
    if isinstance(scale, float) and t.requires_grad and not s.requires_grad and s.dtype == t.dtype:
        value: Tensor = _KlOfDestination.apply(s, t, scale)
        return value
    p = s.exp()
    # Masking the difference, not the product, keeps 0 · inf out of the gradient too.
    return scale * (p * torch.where(p > 0, s - t, 0.0)).sum(1)


class _KlOfDestination(torch.autograd.Function):
    """The same numbers and gradient, to the bit, as one node: small networks wait for each."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor, scale: float) -> Tensor:
        p = s.exp()
        ctx.save_for_backward(p)
        ctx.scale = scale
        return (s - t).masked_fill_(p == 0, 0.0).mul_(p).sum(1).mul_(scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (p,) = ctx.saved_tensors
        return None, (p * (gradient * ctx.scale).unsqueeze(1)).neg_(), None


@computes_loss("reverse_kl")
def reverse_kl(source_log_p: Tensor, destination_log_p: Tensor, scale: float | Tensor) -> Tensor:
    """Return scale · KL(p_t ‖ p_s)."""
    return kl(destination_log_p, source_log_p, scale)


@computes_loss("js")
def js(source_log_p: Tensor, destination_log_p: Tensor, scale: float | Tensor) -> Tensor:
    """Return scale · (KL(p_s ‖ m) + KL(p_t ‖ m)) / 2 with m = (p_s + p_t) / 2."""
    s, t = full(source_log_p), full(destination_log_p)
    # logaddexp(-inf, -inf) has a NaN gradient; this bound is far below any p > 0.
    least = torch.finfo(s.dtype).min / 2
    m = torch.logaddexp(s.clamp_min(least), t.clamp_min(least)) - math.log(2)
    return kl(s, m, scale / 2) + kl(t, m, scale / 2)


@computes_loss("kl", source="label")
def kl_label(log_p: Tensor, label: Tensor, scale: float | Tensor) -> Tensor:
    """Return scale · KL(onehot ‖ p) = -scale · log p[label]; 0 where the label is -1.

    The label is a one-hot distribution at every temperature.
    """
    return scale * ce(log_p, label)


@computes_loss("mse")
def mse(source: Tensor, destination: Tensor) -> Tensor:
    """Return the mean over classes of the squared difference, of logits or probabilities."""
    return (full(source) - full(destination)).square().mean(1)


@computes_loss("mse", source="label")
def mse_label(log_p: Tensor, label: Tensor) -> Tensor:
    """Return the mean over classes of (onehot - p)²; 0 where the label is -1."""
    p = full(log_p).exp()
    return torch.where(label >= 0, mse(one_hot(label, p), p), 0.0)


@computes_loss("cosine_distance")
def cosine_distance(source: Tensor, destination: Tensor) -> Tensor:
    """Return 1 - cos(s, t) over the classes, with torch's bound on the norms (1e-8)."""
    return 1 - torch.cosine_similarity(full(source), full(destination), dim=1)
