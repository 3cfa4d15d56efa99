"""Labelled images, in memory or read one by one, before splits are made of them."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ktgdsl.plan.heads import ClassNames
from ktgdsl.training.datasets.random_states import preserved

MASK = torch.int16
"""The type of masks in memory; in a batch they are int64."""


class LazyImages(Dataset[Tensor]):
    """Images that are read one by one: map-style, each (C, H, W) of the same `shape`.

    Attributes:
        shape: (channels, height, width) in pixels.
        dtype: uint8, or float32 where the numbers are to stay as they are.
        random: whether an image differs from one reading to the next.
        masked: whether each pixel has a label: then `samples` reads images and masks.
        moving: whether a mask differs from one reading to the next.
    """

    shape: tuple[int, int, int]
    dtype: torch.dtype = torch.uint8
    random: bool = False
    masked: bool = False
    moving: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor: ...

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        """The images of a batch (B, C, H, W): what a torch DataLoader asks for."""
        return torch.stack([self[i] for i in indices])

    def samples(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The images (B, C, H, W) of a batch and their masks (B, H, W) int16, of one reading.

        Only of images that are `masked`.
        """
        raise NotImplementedError

    def drawn(self, seed: int) -> "LazyImages":
        """The same images with their randomness drawn from this seed."""
        return self

    def evaluated(self) -> "LazyImages":
        """The same images for evaluation: without the random crops of `resize`."""
        return self


class TensorImages(LazyImages):
    """A tensor (N, C, H, W) with the interface of images that are read one by one.

    With masks (N, H, W) int16 where each pixel has a label.
    """

    def __init__(self, image: Tensor, mask: Tensor | None = None) -> None:
        self._image = image
        self._mask = mask
        self.masked = mask is not None
        self.dtype = image.dtype
        _, channels, height, width = image.shape
        self.shape = (channels, height, width)

    def __len__(self) -> int:
        return len(self._image)

    def __getitem__(self, index: int) -> Tensor:
        return self._image[index]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        return self._image[torch.as_tensor(indices)]

    def samples(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The images and the masks of a batch."""
        assert self._mask is not None
        return self.__getitems__(indices), self._mask[torch.as_tensor(indices)]


class ReadAgain(LazyImages):
    """Images with several readings: number r * len(source) + i is image i with the r-th seed."""

    def __init__(self, source: LazyImages, seeds: Sequence[int]) -> None:
        self._count = len(source)
        self._readings = [source.drawn(seed) for seed in seeds]
        self.shape, self.dtype, self.random = source.shape, source.dtype, source.random
        self.masked, self.moving = source.masked, source.moving

    def __len__(self) -> int:
        return self._count * len(self._readings)

    def __getitem__(self, index: int) -> Tensor:
        reading, image = divmod(index, self._count)
        return self._readings[reading][image]

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        with preserved():
            return super().__getitems__(indices)

    def samples(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The images and the masks of a batch, each of one reading."""
        with preserved():
            readings = [divmod(index, self._count) for index in indices]
            read = [self._readings[reading].samples([image]) for reading, image in readings]
        images, masks = zip(*read, strict=True)
        return torch.cat(images), torch.cat(masks)


@dataclass(frozen=True)
class ImageSet:
    """The training or the test images of a data set, with their labels.

    Attributes:
        image: (N, C, H, W) uint8 or float32, or N images that are read one by one.
        label: (N,) int64, -1 where there is none; of masks 0 where some pixel has a label. Where
            samples have several labels, (N, labels).
        white: the value of a uint8 pixel that is 1.0 to a network.
        pixel_labels: (L,) int64, the different labels in masks; None where no pixel has its own.
        mask: (N, H, W) int16, of images in memory whose pixels have labels, -1 where one has none.
    """

    image: Tensor | LazyImages
    label: Tensor
    white: int = 255
    pixel_labels: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.label)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        if isinstance(self.image, LazyImages):
            return self.image.shape
        _, channels, height, width = self.image.shape
        return channels, height, width

    @property
    def bytes(self) -> int:
        """The memory that all images and masks take, in bytes."""
        channels, height, width = self.shape
        pixel = channels * self.image.dtype.itemsize + MASK.itemsize * self.masked
        return len(self) * height * width * pixel

    @property
    def masked(self) -> bool:
        """Whether each pixel has a label."""
        return self.pixel_labels is not None

    @property
    def labels(self) -> Tensor:
        """All labels that there are, int64: of the samples, or once each those of pixels."""
        return self.label if self.pixel_labels is None else self.pixel_labels

    @property
    def random(self) -> bool:
        """Whether an image differs from one reading to the next."""
        return isinstance(self.image, LazyImages) and self.image.random

    @property
    def lazy(self) -> LazyImages:
        """The images, to be read one by one."""
        if isinstance(self.image, Tensor):
            return TensorImages(self.image, self.mask)
        return self.image


@dataclass(frozen=True)
class DataSet:
    """A data set with its own training and test part.

    `classes` has the names of the classes, None where unknown.
    """

    train: ImageSet
    test: ImageSet
    classes: ClassNames | None = None
