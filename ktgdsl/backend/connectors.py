"""Connectors: layers that bring a destination's features to the shape of a source's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ktgdsl.backend.feature_losses import pooled

Shape = Sequence[int]
"""The shape of a sample's features: (channels, height, width) or (channels,)."""


class Connector(nn.Module):
    """Pools maps to a size, then maps channels: (B, *destination) to (B, source's channels, ...).

    A map whose size is None becomes flat.
    """

    def __init__(self, size: tuple[int, int] | None, layers: nn.Module) -> None:
        super().__init__()
        self.size = size
        self.layers = layers

    def forward(self, features: Tensor) -> Tensor:
        """Return the features as the source has them."""
        if features.ndim == 4 and self.size is None:
            features = features.mean((2, 3))
        elif self.size is not None and self.size != features.shape[2:]:
            features = pooled(features, *self.size)
        connected: Tensor = self.layers(features)
        return connected


def connector(
    kind: Literal["conv", "norm", "overhaul"], source: Shape, destination: Shape
) -> Connector:
    """Make the connector of an edge whose ends have features of these shapes.

    `conv` is a 1x1 convolution without bias, or a linear layer on flat features; `norm` has a
    bias, then a batch norm and ReLU; `overhaul` has no bias, weights of the
    variance 2 / channels, then a batch norm. The weights come from torch's random stream, which
    the caller seeds.
    """
    flat = len(source) == 1 or len(destination) == 1
    size = None if flat else (min(source[1], destination[1]), min(source[2], destination[2]))
    into, out = destination[0], source[0]
    first: nn.Module
    if flat:
        first = nn.Linear(into, out, bias=kind == "norm")
    else:
        first = nn.Conv2d(into, out, 1, bias=kind == "norm")
    if kind == "conv":
        return Connector(size, first)
    norm = nn.BatchNorm1d(out) if flat else nn.BatchNorm2d(out)
    if kind == "norm":
        return Connector(size, nn.Sequential(first, norm, nn.ReLU()))
    nn.init.normal_(first.weight, 0.0, math.sqrt(2 / out))
    return Connector(size, nn.Sequential(first, norm))
