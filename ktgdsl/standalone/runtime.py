"""Functions for training scripts alone: what the package does by modules, as plain source."""

from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.frozen import _running_statistics_kept
from ktgdsl.backend.numerics import full


def without_gradient(network: nn.Module, *inputs: Tensor) -> Any:
    """What a network gives, without gradient."""
    with torch.no_grad():
        return network(*inputs)


def as_source(network: nn.Module, *inputs: Tensor) -> Any:
    """What a network that learns elsewhere gives, without gradient and change in its statistics."""
    with torch.no_grad(), _running_statistics_kept(network):
        return network(*inputs)


def in_range(weight: Tensor) -> Tensor:
    """The weights of a gate, without gradient; NaN where one is not in [0, 1]."""
    weight = full(weight.detach())
    if not weight.is_floating_point():
        weight = weight.float()
    return torch.where((weight >= 0) & (weight <= 1), weight, torch.nan)
