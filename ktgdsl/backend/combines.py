"""Combines the outputs of nodes in an ensemble, and makes the distributions of constant nodes.

z_k are the logits of member k of K, (B, C, *rest), or on probabilities log p_k, and so is the
result. Classes are dimension 1. Half precision is computed in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ktgdsl.backend.numerics import full
from ktgdsl.backend.registry import combines


@combines("mean")
def mean(*logits: Tensor) -> Tensor:
    """Return Σ_k z_k / K."""
    return add(*logits) / len(logits)


@combines("mean", on="probabilities")
def mean_p(*log_ps: Tensor) -> Tensor:
    """Return log(Σ_k p_k / K)."""
    return _log_of_sum(_stacked(log_ps)) - math.log(len(log_ps))


@combines("sum")
def add(*logits: Tensor) -> Tensor:
    """Return Σ_k z_k."""
    total = full(logits[0])
    for each in logits[1:]:
        total = total + full(each)
    return total


@combines("minimum")
def minimum(label: Tensor, *logits: Tensor) -> Tensor:
    """Return min_k (z_k,c - z_k,y) for each class c; y is the label (B, *rest).

    Where the label is -1, y is the top class of Σ_k z_k. Guo et al., CVPR 2020, Eq. 11.
    """
    top = add(*logits).argmax(1)
    own = torch.where(label >= 0, label, top).unsqueeze(1)
    z = _stacked(logits)
    at_own = z.gather(1, own.unsqueeze(-1).expand(*own.shape, z.shape[-1]))
    return (z - at_own).amin(-1)


@combines("gated")
@combines("attention")
@combines("linear")
def weighted(scores: Tensor, *logits: Tensor) -> Tensor:
    """Return Σ_k w_k z_k with w = softmax(scores), scores (B, K) or (K,)."""
    z = _stacked(logits)
    return (z * _per_member(full(scores).softmax(-1), z)).sum(-1).to(z.dtype)


@combines("gated", on="probabilities")
@combines("attention", on="probabilities")
@combines("linear", on="probabilities")
def weighted_p(scores: Tensor, *log_ps: Tensor) -> Tensor:
    """Return log Σ_k w_k p_k with w = softmax(scores), scores (B, K) or (K,)."""
    log_p = _stacked(log_ps)
    log_w = _per_member(full(scores).log_softmax(-1), log_p)
    return _log_of_sum(log_p + log_w).to(log_p.dtype)


@combines("concat")
def concat(logits: Tensor) -> Tensor:
    """Return what the classifier on the features of all members gives."""
    return full(logits)


@combines("constant", on="probabilities")
def constant(label: Tensor, like: Tensor, correct: float) -> Tensor:
    """Return log p with p = correct at the label, (1 - correct) / (C - 1) at other classes.

    1 / C where the label (B, *rest) is -1. Of the shape and dtype of `like`.
    """
    like, index = full(like), label.unsqueeze(1)
    classes = like.shape[1]
    other = math.log((1 - correct) / max(classes - 1, 1))
    log_p = torch.full_like(like, other).scatter(1, index.clamp_min(0), math.log(correct))
    return torch.where(index >= 0, log_p, -math.log(classes))


def columns(scores: Tensor, *members: int) -> Tensor:
    """Return the scores, (B, K) or (K,), of these members alone."""
    return scores[..., list(members)]


def unlabeled(logits: Tensor) -> Tensor:
    """Return labels -1, (B, *rest) int64, for logits (B, C, *rest)."""
    return torch.full_like(logits[:, 0], -1, dtype=torch.int64)


def _stacked(values: tuple[Tensor, ...]) -> Tensor:
    """(B, C, *rest, K) of K values."""
    return torch.stack([full(each) for each in values], dim=-1)


def _log_of_sum(log_ps: Tensor) -> Tensor:
    """log Σ_k exp(log p_k) of (B, C, *rest, K)."""
    # The gradient of a logarithm of nothing but zeros is NaN; this bound is far below any p > 0.
    return torch.logsumexp(log_ps.clamp_min(torch.finfo(log_ps.dtype).min / 2), dim=-1)


def _per_member(weights: Tensor, values: Tensor) -> Tensor:
    """Weights (B, K) or (K,) in the shape that values (B, C, *rest, K) are multiplied with."""
    if weights.ndim == 1:
        return weights
    return weights.reshape(len(weights), *[1] * (values.ndim - 2), weights.shape[-1])
