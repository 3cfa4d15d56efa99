"""Gates that tell samples apart: 1 or 0 for each sample, (B, *rest), without gradient.

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
    same = source_p.argmax(1) == other_p.argmax(1)
    sure = torch.maximum(source_p.amax(1), other_p.amax(1)) > threshold
    return _weight(same & sure, source_p)


@computes_gate("shard")
def shard(sample: Tensor, index: int, count: int) -> Tensor:
    """Return 1 where the number of the sample (B,) modulo count is index, else 0; float32."""
    return (sample % count == index).float()


def _weight(where: Tensor, like: Tensor) -> Tensor:
    return where.to(torch.promote_types(like.dtype, torch.float32))
