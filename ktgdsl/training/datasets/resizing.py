"""Images of different sizes brought to one, by torchvision's transforms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.training.datasets.image_set import DataSet, ImageSet, LazyImages, TensorImages
from ktgdsl.training.datasets.random_states import preserved, seed_all


@dataclass(frozen=True)
class Resizing:
    """How images get their size.

    Attributes:
        size: (height, width) in pixels.
        crop: None changes the proportions; "center" keeps them, and cuts off what is too long;
            "random" takes a random part of 8 to 100 % of the area, of a ratio of 3:4 to 4:3,
            and in an evaluation the center.
    """

    size: tuple[int, int]
    crop: Literal["center", "random"] | None = None

    @property
    def random(self) -> bool:
        """Whether each reading gives another part of an image."""
        return self.crop == "random"

    def __call__(self, image: Tensor) -> Tensor:
        """Images (..., C, H, W) of that size, and of the same type."""
        v2: Any = import_module("torchvision.transforms.v2")  # slow, and it has no types
        if self.random:
            drawn: Tensor = v2.RandomResizedCrop(self.size, antialias=True)(image)
            return drawn
        height, width = self.size
        if self.crop == "center":
            scale = max(height / image.shape[-2], width / image.shape[-1])
            height = max(height, round(image.shape[-2] * scale))
            width = max(width, round(image.shape[-1] * scale))
        resized = v2.functional.resize(image, [height, width], antialias=True)
        cropped: Tensor = v2.functional.center_crop(resized, [*self.size])
        return cropped


class ResizedImages(LazyImages):
    """Images that are brought to a size when they are read; `source` has them as they are."""

    def __init__(self, source: LazyImages, resizing: Resizing, draw: int = 0) -> None:
        self.source = source
        self._resizing = resizing
        self._draw = draw
        self.shape = (source.shape[0], *resizing.size)
        self.dtype = source.dtype
        self.random = source.random or resizing.random

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        image = self.source[index]
        if self._resizing.random:
            seed_all(derive(self._draw, "crop", index))
        return self._resizing(image)

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        if isinstance(self.source, TensorImages) and not self.random:
            return self._resizing(self.source.__getitems__(indices))
        with preserved():
            return torch.stack([self[i] for i in indices])

    def drawn(self, seed: int) -> "ResizedImages":
        """The same images, with what is random in them drawn from this seed."""
        return ResizedImages(self.source.drawn(seed), self._resizing, seed)

    def evaluated(self) -> LazyImages:
        """The same images with a crop of the center instead of a random one."""
        if not self._resizing.random:
            return self
        return ResizedImages(self.source, replace(self._resizing, crop="center"), self._draw)


def resized(data_set: DataSet, resizing: Resizing) -> DataSet:
    """The data set with images of one size."""

    def part(images: ImageSet) -> ImageSet:
        return replace(images, image=ResizedImages(images.lazy, resizing))

    return replace(data_set, train=part(data_set.train), test=part(data_set.test))
