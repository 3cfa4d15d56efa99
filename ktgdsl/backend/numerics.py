"""Numbers that stay finite: half precision in float32, roots and quotients with 0 / 0 = 0."""

from __future__ import annotations

import torch
from torch import Tensor


def full(x: Tensor) -> Tensor:
    """The values in float32 if they are of half precision; else as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def root(x: Tensor) -> Tensor:
    """√x, 0 with gradient 0 where x is not greater than 0."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


def quotient(x: Tensor, y: Tensor) -> Tensor:
    """x / y, 0 with gradient 0 where y is 0."""
    nonzero = y != 0
    return torch.where(nonzero, x / torch.where(nonzero, y, 1.0), 0.0)


def exactly(like: Tensor) -> torch.autocast:
    """A context in which products of matrices keep the precision of their inputs."""
    return torch.autocast(like.device.type, enabled=False)
