"""Margins of features before a ReLU, as the batch norm before it has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ktgdsl.backend.feature_losses import margin_of
from ktgdsl.backend.taps import place_of

_UNCHANGING = (nn.Identity, nn.Dropout, nn.Dropout2d)
"""Modules that may stand between a batch norm and its ReLU: they change nothing in eval mode."""


class Margin(nn.Module):
    """Gives the margins (channels,) of a batch norm, as its weight and bias are now.

    The norm is one of a network's, so it is no submodule here: its state is the network's.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self._norm = (norm,)

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean negative values of the channels of (B, channels, ...)."""
        (norm,) = self._norm
        if norm.affine:
            weight, bias = (each.detach().to(features.device) for each in (norm.weight, norm.bias))
            return margin_of(weight, bias)
        weight = features.new_ones(norm.num_features)
        return margin_of(weight, torch.zeros_like(weight))


def norm_before(network: nn.Module, tap: str) -> _BatchNorm | None:
    """The batch norm whose output a tap reads, or the last one of the block that it ends.

    None where there is none directly before. Raises UnknownTapError when there is no such tap.
    """
    place = place_of(network, tap)
    if not place.input:
        return _last_norm(network.get_submodule(place.module))
    block = network.get_submodule(place.module.rpartition(".")[0])
    children = [*block.children()]
    if not isinstance(block, nn.Sequential):
        # Its parts are called in an order of its own; what is nested in it is a shortcut.
        return next(filter(None, map(_norm, reversed(children))), None)
    before = children[: children.index(network.get_submodule(place.module))]
    while before and isinstance(before[-1], _UNCHANGING):
        before.pop()
    return _last_norm(before[-1]) if before else None


def _last_norm(module: nn.Module) -> _BatchNorm | None:
    """The batch norm that gives the output of a module, if it is one or ends with one."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return _norm(module)


def _norm(module: nn.Module) -> _BatchNorm | None:
    """The module, if it is a batch norm. One with modules of its own may apply a ReLU as well."""
    return module if isinstance(module, _BatchNorm) and not any(module.children()) else None
