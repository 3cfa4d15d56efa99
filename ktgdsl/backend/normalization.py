"""The normalisation that a network was trained with, of the images that it sees and no other."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

NAME = "input_normalization"
"""The submodule of a network that has one; it is no part of its state dict."""


class InputNormalization(nn.Module):
    """Images (B, C, H, W) to (image - mean) / std, where white is 1.

    The images are in [0, 1], or as `set_data_normalization` says. Those of one channel are seen
    in as many as mean and std have.
    """

    mean: Tensor
    std: Tensor
    data_mean: Tensor
    data_std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        buffers = {"mean": mean, "std": std, "data_mean": (0.0,), "data_std": (1.0,)}
        for name, values in buffers.items():
            tensor = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the images as the network was trained on them."""
        return (image * self.data_std + self.data_mean - self.mean) / self.std


def normalize_inputs(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Have a network normalise its images by itself, whoever calls it."""
    network.add_module(NAME, InputNormalization(mean, std))
    network.register_forward_pre_hook(_normalized)


def set_data_normalization(
    networks: Iterable[nn.Module], mean: Tensor | None, std: Tensor | None
) -> None:
    """Say that images come normalised by mean and std (C, 1, 1); None where they are in [0, 1]."""
    for network in networks:
        for module in network.modules():
            if isinstance(module, InputNormalization):
                device = module.mean.device
                module.data_mean = torch.zeros(1, 1, 1, device=device) if mean is None else mean
                module.data_std = torch.ones(1, 1, 1, device=device) if std is None else std


def _normalized(network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (network.get_submodule(NAME)(inputs[0]), *inputs[1:])
