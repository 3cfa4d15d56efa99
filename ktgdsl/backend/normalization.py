"""The normalisation that a network was trained with, of the images that it sees and no other."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_ATTRIBUTE = "input_normalization"


class InputNormalization:
    """A hook before a network's forward: images (B, C, H, W) to (image - mean) / std.

    White is 1. Those of one channel are seen in as many as mean and std have.

    Attributes:
        mean: (C, 1, 1).
        std: (C, 1, 1).
        data_mean: what the images come normalised by already, as `mean`.
        data_std: as `std`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))
        self.set_data(None, None)

    def set_data(self, mean: Tensor | None, std: Tensor | None) -> None:
        """Say what images come normalised by, (C, 1, 1); None where they are in [0, 1]."""
        self.data_mean = torch.zeros(1, 1, 1) if mean is None else mean
        self.data_std = torch.ones(1, 1, 1) if std is None else std
        self.is_unneeded = self._equal(self.mean, self.data_mean) and self._equal(
            self.std, self.data_std
        )

    def __call__(self, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs of the forward, images first."""
        if self.is_unneeded:
            return inputs
        image: Tensor = inputs[0]
        for name in ("mean", "std", "data_mean", "data_std"):
            setattr(self, name, getattr(self, name).to(image.device))
        normalized = (image * self.data_std + self.data_mean - self.mean) / self.std
        return (normalized, *inputs[1:])

    @staticmethod
    def _equal(one: Tensor, other: Tensor) -> bool:
        one, other = one.cpu(), other.cpu()
        return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-6)


def normalize_inputs(
    network: nn.Module, mean: Sequence[float], std: Sequence[float], *, already: bool = False
) -> None:
    """Have a network normalise its images by itself, whoever calls it.

    Until `set_data_normalization` says otherwise they are in [0, 1], or `already` normalised so.
    """
    normalization = InputNormalization(mean, std)
    if already:
        normalization.set_data(normalization.mean, normalization.std)
    vars(network)[_ATTRIBUTE] = normalization  # beside its modules, which may be called in order
    network.register_forward_pre_hook(normalization)


def adopt_normalization(network: nn.Module, normalization: InputNormalization | None) -> None:
    """Have a network normalise its images as another does, or not at all."""
    for key, hook in list(network._forward_pre_hooks.items()):
        if isinstance(hook, InputNormalization):
            del network._forward_pre_hooks[key]
    vars(network)[_ATTRIBUTE] = normalization
    if normalization is not None:
        network.register_forward_pre_hook(normalization)


def input_normalization(network: nn.Module) -> InputNormalization | None:
    """The normalisation that a network has of its own."""
    found = vars(network).get(_ATTRIBUTE)
    return found if isinstance(found, InputNormalization) else None


def set_data_normalization(
    networks: Iterable[nn.Module], mean: Tensor | None, std: Tensor | None
) -> None:
    """Say what images come normalised by, (C, 1, 1), to the networks with a normalisation."""
    for network in networks:
        if (own := input_normalization(network)) is not None:
            own.set_data(mean, std)
