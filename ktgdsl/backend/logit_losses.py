"""Losses of the outputs of networks other than plain divergences.

Shapes and notation are those of `losses`: (B, C, *rest) in, (B, *rest) out, and labels are -1
where unlabeled.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from ktgdsl.backend.losses import kl
from ktgdsl.backend.numerics import full, quotient, root
from ktgdsl.backend.registry import computes_loss


@computes_loss("dkd")
def dkd(
    source_log_p: Tensor,
    destination_log_p: Tensor,
    label: Tensor,
    epoch: Tensor | float,
    warmup: float,
    alpha: float,
    beta: float,
    scale: float | Tensor,
) -> Tensor:
    """Return r · scale · (alpha · KL(b_s ‖ b_t) + beta · KL(q_s ‖ q_t)); 0 where the label is -1.

    b = (p_y, 1 - p_y), q_c = p_c / (1 - p_y) over the classes c ≠ y, and r = min(epoch / warmup,
    1), both as fractions of the training. Zhao et al., CVPR 2022, Eq. 7.
    """
    labeled = label >= 0
    index = label.clamp_min(0).unsqueeze(1)
    own = torch.zeros_like(source_log_p, dtype=torch.bool).scatter(1, index, True)
    s, t = full(source_log_p), full(destination_log_p)
    binary_s, others_s = _split(s, index, own)
    binary_t, others_t = _split(t, index, own)
    value = alpha * kl(binary_s, binary_t, scale) + beta * kl(others_s, others_t, scale)
    share = epoch / max(warmup, sys.float_info.min)  # no warm-up is over at once
    rise = share.clamp(max=1) if isinstance(share, Tensor) else min(share, 1.0)
    return torch.where(labeled, rise * value, 0.0).to(value.dtype)


def _split(log_p: Tensor, index: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """log b, (B, 2, *rest), and log q with -inf at the label, (B, C, *rest)."""
    others = log_p.masked_fill(own, -torch.inf)
    rest = others.logsumexp(1, keepdim=True)
    return torch.cat([log_p.gather(1, index), rest], dim=1), others - rest


@computes_loss("dist")
def dist(
    source_p: Tensor, destination_p: Tensor, beta: float, gamma: float, scale: float | Tensor
) -> Tensor:
    """Return scale · (beta · (1 - corr over classes) + gamma · (1 - its part of those over N)).

    N are the samples of the batch, pixels included; corr(x, y) = ⟨x, y⟩ / (‖x‖ ‖y‖ + 1e-8) of
    centred x and y, 0 where one of them is constant. The mean of the second part over N is
    gamma · (1 - mean corr of the columns). Huang et al., NeurIPS 2022, Eqs. 9 and 10.
    """
    s, t = full(source_p), full(destination_p)
    intra = _products(s, t, [1]).sum(1)
    samples = [0, *range(2, s.ndim)]
    count = s.numel() / s.shape[1]
    inter = count * _products(s, t, samples).mean(1)
    return scale * (beta * (1 - intra) + gamma * (1 - inter))


def _products(x: Tensor, y: Tensor, dims: list[int]) -> Tensor:
    """The terms whose sum over `dims` is the correlation of x and y over them."""
    x = x - x.mean(dims, keepdim=True)
    y = y - y.mean(dims, keepdim=True)
    norms = root(x.square().sum(dims, keepdim=True)) * root(y.square().sum(dims, keepdim=True))
    return quotient(x * y, torch.where(norms > 0, norms + 1e-8, 0.0))


@computes_loss("standardized_kl")
def standardized_kl(
    source: Tensor,
    destination: Tensor,
    T: float | Tensor,
    scale: float | Tensor,
    correction: int,
) -> Tensor:
    """Return scale · KL(softmax(u_s / T) ‖ softmax(u_t / T)), u = (z - mean) / (std + 1e-7).

    The standard deviation over the classes divides by C - correction. Sun et al., CVPR 2024,
    Eq. 10.
    """
    s, t = (_standardized(full(z), correction) / T for z in (source, destination))
    return kl(s.log_softmax(1), t.log_softmax(1), scale)


def _standardized(z: Tensor, correction: int) -> Tensor:
    centred = z - z.mean(1, keepdim=True)
    variance = centred.square().sum(1, keepdim=True) / max(z.shape[1] - correction, 1)
    return centred / (root(variance) + 1e-7)


@computes_loss("entropy", source="nothing")
def entropy(log_p: Tensor) -> Tensor:
    """Return H(p) = -Σ_c p_c log p_c, where p_c = 0 counts 0. Pereyra et al., 2017."""
    log_p = full(log_p)
    p = log_p.exp()
    return -(p * torch.where(p > 0, log_p, 0.0)).sum(1)
