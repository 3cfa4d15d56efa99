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


def mean_and_std(image: Tensor, white: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the pixels of images (N, C, H, W) by channel, where white is 1.

    Of 10,000 images that are evenly spread, if there are more.
    """
    count = min(10_000, len(image))
    pixel = image[torch.arange(count) * len(image) // count].to(torch.int64)
    sums = zip(pixel.sum((0, 2, 3)).tolist(), pixel.square().sum((0, 2, 3)).tolist(), strict=True)
    total, pixels = pixel.sum((0, 2, 3)), pixel[:, 0].numel()
    variance = [max(0, pixels * square - one * one) / pixels**2 for one, square in sums]
    std = torch.tensor(variance, dtype=torch.float64).sqrt() / white
    return total.double() / pixels / white, torch.where(std > 0, std, 1.0)
