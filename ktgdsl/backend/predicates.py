"""Per-sample gates: 1 or 0 for each sample, (B, *rest), without gradient.

Logits and distributions are (B, C, *rest). Weights are of their dtype, and float32 where that is
of half precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ktgdsl.backend.registry import computes_gate


@computes_gate("correct")
def correct(source_logits: Tensor, label: Tensor) -> Tensor:
    """Return 1 where the source's top-1 is the label (B, *rest), else 0 (paper, Eq. 7).

    0 where the label is -1.
    """
    return _weight(source_logits.argmax(1) == label, source_logits)


@computes_gate("confident")
def confident(source_p: Tensor, threshold: float) -> Tensor:
    """Return 1 where max_c p_s,c > threshold, else 0."""
    return _weight(source_p.amax(1) > threshold, source_p)


@computes_gate("agree")
def agree(source: Tensor, destination_logits: Tensor) -> Tensor:
    """Return 1 where the destination's top-1 is that of the source's logits, or its label."""
    labels = source.dtype == torch.int64
    top = source if labels else source.argmax(1)
    return _weight(top == destination_logits.argmax(1), destination_logits)


@computes_gate("stable")
def stable(source_p: Tensor, other_p: Tensor, threshold: float) -> Tensor:
    """Return 1 where both views have the same top-1 and p > threshold in one of them, else 0.

    Ke et al., ICCV 2019, Definition 1.
    """
    return _weight(_is_stable(source_p, other_p, threshold), source_p)


@computes_gate("steadier")
def steadier(
    source_p: Tensor,
    source_other: Tensor,
    destination_p: Tensor,
    destination_other: Tensor,
    threshold: float,
) -> Tensor:
    """Return 0 where the destination is stable and the source less consistent, else 1.

    `other` is the other view; consistency is the squared distance of both (Ke et al., ICCV 2019,
    the stabilization constraint).
    """
    source_differs_more = _distance(source_p, source_other) > _distance(
        destination_p, destination_other
    )
    is_stable = _is_stable(destination_p, destination_other, threshold)
    return _weight(~(source_differs_more & is_stable), source_p)


@computes_gate("shard")
def shard(sample: Tensor, index: int, count: int) -> Tensor:
    """Return 1 where the number of the sample (B,) modulo count is index, else 0; float32."""
    return (sample % count == index).float()


def _is_stable(p: Tensor, other: Tensor, threshold: float) -> Tensor:
    sure = torch.maximum(p.amax(1), other.amax(1)) > threshold
    return (p.argmax(1) == other.argmax(1)) & sure


def _distance(p: Tensor, other: Tensor) -> Tensor:
    return (p - other).square().sum(1)


def _weight(where: Tensor, like: Tensor) -> Tensor:
    return where.to(torch.promote_types(like.dtype, torch.float32))
