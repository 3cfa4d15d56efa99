"""Images of different sizes brought to one, by torchvision's transforms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
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
        resized = v2.functional.resize(image, self._before_crop(image), antialias=True)
        cropped: Tensor = v2.functional.center_crop(resized, [*self.size])
        return cropped

    def with_masks(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Images (..., C, H, W) of that size, and their masks (..., H, W) cut alike.

        A pixel gets the label at its middle (`nearest-exact`, in step with the images).
        """
        v2: Any = import_module("torchvision.transforms.v2")
        planes, nearest = mask.unsqueeze(-3), v2.InterpolationMode.NEAREST_EXACT
        if self.random:
            part = v2.RandomResizedCrop(self.size).make_params([image])
            cut = partial(v2.functional.resized_crop, **part, size=[*self.size])
            return cut(image, antialias=True), cut(planes, interpolation=nearest).squeeze(-3)
        between = self._before_crop(image)
        resized = v2.functional.resize(planes, between, interpolation=nearest)
        cropped: Tensor = v2.functional.center_crop(resized, [*self.size])
        return self(image), cropped.squeeze(-3)

    def _before_crop(self, image: Tensor) -> list[int]:
        """Height and width of images (..., C, H, W) of which the center is taken."""
        height, width = self.size
        if self.crop == "center":
            scale = max(height / image.shape[-2], width / image.shape[-1])
            height = max(height, round(image.shape[-2] * scale))
            width = max(width, round(image.shape[-1] * scale))
        return [height, width]


class ResizedImages(LazyImages):
    """Images that are brought to a size when they are read; `source` has them as they are."""

    def __init__(self, source: LazyImages, resizing: Resizing, draw: int = 0) -> None:
        self.source = source
        self._resizing = resizing
        self._draw = draw
        self.shape = (source.shape[0], *resizing.size)
        self.dtype = source.dtype
        self.random = source.random or resizing.random
        self.masked = source.masked
        self.moving = source.moving or (source.masked and resizing.random)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        image = self.source[index]
        self._seed(index)
        return self._resizing(image)

    def _seed(self, index: int) -> None:
        if self._resizing.random:
            seed_all(derive(self._draw, "crop", index))

    def __getitems__(self, indices: Sequence[int]) -> Tensor:
        if isinstance(self.source, TensorImages) and not self.random:
            return self._resizing(self.source.__getitems__(indices))
        with preserved():
            return torch.stack([self[i] for i in indices])

    def samples(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The images and the masks of a batch, cut alike."""
        read = []
        with preserved():
            for index in indices:
                sample = self.source.samples([index])
                self._seed(index)
                read.append(self._resizing.with_masks(*sample))
        images, masks = zip(*read, strict=True)
        return torch.cat(images), torch.cat(masks)

    def drawn(self, seed: int) -> "ResizedImages":
        """The same images with their randomness drawn from this seed."""
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
