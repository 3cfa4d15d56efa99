"""Networks that do not learn from the graph that calls them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.func import functional_call


class Frozen(nn.Module):
    """A network that does not learn: a call has no gradient, and it stays in eval mode.

    With `mode = "train"` it follows `train()` and `eval()` of the training graph, so that its
    batch norm uses the statistics of the batch, as some published codes do.
    """

    def __init__(self, network: nn.Module, mode: str) -> None:
        super().__init__()
        self.network = network
        self.mode = mode
        self.train()

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the network gives, without gradient."""
        with torch.no_grad():
            return self.network(*inputs)

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in eval mode, or follow the training graph if the network is to."""
        super().train(mode and self.mode == "train")
        return self


class ForwardOnly(nn.Module):
    """A network that learns elsewhere: a call has no gradient and changes nothing in it.

    In train mode its batch norm uses the statistics of the batch, and leaves the running ones.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> Any:
        """Return the logits (B, classes, ...) of images (B, channels, H, W), without gradient."""
        with torch.no_grad(), _running_statistics_kept(self.network):
            return self.network(image)


class WithoutGradient(nn.Module):
    """A network that learns by another call in the same step: this call has no gradient.

    In train mode its running statistics change, as in every call.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> Any:
        """Return the logits (B, classes, ...) of images (B, channels, H, W), without gradient."""
        with torch.no_grad():
            return self.network(image)


class Transparent(nn.Module):
    """A module that learns elsewhere: gradients reach its inputs, and nothing in it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the module gives."""
        fixed = {name: each.detach() for name, each in self.module.named_parameters()}
        with _running_statistics_kept(self.module):
            return functional_call(self.module, fixed, inputs)


@contextmanager
def _running_statistics_kept(network: nn.Module) -> Iterator[None]:
    moving: list[Any] = [
        module
        for module in network.modules()
        if module.training and getattr(module, "track_running_stats", False)
    ]
    try:
        for norm in moving:
            norm.track_running_stats = False
        yield
    finally:
        for norm in moving:
            norm.track_running_stats = True
