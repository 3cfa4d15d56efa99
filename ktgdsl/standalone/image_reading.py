"""Functions for scripts alone that read images, and measure them, as plain source."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ktgdsl.backend.seeds import derive
from ktgdsl.training.datasets.image_files import pixels
from ktgdsl.training.datasets.random_states import preserved, seed_all


def read_image(path: str | Path, channels: int) -> Tensor:
    """The image (C, H, W) uint8 in a file."""
    with Image.open(path) as image:
        return pixels(image, channels)


def stretched(image: Tensor, size: Sequence[int]) -> Tensor:
    """Images (..., C, H, W) of that height and width."""
    from torchvision.transforms.v2.functional import resize

    found: Tensor = resize(image, [*size], antialias=True)
    return found


def center_cropped(image: Tensor, size: Sequence[int]) -> Tensor:
    """Images (..., C, H, W) of that height and width; what is too long is cut off."""
    from torchvision.transforms.v2.functional import center_crop, resize

    pairs = [*zip(size, image.shape[-2:], strict=True)]
    scale = max(new / old for new, old in pairs)
    covering = [max(new, round(old * scale)) for new, old in pairs]
    found: Tensor = center_crop(resize(image, covering, antialias=True), [*size])
    return found


@dataclass(frozen=True)
class DrawnImages:
    """Images that are drawn anew whenever they are read.

    Attributes:
        image: gives the image (C, H, W) of a number, with random changes.
        number: (N,), which images these are, on the device that they are read to.
    """

    image: Callable[[int], Tensor]
    number: Tensor

    def __getitem__(self, chosen: Tensor | slice) -> "DrawnImages":
        return replace(self, number=self.number[chosen])

    def to(self, device: torch.device) -> "DrawnImages":
        """The same, read to another device."""
        return replace(self, number=self.number.to(device))

    def read(self, draw: int = 0) -> Tensor:
        """The images (N, C, H, W), each drawn from a seed of its own."""
        images = []
        with preserved():
            for number in self.number.tolist():
                seed_all(derive(draw, "sample", number))
                images.append(self.image(number))
        return torch.stack(images).to(self.number.device)


@dataclass(frozen=True)
class CroppedImages(DrawnImages):
    """Images of which a part is drawn whenever they are read.

    Attributes:
        size: (height, width) of the part.
    """

    size: tuple[int, int]

    def read(self, draw: int | None = None) -> Tensor:
        """Parts of the images (N, C, H, W), each drawn from a seed of its own; else the centers."""
        from torchvision.transforms.v2 import RandomResizedCrop

        images = []
        with preserved():
            for number in self.number.tolist():
                image = self.image(number)
                if draw is None:
                    images.append(center_cropped(image, self.size))
                else:
                    seed_all(derive(draw, "crop", number))
                    images.append(RandomResizedCrop(self.size, antialias=True)(image))
        return torch.stack(images).to(self.number.device)


def mean_and_std(image: Tensor, white: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the pixels of images (N, C, H, W) by channel, where white is 1."""
    exact = torch.float64 if image.is_floating_point() else torch.int64
    total = torch.zeros(image.shape[1], dtype=exact)
    squares = torch.zeros_like(total)
    for part in torch.split(image, 256):
        pixel = part.to(exact)
        total += pixel.sum((0, 2, 3))
        squares += pixel.square().sum((0, 2, 3))
    count = image[:, 0].numel()
    sums = zip(total.tolist(), squares.tolist(), strict=True)
    variance = [max(0, count * square - one * one) / count**2 for one, square in sums]
    std = torch.tensor(variance, dtype=torch.float64).sqrt() / white
    return total.double() / count / white, torch.where(std > 0, std, 1.0)
