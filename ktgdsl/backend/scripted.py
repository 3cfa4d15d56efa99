"""TorchScript networks, such as `torch.jit.load` gives, behind a module that can have hooks."""

from typing import Any

import torch
from torch import nn


class Scripted(nn.Module):
    """Calls a TorchScript network and has its state dict, under the same names."""

    def __init__(self, network: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> Any:
        """Return what the network does."""
        return self.network(image)

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """The state dict of the network."""
        return self.network.state_dict(*arguments, **options)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Load a state dict into the network."""
        return self.network.load_state_dict(*arguments, **options)
