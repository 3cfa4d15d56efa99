"""Images with labels as they lie in memory or in files, before anything is drawn from them."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Pictures(Dataset[Tensor]):
    """Images that are read one by one: map-style, each (C, H, W) uint8 of the same `shape`."""

    shape: tuple[int, int, int]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor: ...

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """The images of a batch (B, C, H, W): what a torch DataLoader asks for."""
        return torch.stack([self[i] for i in indices])


class UnreadableError(Exception):
    """An image that cannot be read. The message is a sentence about it.

    It takes the message alone, so that it crosses the border of a process.
    """


class Rows(Pictures):
    """A tensor (N, C, H, W) as pictures."""

    def __init__(self, image: Tensor) -> None:
        self._image = image
        _, channels, height, width = image.shape
        self.shape = (channels, height, width)

    def __len__(self) -> int:
        return len(self._image)

    def __getitem__(self, index: int) -> Tensor:
        return self._image[index]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        return self._image[torch.as_tensor(indices)]


@dataclass(frozen=True)
class Stored:
    """One part of a data set: `image` (N, C, H, W) uint8 or pictures, `label` (N,) int64.

    A pixel of the value `white` is 1.0 to a network.
    """

    image: Tensor | Pictures
    label: Tensor
    white: int = 255

    def __len__(self) -> int:
        return len(self.label)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        if isinstance(self.image, Pictures):
            return self.image.shape
        _, channels, height, width = self.image.shape
        return channels, height, width

    @property
    def bytes(self) -> int:
        """How much memory all images take."""
        channels, height, width = self.shape
        return len(self) * channels * height * width


@dataclass(frozen=True)
class Parts:
    """A data set in its own two parts."""

    train: Stored
    test: Stored
